"""Padded tensors of a batch of clips: audio windows, faces, utterance times, labels.

B clips, W audio windows, F face crops, U utterances, N text tokens. Padding is zero, and False in masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers.feature_extraction_utils import BatchFeature

from .clip import Clip
from .facial_actions import ACTION_NAMES, relative_to_rest

TIME_SENTENCE = (
    "This frame is sampled at {seconds:.1f} second."  # InstructBLIP's Q-Former reads it together with the frame
)
MAX_TIME_SENTENCE_TOKENS = 32
TIME_SUFFIX = "_times"  # frame_times, face_times, utterance_times: seconds
IGNORE_INDEX = -100  # label that the loss ignores
# Face measurements: shape per crop and type.
READINGS: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
    "face_actions": ((52,), torch.float32),
    "head_pose": ((3,), torch.float32),
    "gaze": ((2,), torch.float32),
    "face_actions_mask": ((), torch.bool),
}


class TimedFeatures(BatchFeature):
    """A `BatchFeature` whose times in seconds keep their precision.

        inputs = processor.from_clip(clip, question=...).to("cuda", torch.bfloat16)

    At 30 seconds bfloat16 has a resolution of 0.125 s, so neighbouring frames would get the same time. `to` therefore
    moves
    times to the device but does not cast them.
    """

    def to(self, *args: Any, **kwargs: Any) -> TimedFeatures:
        """As `BatchFeature.to`, but times keep their type."""
        times = {
            name: value
            for name, value in self.data.items()
            if name.endswith(TIME_SUFFIX) and isinstance(value, torch.Tensor)
        }
        super().to(*args, **kwargs)
        self.data.update({name: value.to(self.data[name].device) for name, value in times.items()})
        return self


def split_windows(waveform: np.ndarray, *, window_samples: int) -> list[np.ndarray]:
    """Splits a waveform (S,) into consecutive windows, the last one shorter.

    |-- window 0 --|-- window 1 --|- 2 -|
    """
    if waveform.ndim != 1 or len(waveform) == 0:
        raise ValueError(f"audio must be a mono waveform (S,) with S > 0, got shape {waveform.shape}")
    return [waveform[start : start + window_samples] for start in range(0, len(waveform), window_samples)]


def audio_windows(
    waveforms: Sequence[np.ndarray], *, feature_extractor: Any, sampling_rate: int | None
) -> dict[str, torch.Tensor]:
    """Returns `input_features` (B, W, mel, frames) and `audio_mask` (B, W, frames), True for real audio.

    Raises `ValueError` if `sampling_rate` differs from the feature extractor's.
    """
    rate = feature_extractor.sampling_rate
    if sampling_rate is not None and sampling_rate != rate:
        raise ValueError(f"sampling_rate is {sampling_rate}, the audio tower needs {rate}: resample the audio")
    features, masks = [], []
    for waveform in waveforms:
        windows = split_windows(_mono(waveform), window_samples=feature_extractor.n_samples)
        extracted = feature_extractor(windows, sampling_rate=rate, return_attention_mask=True, return_tensors="pt")
        features.append(extracted["input_features"])
        masks.append(extracted["attention_mask"].bool())
    return {"input_features": pad_rows(features), "audio_mask": pad_rows(masks)}


def _mono(waveform: Any) -> np.ndarray:
    """Converts any (S,) or (1, S) array, tensor or list to (S,) float32."""
    array = np.asarray(waveform, dtype=np.float32)
    return array[0] if array.ndim == 2 and len(array) == 1 else array


def face_tensors(
    clips: Sequence[Clip], *, preprocess: Callable[[np.ndarray], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Returns `face_pixel_values`, `face_times`, `face_track_ids`, `face_mask`; empty if no clip has a face.

    If faces were measured, also `face_actions`, `relative_face_actions`, `head_pose`, `gaze` and `face_actions_mask`.
    """
    present = [clip.face_crops is not None and len(clip.face_crops) > 0 for clip in clips]
    if not any(present):
        return {}
    with_faces = [clip for clip, has_faces in zip(clips, present, strict=True) if has_faces]
    pixels = [preprocess(clip.face_crops) for clip in with_faces if clip.face_crops is not None]
    times = [torch.tensor(relative_times(clip.face_times, clip), dtype=torch.float32) for clip in with_faces]
    tensors = {
        "face_pixel_values": pad_rows(pixels),
        "face_times": pad_rows(times),
        "face_track_ids": pad_rows([torch.as_tensor(np.asarray(clip.face_track_ids)).long() for clip in with_faces]),
        "face_mask": pad_rows([torch.ones(len(row), dtype=torch.bool) for row in times]),
    }
    if any(clip.face_actions is not None for clip in with_faces):
        tensors |= _reading_tensors(with_faces)
        tensors["relative_face_actions"] = pad_rows([relative_actions(clip) for clip in with_faces])
    return {name: scatter_rows(value, present=present) for name, value in tensors.items()}


def _reading_tensors(clips: Sequence[Clip]) -> dict[str, torch.Tensor]:
    """Measurements of the faces of clips with faces; zeros and False for clips without measurements."""
    return {
        name: pad_rows(
            [
                torch.as_tensor(np.asarray(getattr(clip, name))).to(dtype)
                if clip.face_actions is not None
                else torch.zeros((len(clip.face_times), *shape), dtype=dtype)  # type: ignore[arg-type]
                for clip in clips
            ]
        )
        for name, (shape, dtype) in READINGS.items()
    }


def relative_actions(clip: Clip) -> torch.Tensor:
    """(F, 52) float32: facial actions relative to each person's rest; zero where not measured."""
    count = 0 if clip.face_times is None else len(clip.face_times)
    relative = np.zeros((count, len(ACTION_NAMES)), np.float32)
    if clip.face_actions is not None:
        tracks, times = np.asarray(clip.face_track_ids), np.asarray(clip.face_times)
        mask = np.asarray(clip.face_actions_mask)
        for track_id in np.unique(tracks):
            rows = tracks == track_id
            relative[rows] = relative_to_rest(clip.face_actions[rows], times[rows], mask=mask[rows])
    return torch.from_numpy(relative)


def relative_times(times: np.ndarray | None, clip: Clip) -> list[float]:
    """Converts times on the container's clock to seconds since the clip's start."""
    return [] if times is None else [float(time) - clip.start_seconds for time in times]


def time_tensors(spans: Sequence[Sequence[tuple[float, float]]]) -> dict[str, torch.Tensor]:
    """Returns `utterance_times` (B, U, 2) in seconds and `utterance_mask` (B, U) of each clip's (start, end) pairs."""
    rows = [torch.tensor(row, dtype=torch.float32).reshape(-1, 2) for row in spans]
    masks = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    return {"utterance_times": pad_rows(rows), "utterance_mask": pad_rows(masks)}


def count_frames(mask: Any) -> int:
    """Number of True entries of one clip's mask (T,)."""
    return int(torch.as_tensor(mask).sum())


def time_sentences(frame_times: Any, *, tokenizer: Any) -> dict[str, torch.Tensor]:
    """Returns `qformer_input_ids` and `qformer_attention_mask` (B, T, L): a sentence with each time of (B, T)."""
    times = torch.as_tensor(frame_times)
    tokens = tokenizer(
        # Rounded to milliseconds first: float32 0.15 is slightly larger and would become 0.2.
        [TIME_SENTENCE.format(seconds=round(seconds, 3)) for seconds in times.flatten().tolist()],
        padding="longest",
        padding_side="right",  # positions count from the first word, independent of the tokenizer's own padding side
        truncation=True,
        max_length=MAX_TIME_SENTENCE_TOKENS,
        return_tensors="pt",
    )
    names = ("input_ids", "attention_mask")
    return {f"qformer_{name}": tokens[name].reshape(*times.shape, -1) for name in names}


def labels_outside_answers(input_ids: Any, assistant_masks: Any) -> torch.Tensor:
    """Token ids (B, N) where the mask is 1, `IGNORE_INDEX` elsewhere."""
    ids, mask = torch.as_tensor(input_ids), torch.as_tensor(assistant_masks).bool()
    return ids.masked_fill(~mask, IGNORE_INDEX)


def pad_rows(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stacks rows of different lengths (L_i, ...) into one tensor (B, L, ...)."""
    padded = rows[0].new_zeros((len(rows), max(len(row) for row in rows), *rows[0].shape[1:]))
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


def scatter_rows(value: torch.Tensor, *, present: Sequence[bool]) -> torch.Tensor:
    """Returns `value` with zero rows inserted for the clips that are not `present`."""
    if sum(present) != len(value):
        raise ValueError(f"{len(value)} rows for {sum(present)} clips that have the stream")
    if all(present):
        return value
    scattered = value.new_zeros((len(present), *value.shape[1:]))
    scattered[torch.tensor(present)] = value
    return scattered
