"""What frozen micro-dynamics see of a face is computed once: dynamics tokens kept on disk under a hash of the crops.

Beside the towers' features (`tower_features`) these save the dynamics' own transformer, the largest part of a step
that does not run the language model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from microemo import MicroEmoModel
from microemo.outputs import MicroEmoFaceFeatures
from microemo.processing.crop_cache import CropCache
from microemo.training.tower_features import STORED_DTYPE, weights_hash


def remember_faces(model: nn.Module, *, folder: Path) -> None:
    """Lets `get_face_features` of a model look up the clips that it has seen before.

    Features are kept in float16, under a hash of the weights too.

    Raises `ValueError` where the face tower or the dynamics are trained, whose features change with every step, or the
    dynamics have dropout, which draws others each time.
    """
    core = next(module for module in model.modules() if isinstance(module, MicroEmoModel))
    if not core.config.use_local_branch:
        return
    tower = core.frame_tower if core.face_tower is None else core.face_tower
    for name, part in (("the face tower", tower), ("micro_dynamics", core.micro_dynamics)):
        if any(parameter.requires_grad for parameter in part.parameters()):
            raise ValueError(f"what the dynamics see cannot be kept, as {name} is trained")
    config = core.config.dynamics_config
    if config.hidden_dropout_prob or config.attention_probs_dropout_prob:
        raise ValueError("what the dynamics see cannot be kept, as dynamics_config has dropout; set it to 0")
    views = "-mirrored" if config.use_mirrored_view else ""
    hashes = f"{weights_hash(tower)}-{weights_hash(core.micro_dynamics)}"
    cache = CropCache(folder / f"faces-{hashes}{views}")
    # On the instance, as the towers' forwards are: the names of the weights stay.
    core.get_face_features = _remembering(core.get_face_features, cache=cache)


def _remembering(compute: Callable[..., Any], *, cache: CropCache) -> Callable[..., Any]:
    """`get_face_features`, clip by clip, computing only what the cache does not have."""

    def remembered(
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None = None,
        face_track_ids: torch.Tensor | None = None,
        face_actions: torch.Tensor | None = None,
        relative_face_actions: torch.Tensor | None = None,
        face_actions_mask: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **asked: Any,
    ) -> Any:
        given = face_actions, relative_face_actions, face_actions_mask
        if asked:  # attention maps or hidden states: not kept
            return compute(
                face_pixel_values, face_times, face_mask, face_track_ids, *given, return_dict=return_dict, **asked
            )
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        if not mask.any():
            return compute(face_pixel_values, face_times, face_mask, face_track_ids, *given, return_dict=return_dict)
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
            last_hidden_state=_laid_out([clip.get("tokens") for clip in clips], like=face_pixel_values, mask=mask),
            pooler_output=_laid_out([clip.get("regions") for clip in clips], like=face_pixel_values, mask=mask),
        )

    return remembered


def _clip_features(
    compute: Callable[..., Any], pixels: torch.Tensor, times: torch.Tensor, tracks: torch.Tensor, cache: CropCache
) -> dict[str, np.ndarray]:
    """tokens (F, 1 + R, D) and regions (F, C) of one clip's F faces, which may be none."""
    if len(times) == 0:
        return {}
    key = _key(pixels, times, tracks)
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


def _laid_out(rows: list[np.ndarray | None], *, like: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, F, ...) with zeros at the padding."""
    shape = next(row.shape[1:] for row in rows if row is not None)
    result = like.new_zeros(*mask.shape, *shape)
    for place, (row, real) in enumerate(zip(rows, mask, strict=True)):
        if row is not None:
            result[place, real] = torch.from_numpy(row).to(result)
    return result


def _key(*tensors: torch.Tensor) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
