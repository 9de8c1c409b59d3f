"""Reads a chunk of a video in one pass: global frames and aligned crops of every face.

Crops use landmarks smoothed over time, which needs detections from slightly later frames. Decoded frames therefore
wait in a queue until the tracker is `RUN_GAP_SECONDS` ahead: half a second of frames in memory, each decoded once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from .clip import FaceTrack, Utterance
from .crop_cache import CropCache, cache_key
from .detected_faces import FaceDetections
from .detection_record import DetectionRecord
from .face_boxes import boxed_landmarks_at
from .face_cropping import alignment_matrix, crop_face, landmarks_from_boxes
from .face_detection import FaceDetector
from .face_landmarks import Landmarker
from .face_readings import FaceMeasurer, FaceReadings
from .face_tracking import RUN_GAP_SECONDS, FaceTracker
from .frame_sampling import indices_within, sample_face_indices, sample_frame_indices, thin_indices
from .prefetch import prefetch
from .reading_chunks import Chunk
from .reading_settings import ReadingSettings
from .roi_detection import RoiDetector
from .shot_detection import frame_thumbnail
from .video_reading import VideoReader, fit_size

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FramePlan:
    """Indices of the frames that a chunk needs, increasing, (N,) each; `detections` is a subset of `faces`."""

    frames: np.ndarray
    faces: np.ndarray
    detections: np.ndarray


@dataclass(frozen=True)
class FaceCrops:
    """Crops of all faces of a chunk, by time.

    crops: (F, h, w, 3) uint8 RGB. times: (F,) seconds. track_ids: (F,).
    readings: measurements of the faces, None without a landmarker.
    """

    crops: np.ndarray
    times: np.ndarray
    track_ids: np.ndarray
    readings: FaceReadings | None = None

    def of_track(self, track_id: int) -> FaceCrops:
        return self.take(self.track_ids == track_id)

    def take(self, rows: np.ndarray) -> FaceCrops:
        """A subset of the crops."""
        readings = None if self.readings is None else self.readings.take(rows)
        return FaceCrops(self.crops[rows], self.times[rows], self.track_ids[rows], readings)


@dataclass(frozen=True)
class ChunkPictures:
    """Frames and faces of a chunk.

    frames: (T, H, W, 3) uint8 RGB, with frame_times (T,) seconds.
    sampled_times: (L,) times at which faces were looked for.
    tracks: in pixels of the displayed frame.
    """

    frames: np.ndarray
    frame_times: np.ndarray
    faces: FaceCrops
    sampled_times: np.ndarray
    tracks: tuple[FaceTrack, ...]
    detections: DetectionRecord


def plan_frames(times: np.ndarray, *, chunk: Chunk, settings: ReadingSettings, with_detector: bool) -> FramePlan:
    """Selects a chunk's frames among the video's `times` (N,)."""
    inside = indices_within(times, start_seconds=chunk.start_seconds, end_seconds=chunk.end_seconds)
    chunk_times = times[inside]
    frames = sample_frame_indices(
        chunk_times,
        utterances=chunk.utterances,
        num_frames=settings.num_frames,
        min_frames_per_utterance=settings.min_frames_per_utterance,
    )
    spans = chunk.utterances
    if settings.faces_everywhere:
        spans = (Utterance(chunk.start_seconds, chunk.end_seconds),)
    faces = sample_face_indices(chunk_times, utterances=spans, face_fps=settings.face_fps)
    detections = faces[_detection_indices(chunk_times[faces], settings=settings)] if with_detector else faces[:0]
    return FramePlan(inside[frames], inside[faces], inside[detections])


def _detection_indices(face_times: np.ndarray, *, settings: ReadingSettings) -> np.ndarray:
    """Every n-th face frame and the last one of each segment, so that no crop lies beyond the detections."""
    indices = thin_indices(face_times, rate=settings.detection_fps)
    segment_ends = np.flatnonzero(np.diff(face_times, append=np.inf) > RUN_GAP_SECONDS)
    return np.union1d(indices, segment_ends)


class ChunkReader:
    """Reads the chunks of one video in order; track ids persist from chunk to chunk.

    Args:
        video: an open reader.
        detector: None detects no faces.
        landmarker: None measures no facial actions.
        boxed_tracks: faces given by the user; then no detector runs.
        cache: stores detections and crops; `cache_parts` is what they depend on besides the chunk.
    """

    def __init__(
        self,
        video: VideoReader,
        *,
        settings: ReadingSettings,
        detector: FaceDetector | None,
        landmarker: Landmarker | None = None,
        boxed_tracks: tuple[FaceTrack, ...] = (),
        cache: CropCache | None = None,
        cache_parts: Sequence[object] = (),
    ) -> None:
        self.video, self.settings = video, settings
        self.detector = None if boxed_tracks else detector
        self.landmarker = landmarker
        self.boxed_tracks = boxed_tracks
        self.cache, self.cache_parts = cache, tuple(cache_parts)
        self.tracker = None if self.detector is None else FaceTracker()
        self.frame_size = fit_size(height=video.height, width=video.width, shortest=settings.frame_size)
        self.picture_size = fit_size(height=video.height, width=video.width, longest=settings.max_picture_side)
        self.scale = np.array([self.picture_size[1] / video.width, self.picture_size[0] / video.height])

    def read(self, chunk: Chunk, *, progress: Progress | None = None) -> ChunkPictures:
        """Reads a chunk: decodes its frames once; detections and crops come from the cache if present."""
        plan = plan_frames(
            self.video.times, chunk=chunk, settings=self.settings, with_detector=self.detector is not None
        )
        key = cache_key(*self.cache_parts, plan.faces.tolist(), plan.detections.tolist())
        stored = None if self.cache is None or self.tracker is None else self.cache.load(key)
        with_faces = self.detector is not None or bool(self.boxed_tracks)
        sampled_times = self.video.times[plan.faces]
        if stored is not None or not with_faces:
            plan = FramePlan(plan.frames, plan.faces[:0], plan.detections[:0])
        work = _ChunkPass(self, plan=plan)
        work.run(size=self.picture_size if with_faces else self.frame_size, progress=progress)
        detections = DetectionRecord.of(work.detections)
        if self.cache is not None and self.tracker is not None:
            if stored is not None:
                detections = work.replay(stored, tracker=self.tracker)
            else:
                self.cache.store(key, work.record())
        frames, frame_times = work.frames_with_times()
        return ChunkPictures(frames, frame_times, work.face_crops(), sampled_times, self.tracks(chunk), detections)

    def skip(self, detections: DetectionRecord) -> None:
        """Skips a chunk that was read before, with these detections, so that later chunks are read identically."""
        if self.tracker is not None:
            detections.replay(self.tracker)

    def landmarks_at(self, time: float, *, picture: np.ndarray) -> dict[int, np.ndarray]:
        """Landmarks (5, 2) by track id in pixels of the decoded frame."""
        if self.tracker is not None:
            return self.tracker.landmarks_at(time, thumbnail=lambda: frame_thumbnail(picture))
        present = boxed_landmarks_at(self.boxed_tracks, time=time)
        return {track_id: points * self.scale for track_id, points in present.items()}

    def tracks(self, chunk: Chunk) -> tuple[FaceTrack, ...]:
        """The chunk's tracks in pixels of the displayed frame."""
        bounds = {"start_seconds": chunk.start_seconds, "end_seconds": chunk.end_seconds}
        if self.tracker is None:
            return tuple(part for track in self.boxed_tracks if (part := _part_of(track, **bounds)) is not None)
        return tuple(_rescaled(track, scale=self.scale) for track in self.tracker.tracks(**bounds))


class _ChunkPass:
    """State of reading one chunk: selected frames, detections, crops, and frames that wait for landmarks."""

    def __init__(self, reader: ChunkReader, *, plan: FramePlan) -> None:
        self.reader, self.settings, self.plan = reader, reader.settings, plan
        # Each chunk starts with a search of the whole frame: the result is the same if the previous one was skipped.
        detector = reader.detector
        self.roi_detector = None if detector is None else RoiDetector(detector, search_fps=self.settings.search_fps)
        self.frames: list[tuple[float, np.ndarray]] = []
        landmarker = reader.landmarker
        self.measurer = (
            None if landmarker is None else FaceMeasurer(landmarker, landmark_fps=self.settings.landmark_fps)
        )
        self.stored_readings: FaceReadings | None = None  # of all crops, if cached
        self.detections: list[tuple[float, FaceDetections, np.ndarray]] = []  # with the frame's thumbnail
        self.crops: list[tuple[float, int, np.ndarray]] = []
        self.pending: deque[tuple[float, np.ndarray]] = deque()

    def run(self, *, size: tuple[int, int], progress: Progress | None) -> None:
        plan, times = self.plan, self.reader.video.times
        needed = np.union1d(np.union1d(plan.frames, plan.faces), plan.detections)
        done = detected_count = 0
        with closing(prefetch(self.reader.video.read(needed, size=size))) as batches:
            for indices, pictures in batches:
                for index, picture in zip(indices, pictures, strict=True):
                    if _contains(plan.frames, index):
                        self.frames.append((times[index], _resized(picture, size=self.reader.frame_size)))
                    if _contains(plan.faces, index):
                        self.pending.append((times[index], picture))
                done += len(indices)
                if progress is not None:
                    progress("frames", done, len(needed))
                detected = np.isin(indices, plan.detections)
                self._detect(times[indices[detected]], pictures[detected])
                self._crop_pending()
                detected_count += int(detected.sum())
                if progress is not None and len(plan.detections):
                    progress("faces", detected_count, len(plan.detections))
        self._crop_pending(flush=True)

    def _detect(self, times: np.ndarray, pictures: np.ndarray) -> None:
        tracker, roi_detector = self.reader.tracker, self.roi_detector
        if tracker is None or roi_detector is None:
            return
        new = times > tracker.time  # where chunks overlap, earlier frames were processed before
        times, pictures = times[new], pictures[new]
        thumbnails = [frame_thumbnail(picture) for picture in pictures]
        detections = roi_detector.detect(times, pictures, thumbnails=thumbnails) if len(times) else []
        for time, faces, thumbnail in zip(times.tolist(), detections, thumbnails, strict=True):
            usable = usable_faces(faces, settings=self.settings)
            tracker.update(time, usable, thumbnail=thumbnail)
            self.detections.append((time, usable, thumbnail))

    def _crop_pending(self, *, flush: bool = False) -> None:
        tracker = self.reader.tracker
        final_until = np.inf if flush or tracker is None else tracker.time - RUN_GAP_SECONDS
        while self.pending and self.pending[0][0] <= final_until:
            time, picture = self.pending.popleft()
            for track_id, points in self.reader.landmarks_at(time, picture=picture).items():
                crop = crop_face(picture, alignment_matrix(points), self.settings.face_size)
                self.crops.append((float(time), track_id, crop))
                if self.measurer is not None:
                    self.measurer.measure(float(time), picture, track_id=track_id, five_points=points)

    def record(self) -> dict[str, np.ndarray]:
        """The arrays for the cache that `replay` reads."""
        faces = self.face_crops()
        crops = {"crops": faces.crops, "crop_times": faces.times, "crop_track_ids": faces.track_ids}
        readings = {}
        if faces.readings is not None:
            readings = {"reading_rows": faces.readings.rows(), "reading_mask": faces.readings.mask}
        return {**DetectionRecord.of(self.detections).arrays(), **crops, **readings}

    def replay(self, stored: dict[str, np.ndarray], *, tracker: FaceTracker) -> DetectionRecord:
        """Restores tracker and crops to their state after `run`."""
        detections = DetectionRecord.from_arrays(stored)
        detections.replay(tracker)
        rows = zip(stored["crop_times"], stored["crop_track_ids"], stored["crops"], strict=True)
        self.crops = [(float(time), int(track_id), crop) for time, track_id, crop in rows]
        if "reading_rows" in stored:
            self.stored_readings = FaceReadings.from_rows(stored["reading_rows"], stored["reading_mask"])
        return detections

    def frames_with_times(self) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.reader.frame_size
        frames = np.zeros((len(self.frames), height, width, 3), dtype=np.uint8)
        for target, (_, frame) in zip(frames, self.frames, strict=True):
            target[:] = frame
        return frames, np.array([time for time, _ in self.frames], dtype=np.float64)

    def face_crops(self) -> FaceCrops:
        """All crops except those of tracks that turned out to be false alarms."""
        size = self.settings.face_size
        tracker = self.reader.tracker
        confirmed = None if tracker is None else tracker.confirmed_ids()
        is_confirmed = np.array(
            [confirmed is None or track_id in confirmed for _, track_id, _ in self.crops], dtype=bool
        )
        rows = [row for row, keep in zip(self.crops, is_confirmed, strict=True) if keep]
        crops = np.zeros((len(rows), size, size, 3), dtype=np.uint8)
        for target, (_, _, crop) in zip(crops, rows, strict=True):
            target[:] = crop
        times = np.array([time for time, _, _ in rows], dtype=np.float64)
        track_ids = np.array([track_id for _, track_id, _ in rows], dtype=np.int64)
        readings = None
        if self.stored_readings is not None:
            readings = self.stored_readings.take(is_confirmed)
        elif self.measurer is not None:
            readings = self.measurer.readings(times, track_ids)
        return FaceCrops(crops, times, track_ids, readings)


def usable_faces(faces: FaceDetections, *, settings: ReadingSettings) -> FaceDetections:
    """The largest faces above the minimum size, all with landmarks."""
    sides = np.sqrt(np.prod(np.maximum(faces.boxes[:, 2:] - faces.boxes[:, :2], 0), axis=-1))
    order = np.argsort(-sides, kind="stable")[: settings.max_faces]
    usable = order[(sides[order] >= settings.min_face_size) & (sides[order] > 0)]
    without_landmarks = np.isnan(faces.landmarks[usable]).any(axis=(1, 2))[:, None, None]
    landmarks = np.where(without_landmarks, landmarks_from_boxes(faces.boxes[usable]), faces.landmarks[usable])
    return FaceDetections(faces.boxes[usable], landmarks.astype(np.float32), faces.scores[usable])


def _contains(increasing: np.ndarray, value: int) -> bool:
    index = np.searchsorted(increasing, value)
    return bool(index < len(increasing) and increasing[index] == value)


def _resized(picture: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """A copy at (height, width), so that its batch can be freed."""
    if picture.shape[:2] == size:
        return picture.copy()
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _part_of(track: FaceTrack, *, start_seconds: float, end_seconds: float) -> FaceTrack | None:
    inside = (track.times >= start_seconds) & (track.times < end_seconds)
    if not inside.any():
        return None
    return FaceTrack(
        track.track_id, track.times[inside], track.boxes[inside], track.landmarks[inside], track.scores[inside]
    )


def _rescaled(track: FaceTrack, *, scale: np.ndarray) -> FaceTrack:
    """The track with pixels divided by the (x, y) scale."""
    boxes = track.boxes / np.tile(scale, 2)
    return replace(track, boxes=boxes.astype(np.float32), landmarks=(track.landmarks / scale).astype(np.float32))
