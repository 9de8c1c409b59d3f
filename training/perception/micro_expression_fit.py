"""Fits the two micro-expression layers of the face head on synthetic clips and on real talkers.

    python -m microemo.training.perception.micro_expression_fit --synthetic DIR --clips DIR \
        --out CHECKPOINT --cache DIR

The micro-dynamics are frozen. Both layers are linear and their logits are averaged, so they are fitted as a single
layer, with a penalty on the distance from the previous weights. Synthetic clips (`microemo synthesize`) hold the
positive examples; real talkers without micro-expressions are negatives, so that speech is not taken for one. Figures
come from cross-validation over people and over synthetic clips; the written weights use all clips with a declared
licence. --clips is a folder as for `expression_fit`.
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
from torch.nn import functional as F
from tqdm import tqdm

from microemo import MicroEmoModel
from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.mini.trained_parts import RECORD
from microemo.data.labelled_segments import LabelledSegment, read_segments
from microemo.data.package_weights import file_sha256
from microemo.data.reader_registry import read_examples
from microemo.data.still_faces import EXPRESSIONS, identity_folds
from microemo.evaluation.metrics import spotting
from microemo.inference.model_loading import load_model
from microemo.processing.clip_reading import ClipReader
from microemo.processing.facial_events import FaceScores, detect_events
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.training.perception.expression_examples import READING
from microemo.training.perception.expression_fit import HEAD_FILE

FOLDS = 5
BORDER_SECONDS = 0.3  # left out at both ends of a segment, where an expression may start or end
LAYERS = ("model.face_head.micro_expression", "model.face_head.flow_micro_expression")


@dataclass(frozen=True)
class MicroFitRecipe:
    """Hyperparameters, chosen by cross-validation among closeness 0.001 to 0.01 and real_weight 0.5 to 5.

    Args:
        closeness: penalty on the squared distance from the previous weights.
        real_weight: weight of a crop of a real clip, relative to a synthetic crop without event.
        event_weight: weight of a crop inside a micro-expression.
    """

    closeness: float = 1e-2
    real_weight: float = 5.0
    event_weight: float = 2.0
    iterations: int = 40


@dataclass(frozen=True)
class FaceTokens:
    """Tokens of F face crops of a clip.

    Args:
        tokens: (F, 2, D) movement and flow tokens.
        times, track_ids: (F,).
        events: (onset, offset) seconds of the true micro-expressions.
        is_calm: (F,) bool, crops of a real clip that are known to be in no micro-expression.
    """

    tokens: np.ndarray
    times: np.ndarray
    track_ids: np.ndarray
    events: tuple[tuple[float, float], ...] = ()
    is_calm: np.ndarray | None = None

    @property
    def inputs(self) -> np.ndarray:
        """Tokens as (F, 2 * D)."""
        return self.tokens.reshape(len(self.times), -1)

    @property
    def labels(self) -> np.ndarray:
        """Labels (F,) float32: 1 inside of an event, else 0."""
        inside = [(self.times >= onset) & (self.times <= offset) for onset, offset in self.events]
        return np.any(inside, axis=0).astype(np.float32) if inside else np.zeros(len(self.times), np.float32)


@dataclass(frozen=True)
class MicroLayers:
    """Both layers as a single one: logits = inputs @ weight (2 * D,) + bias."""

    weight: torch.Tensor
    bias: torch.Tensor

    def scores(self, face: FaceTokens) -> np.ndarray:
        """Micro-expression probabilities (F,)."""
        return torch.sigmoid(torch.from_numpy(face.inputs) @ self.weight + self.bias).numpy()


def read_layers(weights: dict[str, torch.Tensor]) -> MicroLayers:
    """The layer whose logits are the mean of both layers'."""
    parts = [(weights[f"{name}.weight"].float()[0], weights[f"{name}.bias"].float()[0]) for name in LAYERS]
    layer_weights, biases = zip(*parts, strict=True)
    return MicroLayers(torch.cat(layer_weights) / 2, torch.stack(biases).sum() / 2)


def fit_layers(
    initial: MicroLayers, *, synthetic: Sequence[FaceTokens], real: Sequence[FaceTokens], recipe: MicroFitRecipe
) -> MicroLayers:
    """Logistic regression with a penalty on the distance from `initial`."""
    calm = [face.inputs[face.is_calm] for face in real if face.is_calm is not None]
    inputs = torch.from_numpy(np.concatenate([*(face.inputs for face in synthetic), *calm]))
    synthetic_labels = torch.from_numpy(np.concatenate([face.labels for face in synthetic]))
    labels = F.pad(synthetic_labels, (0, len(inputs) - len(synthetic_labels)))
    loss_weights = torch.full((len(inputs),), recipe.real_weight)
    loss_weights[: len(synthetic_labels)] = 1.0
    loss_weights[labels > 0] = recipe.event_weight
    loss_weights = loss_weights / len(synthetic_labels)
    weight, bias = (value.clone().requires_grad_() for value in (initial.weight, initial.bias))
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=recipe.iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = F.binary_cross_entropy_with_logits(inputs @ weight + bias, labels, reduction="none")
        loss = (losses * loss_weights).sum() + recipe.closeness * (weight - initial.weight).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return MicroLayers(weight.detach(), bias.detach())


def spot_micro_expressions(face: FaceTokens, layers: MicroLayers) -> list[tuple[float, float, float]]:
    """(onset, apex, offset) seconds of the detected micro-expressions."""
    scores, detected = layers.scores(face), []
    for track in np.unique(face.track_ids):
        rows = face.track_ids == track
        timeline = detect_events(FaceScores(int(track), face.times[rows], micro=scores[rows]))
        detected += [
            (event.onset_seconds, event.apex_seconds, event.offset_seconds)
            for event in timeline.micro_expressions or ()
        ]
    return detected


def spotting_figures(faces: Sequence[FaceTokens], layers: Sequence[MicroLayers]) -> dict[str, float]:
    """F1, precision and recall at IoU 0.5; `layers` holds the layers to use for each clip."""
    detected = [
        [
            spotting.ExpressionInterval(onset, offset, apex)
            for onset, apex, offset in spot_micro_expressions(face, clip_layers)
        ]
        for face, clip_layers in zip(faces, layers, strict=True)
    ]
    true = [[spotting.ExpressionInterval(*event) for event in face.events] for face in faces]
    scores = spotting.spotting_scores(true, detected)
    return {"f1": scores.f1, "precision": scores.precision, "recall": scores.recall}


def false_alarms(
    segments: Sequence[LabelledSegment], faces: dict[str, FaceTokens], layers: dict[str, MicroLayers]
) -> dict[str, float]:
    """Micro-expressions per minute that are detected in neutral talkers. Faces and layers are by file."""
    alarms, seconds = 0, 0.0
    for segment in segments:
        if EXPRESSIONS[segment.label] != "neutral" or not segment.is_talking or segment.file not in faces:
            continue
        detected = spot_micro_expressions(faces[segment.file], layers[segment.file])
        alarms += sum(segment.start_seconds <= apex < segment.end_seconds for _, apex, _ in detected)
        seconds += segment.end_seconds - segment.start_seconds
    return {"alarms": alarms, "seconds": seconds, "a_minute": 60 * alarms / max(seconds, 1e-9)}


def cross_validate(
    initial: MicroLayers,
    *,
    synthetic: Sequence[FaceTokens],
    real: dict[str, FaceTokens],
    segments: Sequence[LabelledSegment],
    recipe: MicroFitRecipe,
) -> dict[str, Any]:
    """Figures of held-out clips and people."""
    fold_of = {segment.file: _fold(segment.person) for segment in segments}
    licensed = {segment.file for segment in segments if segment.is_licensed}
    fitted = [
        fit_layers(
            initial,
            synthetic=[face for index, face in enumerate(synthetic) if index % FOLDS != fold],
            real=[face for file, face in real.items() if fold_of[file] != fold and file in licensed],
            recipe=recipe,
        )
        for fold in range(FOLDS)
    ]
    unchanged = dict.fromkeys(real, initial)
    return {
        "synthetic": spotting_figures(synthetic, [fitted[index % FOLDS] for index in range(len(synthetic))]),
        "synthetic_before": spotting_figures(synthetic, [initial] * len(synthetic)),
        "neutral_talkers": false_alarms(segments, real, {file: fitted[fold_of[file]] for file in real}),
        "neutral_talkers_before": false_alarms(segments, real, unchanged),
    }


@torch.no_grad()
def face_tokens(path: Path, *, model: MicroEmoModel, processor: MicroEmoProcessor, cache: Path) -> FaceTokens | None:
    """Tokens of the largest face of a video at 30 crops per second; None without a face."""
    cached = cache / f"{path.stem}.npz"
    if not cached.is_file():
        clip = next(iter(ClipReader(READING, recognizer=None).read(path, person="largest")))
        if clip.face_crops is None or clip.face_times is None or clip.face_track_ids is None:
            return None
        inputs = processor.from_clip(clip)
        names = ("face_pixel_values", "face_times", "face_mask", "face_track_ids")
        states = model.get_face_features(*(inputs[name] for name in names), return_dict=True).last_hidden_state
        np.savez(cached, tokens=states[0, :, :2].numpy(), times=clip.face_times, track_ids=clip.face_track_ids)
    with np.load(cached) as stored:
        return FaceTokens(stored["tokens"], stored["times"], stored["track_ids"])


def write_fit(fitted: MicroLayers, *, out: Path, entry: dict[str, Any]) -> None:
    """Splits the fitted layer into the two layers of the checkpoint, and writes `entry` into its record."""
    head = load_file(out / HEAD_FILE)
    for name, weight in zip(LAYERS, (2 * fitted.weight).chunk(2), strict=True):
        head[f"{name}.weight"] = weight[None].to(head[f"{name}.weight"].dtype)
        head[f"{name}.bias"] = fitted.bias[None].to(head[f"{name}.bias"].dtype)
    save_file(head, out / HEAD_FILE, metadata={"format": "pt"})
    (out / HEAD_FILE).chmod(0o644)
    record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    record["files"][HEAD_FILE] = file_sha256(out / HEAD_FILE)
    record["micro_expressions"] = entry
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _with_calm_crops(face: FaceTokens, segments: Sequence[LabelledSegment]) -> FaceTokens:
    """Marks the crops well inside of labelled segments, none of which has a micro-expression."""
    inside = [
        (face.times >= segment.start_seconds + BORDER_SECONDS) & (face.times < segment.end_seconds - BORDER_SECONDS)
        for segment in segments
    ]
    return FaceTokens(face.tokens, face.times, face.track_ids, is_calm=np.any(inside, axis=0))


def _fold(person: str) -> int:
    return int(identity_folds(np.array([person]), folds=FOLDS)[0])


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.perception.micro_expression_fit",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--synthetic", type=Path, required=True, help="clips of `microemo synthesize`")
    parser.add_argument("--clips", type=Path, required=True, help="videos with labels.csv and sources.csv")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to update")
    parser.add_argument("--cache", type=Path, required=True, help="cache of the face tokens")
    parser.add_argument("--measure", action="store_true", help="print the figures and write nothing")
    options = parser.parse_args(arguments)
    recipe = MicroFitRecipe()
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
        segments = read_segments(options.clips)
        loaded = load_model(assemble_mini(checkpoint_dir=options.out))
        reader = {"model": loaded.model.model, "processor": loaded.processor, "cache": options.cache}
        synthetic = []
        for example in tqdm(list(read_examples("jsonl", options.synthetic / "truth.jsonl")), desc="synthetic"):
            face = face_tokens(Path(str(example.video)), **reader)
            events = [event for event in example.timeline.events if event.kind == "micro"] if example.timeline else []
            if face is not None:
                times = tuple((event.onset_seconds, event.offset_seconds) for event in events)
                synthetic.append(FaceTokens(face.tokens, face.times, face.track_ids, events=times))
        real = {}
        for file in tqdm(sorted({segment.file for segment in segments}), desc="clips", file=sys.stderr):
            face = face_tokens(options.clips / file, **reader)
            if face is not None:
                real[file] = _with_calm_crops(face, [segment for segment in segments if segment.file == file])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    initial = read_layers(load_file(options.out / HEAD_FILE))
    figures = cross_validate(initial, synthetic=synthetic, real=real, segments=segments, recipe=recipe)
    print(json.dumps(figures, indent=1))
    if not options.measure:
        licensed = {segment.file for segment in segments if segment.is_licensed}
        licensed_faces = [face for file, face in real.items() if file in licensed]
        fitted = fit_layers(initial, synthetic=synthetic, real=licensed_faces, recipe=recipe)
        data = {"synthetic_clips": len(synthetic), "real_clips": len(licensed_faces)}
        write_fit(fitted, out=options.out, entry={"recipe": vars(recipe), "data": data, "figures": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
