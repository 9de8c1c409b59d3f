"""Checks written weights and settings by reading them back, one tensor at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.timechat.sharded_writer import Progress, tensor_checksum
from microemo.conversion.timechat.weight_files import folder_files
from microemo.processing.processing_microemo import MicroEmoProcessor


def check_weights(
    folder: Path,
    *,
    targets: Mapping[str, torch.Tensor],
    dtype: torch.dtype,
    checksums: Mapping[str, int],
    progress: Progress | None = None,
) -> None:
    """Raises `ValueError` unless the folder has exactly the tensors `targets`, finite and with these checksums.

    Args:
        folder: Of a model.
        targets: The model's tensors by name, on the meta device.
        dtype: Of floating-point tensors.
        checksums: Of every tensor when it was written.
        progress: Called with a stage, files done and their total.
    """
    checked: set[str] = set()
    files = folder_files(folder)
    for number, file in enumerate(files):
        if progress is not None:
            progress("checking", number, len(files))
        with safe_open(file, framework="pt") as tensors:
            names = set(tensors.keys())
            if unexpected := sorted(names - set(targets)):
                raise ValueError(f"{file.name} holds tensors that the model does not have: {unexpected[:5]}")
            for name in names:
                _check_tensor(name, tensors.get_tensor(name), targets[name], dtype=dtype)
                if tensor_checksum(tensors.get_tensor(name)) != checksums[name]:
                    raise ValueError(f"{name} differs from what was written: remove {file} and convert again")
        checked |= names
    if missing := sorted(set(targets) - checked):
        raise ValueError(f"{folder} lacks tensors of the model: {missing[:5]}")
    if progress is not None:
        progress("checking", len(files), len(files))


def _check_tensor(name: str, tensor: torch.Tensor, target: torch.Tensor, *, dtype: torch.dtype) -> None:
    expected = dtype if target.is_floating_point() else target.dtype
    if tensor.shape != target.shape or tensor.dtype != expected:
        raise ValueError(
            f"{name} is {tuple(tensor.shape)} {tensor.dtype} on the disk, must be {tuple(target.shape)} {expected}"
        )
    if not tensor.isfinite().all():
        raise ValueError(f"{name} has values that are not finite, in the original or beyond the range of {expected}")


def check_settings(folder: Path, *, config: MicroEmoConfig) -> None:
    """Raises `ValueError` unless config and processor load and agree on tokens and segments."""
    loaded = MicroEmoConfig.from_pretrained(folder)
    processor = MicroEmoProcessor.from_pretrained(folder)
    pairs = {
        "video_token_id": (loaded.video_token_id, processor.video_token_id),
        "audio_token_id": (loaded.audio_token_id, processor.audio_token_id),
        "utterance_end_token_id": (loaded.utterance_end_token_id, processor.utterance_end_token_id),
        "timestamp": (loaded.timestamp, processor.timestamp),
        "utterance_mode": (loaded.utterance_mode, processor.utterance_mode),
        "window_frames": (loaded.window_frames, processor.window_frames),
        "window_stride": (loaded.window_stride, processor.window_stride),
        "tokens of a video segment": (
            loaded.video_qformer_config.num_query_tokens,
            processor.video_tokens_per_segment,
        ),
        "tokens of an audio segment": (
            loaded.audio_qformer_config.num_query_tokens,
            processor.audio_tokens_per_segment,
        ),
    }
    if wrong := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
        raise ValueError(f"model and processor of {folder} differ, (model, processor): {wrong}")
    if (theirs := _settings(loaded)) != (ours := _settings(config)):
        changed = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
        raise ValueError(f"config.json of {folder} is not the config that was converted: {changed} differ")


def _settings(config: MicroEmoConfig) -> dict:
    settings = config.to_dict()
    for name in ("transformers_version", "architectures", "_name_or_path"):
        settings.pop(name, None)
    return settings
