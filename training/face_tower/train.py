"""Trains the face tower on a folder of labelled photographs.

    python -m microemo.training.face_tower.train --stills DIR --out checkpoints/microemo-mini

Cross-validates over identities, then trains the final tower on all photographs with the same recipe. Every run saves a
checkpoint in OUT/runs after each epoch: repeating the command resumes, and `--only` distributes the runs over
processes. The process that completes the last run writes face_tower.safetensors and training_record.json.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import HfArgumentParser

from microemo.data.package_weights import default_cache_dir
from microemo.data.still_faces import EXPRESSIONS, StillFaces, identity_folds, load_still_faces
from microemo.evaluation.metrics.recall import mean_recall, recall_report
from microemo.training.face_tower.augmentation import FaceAugmentation
from microemo.training.face_tower.classifier import (
    FaceClassifier,
    classify_faces,
    imagenet_face_classifier,
    save_face_classifier,
)
from microemo.training.face_tower.recipe import FaceTowerRecipe
from microemo.training.face_tower.record import FaceTowerResult, FoldResult, write_record
from microemo.training.face_tower.targets import calibrated_teacher_targets, mixed_targets, standardise
from microemo.training.face_tower.teachers import teacher_scores
from microemo.training.face_tower.trainer import FaceTrainer, FaceTrainingData
from microemo.training.face_tower.variants import load_face_variants

FINAL_RUN = "final"
WEIGHTS = "face_tower.safetensors"


@dataclass(frozen=True)
class FaceTowerRun:
    """Paths and options of a training run."""

    stills: str = field(metadata={"help": "folder of photographs with labels.csv (file, emotion, identity)"})
    out: str = field(metadata={"help": "folder for face_tower.safetensors and training_record.json"})
    seed: int = field(default=0, metadata={"help": "of all random numbers"})
    origin: str = field(default="not stated", metadata={"help": "source and licence of the stills, for the record"})
    only: list[str] = field(
        default_factory=list, metadata={"help": "run only these: fold-0, fold-1, ... or final; default all"}
    )
    cache: str | None = field(
        default=None, metadata={"help": "folder for downloaded weights; default the user's cache"}
    )
    threads: int = field(
        default=0, metadata={"help": "threads of torch, 0 for its default; results differ by rounding"}
    )
    quiet: bool = field(default=False, metadata={"help": "no progress bars"})

    @property
    def runs_folder(self) -> Path:
        return Path(self.out) / "runs"

    @property
    def cache_folder(self) -> Path:
        return Path(self.cache) if self.cache is not None else default_cache_dir()


@dataclass(frozen=True)
class FaceDataset:
    """Faces, the features of their augmented variants (V, N, h, w, d), and teacher scores (N, S) or None."""

    faces: StillFaces
    variants: np.ndarray
    scores: np.ndarray | None


class ProgressBars:
    """A `progress` callback with one bar for each stage."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.stage: str | None = None
        self.bar: tqdm | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if self.quiet:
            return
        if stage != self.stage or self.bar is None:
            self.close()
            self.stage, self.bar = stage, tqdm(total=total, desc=stage, leave=False, file=sys.stderr)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def train_face_tower(
    run: FaceTowerRun, *, recipe: FaceTowerRecipe, augmentation: FaceAugmentation
) -> FaceTowerResult | None:
    """Trains the selected runs. When all runs are complete, writes the result to `run.out` and returns it."""
    names = run_names(recipe)
    unknown = sorted(set(run.only) - set(names))
    if unknown:
        raise ValueError(f"only has {unknown}, allowed are {names}")
    if run.threads:
        torch.set_num_threads(run.threads)
    run.runs_folder.mkdir(parents=True, exist_ok=True)
    progress = ProgressBars(quiet=run.quiet)
    dataset = prepare_dataset(run, recipe=recipe, augmentation=augmentation, progress=progress)
    for name in run.only or names:
        _train_run(name, run, dataset=dataset, recipe=recipe, progress=progress)
    progress.close()
    if not all(_is_done(run, name) for name in names):
        return None
    result = gather_result(run, dataset=dataset, recipe=recipe)
    weights = Path(run.out) / WEIGHTS
    weights.write_bytes((run.runs_folder / WEIGHTS).read_bytes())
    write_record(
        result,
        weights=weights,
        recipe=recipe,
        augmentation=augmentation,
        seed=run.seed,
        stills=Path(run.stills),
        origin=run.origin,
    )
    return result


def run_names(recipe: FaceTowerRecipe) -> tuple[str, ...]:
    """Names of all runs: one for each fold, and the final one on all people."""
    return (*(f"fold-{fold}" for fold in range(recipe.folds)), FINAL_RUN)


def prepare_dataset(
    run: FaceTowerRun, *, recipe: FaceTowerRecipe, augmentation: FaceAugmentation, progress: ProgressBars
) -> FaceDataset:
    """Aligned faces, their variants and the teachers' scores; all are cached in the runs folder."""
    faces = load_still_faces(run.stills, cache=run.runs_folder / "faces.npz", progress=progress)
    variants = load_face_variants(
        run.runs_folder / "variants.npy",
        model=imagenet_face_classifier(cache_dir=run.cache_folder, progress=progress),
        faces=faces,
        augmentation=augmentation,
        blocks=recipe.frozen_blocks,
        count=recipe.variants,
        seed=run.seed,
        progress=progress,
    )
    scores = None
    if recipe.teacher_weight > 0:
        scores = _cached_teacher_scores(run, faces=faces, progress=progress)
    return FaceDataset(faces, variants, scores)


def training_data(dataset: FaceDataset, *, is_training: np.ndarray, recipe: FaceTowerRecipe) -> FaceTrainingData:
    """Training data of the faces under the mask `is_training` (N,); labels of other faces are not used."""
    faces = dataset.faces.subset(is_training)
    teachers, scores = None, np.zeros((len(faces), 0), dtype=np.float32)
    if dataset.scores is not None:
        scores = standardise(dataset.scores[is_training])
        teachers = calibrated_teacher_targets(scores, labels=faces.labels, identities=faces.identities)
    return FaceTrainingData(
        variants=dataset.variants,
        rows=np.flatnonzero(is_training),
        labels=faces.labels,
        targets=mixed_targets(
            faces.labels, smoothing=recipe.smoothing, teachers=teachers, weight=recipe.teacher_weight
        ),
        scores=scores,
    )


def gather_result(run: FaceTowerRun, *, dataset: FaceDataset, recipe: FaceTowerRecipe) -> FaceTowerResult:
    """Scores the out-of-fold logits of all faces, pooled and for each fold."""
    faces = dataset.faces
    folds = identity_folds(faces.identities, folds=recipe.folds)
    logits = np.zeros((len(faces), len(EXPRESSIONS)), dtype=np.float32)
    results = []
    for fold in range(recipe.folds):
        with np.load(_logits_path(run, f"fold-{fold}")) as stored:
            logits[folds == fold] = stored["logits"]
        results.append(FoldResult.read(_curve_path(run, f"fold-{fold}")))
    pooled = recall_report(logits, labels=faces.labels, identities=faces.identities)
    final = FoldResult.read(_curve_path(run, FINAL_RUN))
    return FaceTowerResult(faces=faces, pooled=pooled, folds=tuple(results), final=final)


def _train_run(
    name: str,
    run: FaceTowerRun,
    *,
    dataset: FaceDataset,
    recipe: FaceTowerRecipe,
    progress: ProgressBars,
) -> None:
    if _is_done(run, name):
        return
    faces = dataset.faces
    folds = identity_folds(faces.identities, folds=recipe.folds)
    is_held_out = folds == int(name.removeprefix("fold-")) if name != FINAL_RUN else np.zeros(len(faces), dtype=bool)
    held_out = faces.subset(is_held_out)
    torch.manual_seed(run.seed)
    trainer = FaceTrainer(
        imagenet_face_classifier(cache_dir=run.cache_folder, dropout=recipe.dropout, progress=progress),
        data=training_data(dataset, is_training=~is_held_out, recipe=recipe),
        recipe=recipe,
        seed=run.seed,
        checkpoint=run.runs_folder / f"{name}.pt",
    )
    model = trainer.train(progress=lambda stage, done, total: progress(f"{name}, {stage}", done, total))
    result = FoldResult(
        name=name, learners=int(np.sum(~is_held_out)), losses=tuple(trainer.losses), recall_among_five=None
    )
    if len(held_out):
        result = _score_fold(model, held_out, run=run, result=result)
    else:
        save_face_classifier(model, run.runs_folder / WEIGHTS)
    result.write(_curve_path(run, name))  # last, as it marks the run as complete


def _cached_teacher_scores(run: FaceTowerRun, *, faces: StillFaces, progress: ProgressBars) -> np.ndarray:
    path = run.runs_folder / "teachers.npz"
    if path.is_file():
        with np.load(path) as stored:
            if np.array_equal(stored["files"], faces.files):
                return stored["scores"]
    scores = teacher_scores(faces, cache_dir=run.cache_folder, progress=progress)
    np.savez(path, files=faces.files, scores=scores)
    return scores


def _score_fold(model: FaceClassifier, held_out: StillFaces, *, run: FaceTowerRun, result: FoldResult) -> FoldResult:
    logits = classify_faces(model, held_out.crops)
    np.savez(_logits_path(run, result.name), logits=logits, files=held_out.files)
    return replace(result, recall_among_five=mean_recall(logits, labels=held_out.labels))


def _is_done(run: FaceTowerRun, name: str) -> bool:
    return _curve_path(run, name).is_file()


def _curve_path(run: FaceTowerRun, name: str) -> Path:
    return run.runs_folder / f"{name}.json"


def _logits_path(run: FaceTowerRun, name: str) -> Path:
    return run.runs_folder / f"{name}_logits.npz"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    argument_classes: list[Any] = [FaceTowerRun, FaceTowerRecipe]
    parser = HfArgumentParser(argument_classes, description=__doc__)
    run, recipe = parser.parse_args_into_dataclasses(arguments)
    try:
        result = train_face_tower(run, recipe=recipe, augmentation=FaceAugmentation())
    except (ValueError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if result is None:
        print(f"done: {', '.join(run.only)}; other runs are not complete yet")
        return 0
    print(result.pooled.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
