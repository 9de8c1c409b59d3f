"""Cached features of augmented faces after the frozen blocks.

The stem and the first blocks are frozen, and with the augmentation they take half of an epoch. A fixed number of
variants of every face is therefore computed once and shared by all runs and epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from microemo.data.still_faces import StillFaces
from microemo.training.face_tower.augmentation import FaceAugmentation, augment_face
from microemo.training.face_tower.classifier import FaceClassifier, fold_batch_norms, normalise_grey

Progress = Callable[[str, int, int], None]

BATCH_SIZE = 64


def load_face_variants(
    path: Path,
    *,
    model: FaceClassifier,
    faces: StillFaces,
    augmentation: FaceAugmentation,
    blocks: int,
    count: int,
    seed: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Memory-maps the features in `path`, computed first if missing.

    They are (count, N, h, w, D) float16, after the stem and `blocks` blocks. Several processes may call this at once:
    one computes the file and the others wait. Variant v of a face depends on the seed, v and the index of the face.

    Raises:
        ValueError: the file was made with other settings.
    """
    settings = np.array(repr((astuple(augmentation), blocks, count, seed, len(faces))))
    settings_path = path.with_suffix(".choices.npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            partial = path.with_suffix(".partial")
            _compute_variants(
                partial,
                model=model,
                faces=faces,
                augmentation=augmentation,
                blocks=blocks,
                count=count,
                seed=seed,
                progress=progress,
            )
            np.save(settings_path, settings)
            partial.replace(path)
    if str(np.load(settings_path)) != str(settings):
        raise ValueError(
            f"{path} was made with {np.load(settings_path)}, not with {settings}: choose another folder or remove it"
        )
    return np.load(path, mmap_mode="r")


@torch.inference_mode()
def _compute_variants(
    path: Path,
    *,
    model: FaceClassifier,
    faces: StillFaces,
    augmentation: FaceAugmentation,
    blocks: int,
    count: int,
    seed: int,
    progress: Progress | None,
) -> None:
    model = fold_batch_norms(model)
    features: np.memmap | None = None
    for variant in range(count):
        generator = np.random.default_rng((seed, variant))
        for start in range(0, len(faces), BATCH_SIZE):
            rows = range(start, min(start + BATCH_SIZE, len(faces)))
            crops = [
                augment_face(faces.crops[row], inside=faces.inside[row], settings=augmentation, generator=generator)
                for row in rows
            ]
            pixels = normalise_grey(np.stack(crops)).contiguous(memory_format=torch.channels_last)
            # bfloat16 is four times faster, and its rounding is far smaller than the augmentation.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = model.forward_frozen(pixels, blocks=blocks).float().permute(0, 2, 3, 1)  # (B, h, w, D)
            if features is None:
                shape = (count, len(faces), *hidden.shape[1:])
                features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
            features[variant, rows.start : rows.stop] = hidden.numpy()
            if progress is not None:
                progress("face variants", variant * len(faces) + rows.stop, count * len(faces))
    if features is not None:
        features.flush()
