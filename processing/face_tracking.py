"""Who is who from frame to frame, by SORT with an eye for shot changes; and landmarks between detections.

facexlib's `SORT` class itself compares arrays with `[]` and raises with numpy >= 1.25, so its Kalman box is used and
the assignment is made here. What SORT lacks is added: a face that was away for a moment, or whose shot comes back
after a reverse shot, gets its number back where position and size agree.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .clip import FaceTrack
from .detected_faces import FaceDetections, box_overlaps
from .shot_detection import SHOT_THRESHOLD, ShotHistory, thumbnail_difference

try:
    from scipy.optimize import linear_sum_assignment
except ImportError:
    linear_sum_assignment = None
try:
    from facexlib.tracking.kalman_tracker import KalmanBoxTracker, convert_bbox_to_z
except ImportError:
    KalmanBoxTracker = convert_bbox_to_z = None

MIN_OVERLAP = 0.25  # intersection over union of the expected and the found box of one face
RUN_GAP_SECONDS = 0.5  # a longer gap between detections of a face is an absence: nothing is interpolated over it
MAX_ABSENCE_SECONDS = 3.0  # of its shot on screen, after which a face that returns is a new person
MAX_RETURN_DISTANCE = 1.0  # face sizes between where a face left and where it returns
MAX_RETURN_SCALE = 1.6  # ratio of face sizes between leaving and returning
MIN_DETECTIONS = 2  # a face seen only once is a false alarm, unless the detector ran only once

SMOOTHING_SECONDS = 0.1  # standard deviation of the smoothing kernel over time
SMOOTHING_REACH = 2.5  # standard deviations
NEAR_SECONDS = SMOOTHING_REACH * RUN_GAP_SECONDS  # no detection further away has a weight, however long the run


@dataclass
class _Run:
    """Detections of one face without an absence between them, and the pictures around it at both ends."""

    first_thumbnail: np.ndarray
    last_thumbnail: np.ndarray
    times: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    landmarks: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def between(self, start_seconds: float, end_seconds: float) -> slice:
        """The places of the detections from start (inclusive) to end (exclusive)."""
        return slice(bisect.bisect_left(self.times, start_seconds), bisect.bisect_left(self.times, end_seconds))


@dataclass
class _Face:
    """One identity: its Kalman box, its runs, and where and when it was seen last."""

    track_id: int
    shot: int
    kalman: KalmanBoxTracker
    runs: list[_Run]
    shot_seconds_at_last_detection: float = 0.0

    @property
    def last_box(self) -> np.ndarray:
        return self.runs[-1].boxes[-1]

    @property
    def last_time(self) -> float:
        return self.runs[-1].times[-1]

    def detections(self) -> int:
        return sum(len(run.times) for run in self.runs)


class FaceTracker:
    """Takes the detections of one frame after the other, in order of time; knows all faces seen so far."""

    def __init__(self, *, max_absence_seconds: float = MAX_ABSENCE_SECONDS) -> None:
        if KalmanBoxTracker is None or linear_sum_assignment is None:
            raise ImportError("tracking faces needs the packages facexlib and scipy")
        self.max_absence_seconds = max_absence_seconds
        self.faces: list[_Face] = []
        self.shots = ShotHistory()
        self.update_times: list[float] = []
        self.update_shots: list[int] = []

    @property
    def time(self) -> float:
        """Of the last update; -inf before the first."""
        return self.update_times[-1] if self.update_times else -np.inf

    def update(self, time: float, detections: FaceDetections, *, thumbnail: np.ndarray) -> None:
        """Adds the faces found at `time` seconds; `thumbnail` of `frame_thumbnail` shows whether the shot changed."""
        if time <= self.time:
            raise ValueError(f"time must increase, got {time} after {self.time}")
        gap = time - self.time
        self.update_times.append(time)
        cut = self.shots.enter(thumbnail, seconds=gap)
        self.update_shots.append(self.shots.current)
        active = [] if cut else [face for face in self.faces if self._is_active(face)]
        waiting = self._match_active(active, detections, np.arange(len(detections)))
        waiting = self._match_returning(detections, waiting)
        for place in waiting:
            self._add_face(detections, int(place))

    def tracks(self, *, start_seconds: float = -np.inf, end_seconds: float = np.inf) -> tuple[FaceTrack, ...]:
        """The faces seen from start (inclusive) to end (exclusive), with their detections, by first appearance."""
        confirmed = self.confirmed_ids()
        found = [
            _to_track(face, start_seconds=start_seconds, end_seconds=end_seconds)
            for face in self.faces
            if face.track_id in confirmed
        ]
        return tuple(track for track in found if track is not None)

    def confirmed_ids(self) -> set[int]:
        """Track ids of the faces that are no false alarms."""
        enough = min(MIN_DETECTIONS, len(self.update_times))
        return {face.track_id for face in self.faces if face.detections() >= enough}

    def landmarks_at(self, time: float, *, thumbnail: Callable[[], np.ndarray]) -> dict[int, np.ndarray]:
        """Smoothed landmarks (5, 2) of every face present in the frame at `time`, by track id.

        `thumbnail` makes the `frame_thumbnail` of that frame: asked for only where a face comes or goes. Final once
        the tracker has been updated up to `time + RUN_GAP_SECONDS`.
        """
        present = {}
        for face in self.faces:
            for run in reversed(face.runs):
                if run.times[-1] < time - RUN_GAP_SECONDS:
                    break
                if self._reaches(run, time, thumbnail=thumbnail):
                    near = run.between(time - NEAR_SECONDS, time + NEAR_SECONDS)
                    times, landmarks = np.array(run.times[near]), np.array(run.landmarks[near])
                    present[face.track_id] = run_landmarks(times, landmarks, at=time)
                    break
        return present

    def _reaches(self, run: _Run, time: float, *, thumbnail: Callable[[], np.ndarray]) -> bool:
        """Is the face there: between its detections, or nearer to one end of the run than to a detection without it::

            detections   -   -   F   F   F   -   -      F: found, -: not found
            present           [---------------]

        Where a shot change follows or precedes, the picture tells to which shot the frame belongs.
        """
        first, last = run.times[0], run.times[-1]
        if first <= time <= last:
            return True
        end, step, picture = (first, -1, run.first_thumbnail) if time < first else (last, 1, run.last_thumbnail)
        place = bisect.bisect_left(self.update_times, end)
        limit = RUN_GAP_SECONDS / 2
        if 0 <= place + step < len(self.update_times):
            distance = abs(self.update_times[place + step] - end)
            same_shot = self.update_shots[place + step] == self.update_shots[place]
            limit = min(limit, distance / 2 if same_shot else distance)
        return abs(time - end) < limit and thumbnail_difference(picture, thumbnail()) < SHOT_THRESHOLD

    def _is_active(self, face: _Face) -> bool:
        return face.shot == self.shots.current and self.time - face.last_time <= RUN_GAP_SECONDS

    def _match_active(self, active: list[_Face], detections: FaceDetections, waiting: np.ndarray) -> np.ndarray:
        """Assigns detections to faces where the Kalman filters expect them; returns the places left over."""
        if not active:
            return waiting
        expected = np.stack([np.ravel(face.kalman.predict()) for face in active])
        overlaps = np.nan_to_num(box_overlaps(detections.boxes, expected))
        rows, columns = linear_sum_assignment(-overlaps)
        for row, column in zip(rows, columns, strict=True):
            if overlaps[row, column] >= MIN_OVERLAP:
                self._extend(active[column], detections, int(row), new_run=False)
                waiting = waiting[waiting != row]
        return waiting

    def _match_returning(self, detections: FaceDetections, waiting: np.ndarray) -> np.ndarray:
        """Gives faces that were away their number back, by where they were last and how large."""
        seconds = self.shots.seconds
        away = [
            face
            for face in self.faces
            if face.shot == self.shots.current
            and face.last_time < self.time
            and seconds - face.shot_seconds_at_last_detection <= self.max_absence_seconds
        ]
        if not away or not len(waiting):
            return waiting
        costs = return_costs(detections.boxes[waiting], np.stack([face.last_box for face in away]))
        rows, columns = linear_sum_assignment(costs)
        matched = []
        for row, column in zip(rows, columns, strict=True):
            if costs[row, column] <= 1:
                face, place = away[column], int(waiting[row])
                new_run = self.time - face.last_time > RUN_GAP_SECONDS or self._was_elsewhere_since(face)
                self._extend(face, detections, place, new_run=new_run)
                matched.append(place)
        return waiting[~np.isin(waiting, matched)]

    def _was_elsewhere_since(self, face: _Face) -> bool:
        """True when another shot was on screen since the face was seen."""
        return any(other.shot != face.shot and other.last_time > face.last_time for other in self.faces)

    def _add_face(self, detections: FaceDetections, place: int) -> None:
        kalman = KalmanBoxTracker(detections.boxes[place].astype(np.float64))
        face = _Face(track_id=len(self.faces), shot=self.shots.current, kalman=kalman, runs=[])
        self.faces.append(face)
        self._append(face, detections, place, new_run=True)

    def _extend(self, face: _Face, detections: FaceDetections, place: int, *, new_run: bool) -> None:
        box = detections.boxes[place].astype(np.float64)
        if new_run:
            face.kalman = KalmanBoxTracker(box)
        else:
            face.kalman.kf.update(convert_bbox_to_z(box))
        self._append(face, detections, place, new_run=new_run)

    def _append(self, face: _Face, detections: FaceDetections, place: int, *, new_run: bool) -> None:
        thumbnail = self.shots.thumbnail
        if new_run:
            face.runs.append(_Run(thumbnail, thumbnail))
        run = face.runs[-1]
        run.last_thumbnail = thumbnail
        run.times.append(self.time)
        run.boxes.append(detections.boxes[place])
        run.landmarks.append(detections.landmarks[place])
        run.scores.append(float(detections.scores[place]))
        face.shot_seconds_at_last_detection = self.shots.seconds


def return_costs(found: np.ndarray, left: np.ndarray) -> np.ndarray:
    """(M, N): how badly each found box (M, 4) fits as the return of each box (N, 4) that left; over 1 it cannot be."""
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (found, left)]
    sizes = [np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3), axis=-1)) for boxes in (found, left)]
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1) / sizes[1][None]
    scale = np.abs(np.log(sizes[0][:, None] / sizes[1][None])) / np.log(MAX_RETURN_SCALE)
    return np.maximum(distance / MAX_RETURN_DISTANCE, scale)


def run_landmarks(times: np.ndarray, landmarks: np.ndarray, *, at: float) -> np.ndarray:
    """Landmarks (5, 2) at one moment of a run of detections (N,), (N, 5, 2): smoothed and interpolated in one step.

    A straight line is fitted to the detections around the moment, weighted by a Gaussian over time, and read off
    there. It averages the detector's jitter away without lagging behind a steady movement, at the ends of the run too.
    """
    distances = times - at
    width = max(
        SMOOTHING_SECONDS, float(np.min(np.abs(distances)))
    )  # between detections that are far apart, both neighbours must take part
    weights = np.where(np.abs(distances) <= SMOOTHING_REACH * width, np.exp(-0.5 * (distances / width) ** 2), 0.0)
    weights = weights / weights.sum()
    values = landmarks.reshape(len(times), 10).astype(np.float64)
    mean_distance, mean_value = weights @ distances, weights @ values
    spread = weights @ (distances - mean_distance) ** 2
    if spread < 1e-9:  # a single detection in reach
        return mean_value.reshape(5, 2)
    slope = (weights * (distances - mean_distance)) @ (values - mean_value) / spread
    # Outside the run the line would be a guess: hold the end.
    ahead = np.clip(0.0, distances.min(), distances.max()) - mean_distance
    return (mean_value + slope * ahead).reshape(5, 2)


def _to_track(face: _Face, *, start_seconds: float, end_seconds: float) -> FaceTrack | None:
    parts = [(run, run.between(start_seconds, end_seconds)) for run in face.runs]
    times = np.array([time for run, part in parts for time in run.times[part]])
    if len(times) == 0:
        return None
    return FaceTrack(
        track_id=face.track_id,
        times=times,
        boxes=np.stack([box for run, part in parts for box in run.boxes[part]]).astype(np.float32),
        landmarks=np.stack([points for run, part in parts for points in run.landmarks[part]]).astype(np.float32),
        scores=np.array([score for run, part in parts for score in run.scores[part]], dtype=np.float32),
    )
