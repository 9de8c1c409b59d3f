"""Disk caches for the outputs of frozen modules, keyed by a hash of the inputs and of the module's weights.

Frozen towers return the same features in every epoch, and on a CPU they take most of a training step.
`cache_tower_features` caches the towers, `cache_face_features` the face dynamics as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from microemo import MicroEmoModel
from microemo.outputs import MicroEmoFaceFeatures
from microemo.placement import lay_out_for_cpu
from microemo.processing.crop_cache import CropCache

KEY_BYTES = 16
TOWERS = ("frame_tower", "face_tower", "audio_tower")
STORED_DTYPE = np.float16


class FeatureCache:
    """Append-only disk store of equally shaped float16 arrays. Several processes may write at once.

    Each writer has its own pair of files: {writer}.keys holds the keys, {writer}.features the arrays in the same
    order. Entries of other writers are visible after the cache is opened again.

    Args:
        folder: one folder for each tower.
        writer: unique among the processes that write at the same time.
    """

    def __init__(self, folder: Path, *, writer: str = "0") -> None:
        self.folder, self.writer = folder, writer
        folder.mkdir(parents=True, exist_ok=True)
        self._entries: dict[bytes, tuple[Path, int]] = {}  # key -> features file, index in it
        for keys_file in sorted(folder.glob("*.keys")):
            keys = keys_file.read_bytes()
            for index in range(len(keys) // KEY_BYTES):
                key = keys[index * KEY_BYTES : (index + 1) * KEY_BYTES]
                self._entries[key] = (keys_file.with_suffix(".features"), index)
        self._shape_file = folder / "shape.txt"
        self._features_file = folder / f"{writer}.features"
        written_keys = folder / f"{writer}.keys"
        self._num_written = written_keys.stat().st_size // KEY_BYTES if written_keys.is_file() else 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> np.ndarray:
        """Returns the array of a key that is in the cache."""
        path, index = self._entries[key]
        shape = tuple(map(int, self._shape_file.read_text().split()))
        size = int(np.prod(shape))
        offset = index * size * STORED_DTYPE().itemsize
        return np.fromfile(path, STORED_DTYPE, count=size, offset=offset).reshape(shape)

    def add(self, key: bytes, array: np.ndarray) -> None:
        """Appends an array. The first array fixes the shape of the cache."""
        if not self._shape_file.is_file():
            self._shape_file.write_text(" ".join(map(str, array.shape)))
        # An interrupted process may have written an array without its key: overwrite it.
        offset = self._num_written * array.size * STORED_DTYPE().itemsize
        mode = "r+b" if self._features_file.is_file() else "wb"
        with self._features_file.open(mode) as file:
            file.seek(offset)
            file.write(array.astype(STORED_DTYPE).tobytes())
        with self._features_file.with_suffix(".keys").open("ab") as file:
            file.write(key)
        self._entries[key] = (self._features_file, self._num_written)
        self._num_written += 1


def cache_tower_features(model: nn.Module, *, folder: Path, towers: Sequence[str] = TOWERS, writer: str = "0") -> None:
    """Patches the forward of the named towers to read from a `FeatureCache` and compute only missing entries.

    Features are stored in float16. The names in the state dict do not change.

    Raises:
        ValueError: a tower is trainable, so that its features change at every step.
    """
    for name, tower in model.named_modules():
        tower_name = name.rsplit(".", 1)[-1]
        if tower_name in towers and isinstance(tower, PreTrainedModel):
            if any(parameter.requires_grad for parameter in tower.parameters()):
                raise ValueError(f"the features of {tower_name} cannot be cached, as it is trained")
            lay_out_for_cpu(tower)
            cache = FeatureCache(folder / f"{tower_name}-{weights_hash(tower)}", writer=writer)
            # Patched on the instance: a wrapper module would change the names in the state dict.
            tower.forward = _cached_tower_forward(tower.forward, cache=cache)


def cache_face_features(model: nn.Module, *, folder: Path) -> None:
    """Patches `get_face_features` of a model to read whole clips from a `CropCache` and compute only missing ones.

    This saves the transformer of the micro-dynamics, the largest part of a step without the language model. Features
    are stored in float16.

    Raises:
        ValueError: the face tower or the dynamics are trainable, or the dynamics have dropout; either changes the
            features at every step.
    """
    core = next(module for module in model.modules() if isinstance(module, MicroEmoModel))
    if not core.config.use_local_branch:
        return
    tower = core.frame_tower if core.face_tower is None else core.face_tower
    for name, part in (("the face tower", tower), ("micro_dynamics", core.micro_dynamics)):
        if any(parameter.requires_grad for parameter in part.parameters()):
            raise ValueError(f"face features cannot be cached, as {name} is trained")
    config = core.config.dynamics_config
    if config.hidden_dropout_prob or config.attention_probs_dropout_prob:
        raise ValueError("face features cannot be cached, as dynamics_config has dropout; set it to 0")
    mirrored = "-mirrored" if config.use_mirrored_view else ""
    hashes = f"{weights_hash(tower)}-{weights_hash(core.micro_dynamics)}"
    cache = CropCache(folder / f"faces-{hashes}{mirrored}")
    # Patched on the instance, as the towers are.
    core.get_face_features = _cached_face_features(core.get_face_features, cache=cache)


def weights_hash(module: nn.Module) -> str:
    """A short hash of a module's parameters and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _cached_tower_forward(forward: Callable[..., Any], *, cache: FeatureCache) -> Callable[..., Any]:
    def cached_forward(inputs: torch.Tensor, return_dict: bool | None = None, **options: Any) -> Any:
        if options or len(inputs) == 0:  # attention maps, hidden states or a mask: not cached
            return forward(inputs, return_dict=return_dict, **options)
        keys = [_input_key(entry) for entry in inputs]
        missing = {key: row for row, key in enumerate(keys) if key not in cache}
        if missing:
            # Without autocast: the cache is shared by runs of every precision.
            with torch.no_grad(), torch.autocast(inputs.device.type, enabled=False):
                computed = forward(inputs[list(missing.values())], return_dict=True).last_hidden_state
            for key, features in zip(missing, computed, strict=True):
                cache.add(key, features.detach().float().cpu().numpy())
        stacked = torch.from_numpy(np.stack([cache.get(key) for key in keys]))
        return BaseModelOutput(last_hidden_state=stacked.to(device=inputs.device, dtype=inputs.dtype))

    return cached_forward


def _cached_face_features(compute: Callable[..., Any], *, cache: CropCache) -> Callable[..., Any]:
    def get_face_features(
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None = None,
        face_track_ids: torch.Tensor | None = None,
        face_actions: torch.Tensor | None = None,
        relative_face_actions: torch.Tensor | None = None,
        face_actions_mask: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> Any:
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        if options or not mask.any():  # attention maps or hidden states: not cached
            return compute(
                face_pixel_values,
                face_times,
                face_mask,
                face_track_ids,
                face_actions,
                relative_face_actions,
                face_actions_mask,
                return_dict=return_dict,
                **options,
            )
        tracks = torch.zeros_like(mask, dtype=torch.long) if face_track_ids is None else face_track_ids
        clips = [
            _clip_features(compute, face_pixel_values[row, real], face_times[row, real], tracks[row, real], cache)
            for row, real in enumerate(mask)
        ]
        actions = actions_mask = None
        if face_actions is not None and relative_face_actions is not None:
            actions = torch.cat((face_actions, relative_face_actions), dim=-1)
            actions_mask = mask if face_actions_mask is None else face_actions_mask.bool() & mask
        return MicroEmoFaceFeatures(
            actions=actions,
            actions_mask=actions_mask,
            last_hidden_state=_padded([clip.get("tokens") for clip in clips], like=face_pixel_values, mask=mask),
            pooler_output=_padded([clip.get("regions") for clip in clips], like=face_pixel_values, mask=mask),
        )

    return get_face_features


def _clip_features(
    compute: Callable[..., Any], pixels: torch.Tensor, times: torch.Tensor, tracks: torch.Tensor, cache: CropCache
) -> dict[str, np.ndarray]:
    """Tokens (F, 1 + R, D) and regions (F, C) of the F face crops of one clip; empty where F is 0."""
    if len(times) == 0:
        return {}
    key = _clip_key(pixels, times, tracks)
    stored = cache.load(key)
    if stored is None:
        with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False):
            features = compute(pixels[None], times[None], None, tracks[None], return_dict=True)
        stored = {
            "tokens": features.last_hidden_state[0].float().cpu().numpy().astype(STORED_DTYPE),
            "regions": features.pooler_output[0].float().cpu().numpy().astype(STORED_DTYPE),
        }
        cache.store(key, stored)
    return stored


def _padded(clips: list[np.ndarray | None], *, like: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, F, ...) with zeros where `mask` (B, F) is False."""
    shape = next(clip.shape[1:] for clip in clips if clip is not None)
    batch = like.new_zeros(*mask.shape, *shape)
    for row, (clip, real) in enumerate(zip(clips, mask, strict=True)):
        if clip is not None:
            batch[row, real] = torch.from_numpy(clip).to(batch)
    return batch


def _input_key(entry: torch.Tensor) -> bytes:
    values = entry.detach().cpu().float().contiguous().numpy()
    return hashlib.blake2b(values.tobytes(), digest_size=KEY_BYTES).digest()


def _clip_key(*tensors: torch.Tensor) -> str:
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
