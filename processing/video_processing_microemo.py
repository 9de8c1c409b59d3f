"""Video processor: frames and face crops as normalised tensors with times.

Frames are resized to one square size, so that videos of different shapes can be batched. Shorter videos are padded
with zeros, and `frame_mask` is False there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, PILImageResampling, SizeDict
from transformers.processing_utils import Unpack, VideosKwargs
from transformers.utils import logging
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata

from .clip_tensors import TimedFeatures
from .video_reading import open_video

logger = logging.get_logger(__name__)

FALLBACK_FPS = 24.0  # for frames without times, as elsewhere in transformers


@dataclass
class TimedVideoMetadata(VideoMetadata):
    """Video metadata with the exact time of every sampled frame; a variable frame rate has no `fps`."""

    frame_times: list[float] | None = None

    @property
    def timestamps(self) -> list[float]:
        """Times of the sampled frames in seconds."""
        return super().timestamps if self.frame_times is None else self.frame_times


def frame_metadata(times: list[float]) -> TimedVideoMetadata:
    """Returns the metadata of frames sampled at `times`, in seconds."""
    indices = list(range(len(times)))
    return TimedVideoMetadata(total_num_frames=len(times), frames_indices=indices, frame_times=times)


class MicroEmoVideoProcessorKwargs(VideosKwargs, total=False):
    """
    max_frames (`int`, *optional*):
        Most frames sampled from a video when neither `num_frames` nor `fps` is given; a shorter video keeps all.
    face_size (`int`, *optional*):
        Height and width of face crops in pixels.
    face_mean (`list[float]`, *optional*):
        Mean of the face tower's normalisation.
    face_std (`list[float]`, *optional*):
        Standard deviation of the face tower's normalisation.
    """

    max_frames: int
    face_size: int
    face_mean: list[float] | tuple[float, ...]
    face_std: list[float] | tuple[float, ...]


class MicroEmoVideoProcessor(BaseVideoProcessor):
    """Converts videos to `pixel_values_videos` (B, T, 3, H, W), `frame_times` (B, T) and `frame_mask` (B, T)."""

    resample = PILImageResampling.BICUBIC
    image_mean = list(IMAGENET_DEFAULT_MEAN)
    image_std = list(IMAGENET_DEFAULT_STD)
    size = {"height": 224, "width": 224}
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True
    do_sample_frames = True
    max_frames = 32
    face_size = 112
    face_mean = list(IMAGENET_DEFAULT_MEAN)
    face_std = list(IMAGENET_DEFAULT_STD)
    valid_kwargs = MicroEmoVideoProcessorKwargs  # type: ignore[assignment]
    model_input_names = ["pixel_values_videos", "frame_times", "frame_mask"]

    def __init__(self, **kwargs: Unpack[MicroEmoVideoProcessorKwargs]):
        super().__init__(**kwargs)  # type: ignore[misc]

    def sample_frames(
        self,
        metadata: VideoMetadata,
        num_frames: int | None = None,
        fps: int | float | None = None,
        max_frames: int | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Returns frame indices: by `num_frames` or `fps` if given, else at most `max_frames`, evenly spaced."""
        if num_frames is None and fps is None:
            num_frames = min(max_frames or self.max_frames, metadata.total_num_frames)
        return super().sample_frames(metadata, num_frames=num_frames, fps=fps)

    def fetch_videos(self, video_url_or_urls, sample_indices_fn: Callable | None = None):
        """Returns the sampled frames (T, H, W, 3) uint8 of a path or URL and their metadata, or lists of both."""
        if isinstance(video_url_or_urls, (list, tuple)):
            fetched = [self.fetch_videos(video, sample_indices_fn=sample_indices_fn) for video in video_url_or_urls]
            return [list(column) for column in zip(*fetched, strict=True)]
        with open_video(video_url_or_urls) as reader:
            metadata = TimedVideoMetadata(
                total_num_frames=len(reader),
                fps=len(reader) / reader.duration_seconds,
                width=reader.width,
                height=reader.height,
                duration=reader.duration_seconds,
                video_backend=reader.backend,
            )
            indices = np.arange(len(reader)) if sample_indices_fn is None else sample_indices_fn(metadata=metadata)
            batches = list(reader.read(np.unique(indices)))
            if not batches:
                raise ValueError(f"no frame of {video_url_or_urls!r} can be read")
            decoded = np.concatenate([positions for positions, _ in batches])  # damaged frames are left out
            metadata.frames_indices = decoded.tolist()
            metadata.frame_times = reader.times[decoded].tolist()
        return np.concatenate([pictures for _, pictures in batches]), metadata

    def preprocess(self, videos, **kwargs: Unpack[MicroEmoVideoProcessorKwargs]) -> BatchFeature:
        """Returns the tensors named in the class docstring.

        Args:
            videos: path, URL, array (T, H, W, 3) or (T, 3, H, W) uint8, list of PIL frames, or a list of these.
            **kwargs: see `MicroEmoVideoProcessorKwargs`; `video_metadata` gives the times of arrays.
        """
        return_tensors = kwargs.pop("return_tensors", None)
        return_metadata = kwargs.pop("return_metadata", self.return_metadata)
        features = super().preprocess(videos, return_metadata=True, **kwargs)
        frames = features["pixel_values_videos"]
        metadata = features["video_metadata"]
        times = [_frame_times(entry, len(video)) for entry, video in zip(metadata, frames, strict=True)]
        data = {
            "pixel_values_videos": _pad_stack(frames),
            "frame_times": _pad_stack([torch.tensor(row, dtype=torch.float32) for row in times]),
            "frame_mask": _pad_stack([torch.ones(len(row), dtype=torch.bool) for row in times]),
        }
        if return_metadata:
            data["video_metadata"] = metadata
        return TimedFeatures(data, tensor_type=return_tensors, skip_tensor_conversion=["video_metadata"])

    def preprocess_faces(self, crops: np.ndarray) -> torch.Tensor:
        """Converts face crops (F, h, w, 3) uint8 RGB to (F, 3, face_size, face_size) float32, normalised."""
        if crops.ndim != 4 or crops.shape[-1] != 3 or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (F, h, w, 3) uint8, got {crops.shape} {crops.dtype}")
        faces = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2)
        if faces.shape[-2:] != (self.face_size, self.face_size):
            size = SizeDict(height=self.face_size, width=self.face_size)
            faces = self.resize(faces, size=size, resample=self.resample)
        mean: Any = tuple(self.face_mean)  # hashable, for an internal cache
        std: Any = tuple(self.face_std)
        return self.rescale_and_normalize(faces, True, self.rescale_factor, True, mean, std)


def _frame_times(metadata: VideoMetadata, count: int) -> Sequence[float]:
    """Times, in seconds, of the `count` frames of one video."""
    if metadata.frames_indices is None:
        metadata.frames_indices = list(range(count))
    has_times = isinstance(metadata, TimedVideoMetadata) and metadata.frame_times is not None
    if not has_times and metadata.fps is None:
        logger.warning_once(
            f"Frames were given without times, {FALLBACK_FPS} fps is assumed. Pass `video_metadata` with `fps` "
            "and `frames_indices`: wrong times give wrong answers."
        )
    times = (
        metadata.timestamps
        if has_times or metadata.fps
        else [index / FALLBACK_FPS for index in metadata.frames_indices]
    )
    if len(times) != count:
        raise ValueError(f"video_metadata has the times of {len(times)} frames, the video has {count} frames")
    return times


def _pad_stack(rows: list[torch.Tensor]) -> torch.Tensor:
    """Stacks rows of different lengths (T_i, ...) into one tensor (B, T, ...), padded with zeros (False)."""
    shapes = {tuple(row.shape[1:]) for row in rows}
    if len(shapes) > 1:
        raise ValueError(f"videos of one batch must have one size after resizing, got {sorted(shapes)}")
    padded = rows[0].new_zeros((len(rows), max(len(row) for row in rows), *rows[0].shape[1:]))
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


__all__ = ["MicroEmoVideoProcessor", "TimedVideoMetadata"]
