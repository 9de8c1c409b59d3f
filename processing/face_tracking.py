"""Tracks faces from frame to frame with SORT, shot detection and re-identification; interpolates landmarks.

facexlib's `SORT` class fails with numpy >= 1.25 (it compares arrays with `[]`), so only its Kalman filter is used and
the assignment is done here. In addition to SORT, a face gets its track id back after a short absence or after a
reverse shot if its position and size agree.
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

MIN_OVERLAP = 0.25  # intersection over union of a face's predicted and detected box
RUN_GAP_SECONDS = 0.5  # longest gap between detections of a face over which its landmarks are interpolated
MAX_ABSENCE_SECONDS = 3.0  # time of its shot on screen after which a returning face is a new person
MAX_RETURN_DISTANCE = 1.0  # in face sizes, between the last and the new position of a returning face
MAX_RETURN_SCALE = 1.6  # ratio of the face sizes before and after an absence
MIN_DETECTIONS = 2  # a face detected only once is a false alarm, unless the detector ran only once

SMOOTHING_SECONDS = 0.1  # standard deviation of the temporal smoothing kernel
SMOOTHING_REACH = 2.5  # in standard deviations
NEAR_SECONDS = SMOOTHING_REACH * RUN_GAP_SECONDS  # detections further away have no weight


@dataclass
class _Run:
    """Uninterrupted detections of one face, with the frame thumbnails at both ends."""

    first_thumbnail: np.ndarray
    last_thumbnail: np.ndarray
    times: list[float] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    landmarks: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def between(self, start_seconds: float, end_seconds: float) -> slice:
        """Slice of the detections from start (inclusive) to end (exclusive)."""
        return slice(bisect.bisect_left(self.times, start_seconds), bisect.bisect_left(self.times, end_seconds))


@dataclass
class _Face:
    """One identity: its shot, Kalman filter and runs, and when it was last detected."""

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
    """Tracks faces through detections that are given frame by frame, in order of time."""

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
        """Time of the last update; -inf before the first."""
        return self.update_times[-1] if self.update_times else -np.inf

    def update(self, time: float, detections: FaceDetections, *, thumbnail: np.ndarray) -> None:
        """Adds the faces detected at `time` seconds; the frame's `frame_thumbnail` reveals shot changes."""
        if time <= self.time:
            raise ValueError(f"time must increase, got {time} after {self.time}")
        gap = time - self.time
        self.update_times.append(time)
        cut = self.shots.enter(thumbnail, seconds=gap)
        self.update_shots.append(self.shots.current)
        active = [] if cut else [face for face in self.faces if self._is_active(face)]
        unmatched = self._match_active(active, detections, np.arange(len(detections)))
        unmatched = self._match_returning(detections, unmatched)
        for row in unmatched:
            self._add_face(detections, int(row))

    def tracks(self, *, start_seconds: float = -np.inf, end_seconds: float = np.inf) -> tuple[FaceTrack, ...]:
        """Tracks with detections from start (inclusive) to end (exclusive), by first appearance."""
        confirmed = self.confirmed_ids()
        tracks = [
            _to_track(face, start_seconds=start_seconds, end_seconds=end_seconds)
            for face in self.faces
            if face.track_id in confirmed
        ]
        return tuple(track for track in tracks if track is not None)

    def confirmed_ids(self) -> set[int]:
        """Track ids of the faces that have enough detections not to be false alarms."""
        required = min(MIN_DETECTIONS, len(self.update_times))
        return {face.track_id for face in self.faces if face.detections() >= required}

    def landmarks_at(self, time: float, *, thumbnail: Callable[[], np.ndarray]) -> dict[int, np.ndarray]:
        """Smoothed landmarks (5, 2) of every face visible at `time`, by track id.

        `thumbnail` returns the `frame_thumbnail` of that frame; it is called only near the end of a run. The result is
        final once the tracker has been updated up to `time + RUN_GAP_SECONDS`.
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
        """Whether the face of a run is visible at `time`: between its detections, or near an end of the run::

            detections   -   -   F   F   F   -   -      F: detected, -: not detected
            visible           [---------------]

        Beyond an end it is visible up to halfway to the next detection frame without it. Next to a shot change, the
        thumbnail decides to which shot the frame belongs.
        """
        first, last = run.times[0], run.times[-1]
        if first <= time <= last:
            return True
        end, step, picture = (first, -1, run.first_thumbnail) if time < first else (last, 1, run.last_thumbnail)
        update = bisect.bisect_left(self.update_times, end)
        limit = RUN_GAP_SECONDS / 2
        if 0 <= update + step < len(self.update_times):
            distance = abs(self.update_times[update + step] - end)
            same_shot = self.update_shots[update + step] == self.update_shots[update]
            limit = min(limit, distance / 2 if same_shot else distance)
        return abs(time - end) < limit and thumbnail_difference(picture, thumbnail()) < SHOT_THRESHOLD

    def _is_active(self, face: _Face) -> bool:
        return face.shot == self.shots.current and self.time - face.last_time <= RUN_GAP_SECONDS

    def _match_active(self, active: list[_Face], detections: FaceDetections, unmatched: np.ndarray) -> np.ndarray:
        """Assigns detections to faces by overlap with the Kalman prediction; returns the unmatched rows."""
        if not active:
            return unmatched
        predicted = np.stack([np.ravel(face.kalman.predict()) for face in active])
        overlaps = np.nan_to_num(box_overlaps(detections.boxes, predicted))
        rows, columns = linear_sum_assignment(-overlaps)
        for row, column in zip(rows, columns, strict=True):
            if overlaps[row, column] >= MIN_OVERLAP:
                self._extend(active[column], detections, int(row), new_run=False)
                unmatched = unmatched[unmatched != row]
        return unmatched

    def _match_returning(self, detections: FaceDetections, unmatched: np.ndarray) -> np.ndarray:
        """Assigns detections to absent faces by last position and size; returns the unmatched rows."""
        seconds = self.shots.seconds
        absent = [
            face
            for face in self.faces
            if face.shot == self.shots.current
            and face.last_time < self.time
            and seconds - face.shot_seconds_at_last_detection <= self.max_absence_seconds
        ]
        if not absent or not len(unmatched):
            return unmatched
        costs = return_costs(detections.boxes[unmatched], np.stack([face.last_box for face in absent]))
        rows, columns = linear_sum_assignment(costs)
        matched = []
        for row, column in zip(rows, columns, strict=True):
            if costs[row, column] <= 1:
                face, detection = absent[column], int(unmatched[row])
                new_run = self.time - face.last_time > RUN_GAP_SECONDS or self._was_interrupted(face)
                self._extend(face, detections, detection, new_run=new_run)
                matched.append(detection)
        return unmatched[~np.isin(unmatched, matched)]

    def _was_interrupted(self, face: _Face) -> bool:
        """True if another shot was on screen since the face was last detected."""
        return any(other.shot != face.shot and other.last_time > face.last_time for other in self.faces)

    def _add_face(self, detections: FaceDetections, row: int) -> None:
        kalman = KalmanBoxTracker(detections.boxes[row].astype(np.float64))
        face = _Face(track_id=len(self.faces), shot=self.shots.current, kalman=kalman, runs=[])
        self.faces.append(face)
        self._append(face, detections, row, new_run=True)

    def _extend(self, face: _Face, detections: FaceDetections, row: int, *, new_run: bool) -> None:
        box = detections.boxes[row].astype(np.float64)
        if new_run:
            face.kalman = KalmanBoxTracker(box)
        else:
            face.kalman.kf.update(convert_bbox_to_z(box))
        self._append(face, detections, row, new_run=new_run)

    def _append(self, face: _Face, detections: FaceDetections, row: int, *, new_run: bool) -> None:
        thumbnail = self.shots.thumbnail
        if new_run:
            face.runs.append(_Run(thumbnail, thumbnail))
        run = face.runs[-1]
        run.last_thumbnail = thumbnail
        run.times.append(self.time)
        run.boxes.append(detections.boxes[row])
        run.landmarks.append(detections.landmarks[row])
        run.scores.append(float(detections.scores[row]))
        face.shot_seconds_at_last_detection = self.shots.seconds


def return_costs(detected: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(M, N): cost of matching detected boxes (M, 4) to the last boxes (N, 4) of absent faces; over 1 is no match."""
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (detected, last)]
    sizes = [np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3), axis=-1)) for boxes in (detected, last)]
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1) / sizes[1][None]
    scale = np.abs(np.log(sizes[0][:, None] / sizes[1][None])) / np.log(MAX_RETURN_SCALE)
    return np.maximum(distance / MAX_RETURN_DISTANCE, scale)


def run_landmarks(times: np.ndarray, landmarks: np.ndarray, *, at: float) -> np.ndarray:
    """Landmarks (5, 2) at one time from a run of detections (N,), (N, 5, 2): smoothed and interpolated in one step.

    A line is fitted to the detections around that time with Gaussian weights (local linear regression). It reduces the
    detector's jitter without lagging behind steady movement, also at the ends of a run.
    """
    distances = times - at
    # Between distant detections the kernel is widened, so that both neighbours have weight.
    width = max(SMOOTHING_SECONDS, float(np.min(np.abs(distances))))
    weights = np.where(np.abs(distances) <= SMOOTHING_REACH * width, np.exp(-0.5 * (distances / width) ** 2), 0.0)
    weights = weights / weights.sum()
    values = landmarks.reshape(len(times), 10).astype(np.float64)
    mean_distance, mean_value = weights @ distances, weights @ values
    spread = weights @ (distances - mean_distance) ** 2
    if spread < 1e-9:  # a single detection has weight
        return mean_value.reshape(5, 2)
    slope = (weights * (distances - mean_distance)) @ (values - mean_value) / spread
    # No extrapolation beyond the run: the value at its end is held.
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
