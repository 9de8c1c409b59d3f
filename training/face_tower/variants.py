"""Augmented faces as far as the frozen blocks bring them: made once, used by every run and epoch.

The stem and the first blocks stay ImageNet's, so their answer to a crop never changes; with the augmentation they are
half of an epoch's cost. A few variants of every face are therefore taken through them once and kept on disk.
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
    """Maps `path`, made first where it is missing: (count, N, h, w, D) float16 after the stem and `blocks` blocks.

    Several processes may ask at once; one makes it and the others wait. Variant v of a face depends on the seed, v and
    the face's place among `faces`, not on the model's upper part. Raises `ValueError` for a file of other choices.
    """
    choices = np.array(repr((astuple(augmentation), blocks, count, seed, len(faces))))
    noted = path.with_suffix(".choices.npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            partial = path.with_suffix(".partial")
            _make_variants(
                partial,
                model=model,
                faces=faces,
                augmentation=augmentation,
                blocks=blocks,
                count=count,
                seed=seed,
                progress=progress,
            )
            np.save(noted, choices)
            partial.replace(path)
    if str(np.load(noted)) != str(choices):
        raise ValueError(
            f"{path} was made with {np.load(noted)}, not with {choices}: choose another folder or remove it"
        )
    return np.load(path, mmap_mode="r")


@torch.inference_mode()
def _make_variants(
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
            # Rounding to bfloat16 is far below the augmentation, and four times faster here.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = model.begin(pixels, blocks=blocks).float().permute(0, 2, 3, 1)  # (B, h, w, D)
            if features is None:
                shape = (count, len(faces), *hidden.shape[1:])
                features = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
            features[variant, rows.start : rows.stop] = hidden.numpy()
            if progress is not None:
                progress("variants of faces", variant * len(faces) + rows.stop, count * len(faces))
    if features is not None:
        features.flush()
