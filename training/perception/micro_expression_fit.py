"""Fits the two micro-expression layers of the face head on synthetic clips and on real talkers who show none.

    python -m microemo.training.perception.micro_expression_fit --synthetic DIR --clips DIR \
        --out CHECKPOINT --cache DIR

The micro-dynamics stay as they are. Both layers are linear in their tokens and their logits are averaged, so they are
fitted as one, to the optimum, near to what they were: real talkers teach them what speech looks like, synthetic clips
(`microemo synthesize`) what a micro-expression looks like. --clips is a folder as for `expression_fit`. Measured by
folds, of people in real clips and of synthetic clips; what is written learns from all clips that declare a licence.
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
BORDER_SECONDS = 0.3  # of a segment, left out: an expression may begin there
LAYERS = ("model.face_head.micro_expression", "model.face_head.flow_micro_expression")


@dataclass(frozen=True)
class MicroFitRecipe:
    """All choices. Tried in the folds: closeness 0.001 to 0.01, real_weight 0.5 to 5.

    closeness: penalty on the squared distance from the layers before. real_weight: of a real crop, event_weight: of a
    crop inside a micro-expression, beside another crop of a synthetic clip.
    """

    closeness: float = 1e-2
    real_weight: float = 5.0
    event_weight: float = 2.0
    iterations: int = 40


@dataclass(frozen=True)
class FaceTokens:
    """tokens: (F, 2, D) of movement and flow; times, track_ids: (F,); events: (onset, offset) seconds of the true
    micro-expressions; is_calm: (F,) bool, known to be in none, of a real clip."""

    tokens: np.ndarray
    times: np.ndarray
    track_ids: np.ndarray
    events: tuple[tuple[float, float], ...] = ()
    is_calm: np.ndarray | None = None

    @property
    def inputs(self) -> np.ndarray:
        """(F, 2 * D)."""
        return self.tokens.reshape(len(self.times), -1)

    @property
    def labels(self) -> np.ndarray:
        """(F,) 1 inside an event."""
        inside = [(self.times >= onset) & (self.times <= offset) for onset, offset in self.events]
        return np.any(inside, axis=0).astype(np.float32) if inside else np.zeros(len(self.times), np.float32)


@dataclass(frozen=True)
class MicroLayers:
    """Both layers as one: logits = inputs @ weight (2 * D,) + bias."""

    weight: torch.Tensor
    bias: torch.Tensor

    def scores(self, face: FaceTokens) -> np.ndarray:
        """(F,) probabilities."""
        return torch.sigmoid(torch.from_numpy(face.inputs) @ self.weight + self.bias).numpy()


def read_layers(weights: dict[str, torch.Tensor]) -> MicroLayers:
    """The mean of the two layers' logits, as one layer."""
    parts = [(weights[f"{name}.weight"].float()[0], weights[f"{name}.bias"].float()[0]) for name in LAYERS]
    weights_of, biases = zip(*parts, strict=True)
    return MicroLayers(torch.cat(weights_of) / 2, torch.stack(biases).sum() / 2)


def fit_layers(
    before: MicroLayers, *, synthetic: Sequence[FaceTokens], real: Sequence[FaceTokens], recipe: MicroFitRecipe
) -> MicroLayers:
    """Logistic regression, drawn to `before`."""
    calm = [face.inputs[face.is_calm] for face in real if face.is_calm is not None]
    inputs = torch.from_numpy(np.concatenate([*(face.inputs for face in synthetic), *calm]))
    of_synthetic = torch.from_numpy(np.concatenate([face.labels for face in synthetic]))
    labels = F.pad(of_synthetic, (0, len(inputs) - len(of_synthetic)))
    counted = torch.full((len(inputs),), recipe.real_weight)
    counted[: len(of_synthetic)] = 1.0
    counted[labels > 0] = recipe.event_weight
    counted = counted / len(of_synthetic)
    weight, bias = (value.clone().requires_grad_() for value in (before.weight, before.bias))
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=recipe.iterations, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = F.binary_cross_entropy_with_logits(inputs @ weight + bias, labels, reduction="none")
        loss = (losses * counted).sum() + recipe.closeness * (weight - before.weight).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return MicroLayers(weight.detach(), bias.detach())


def spotted(face: FaceTokens, layers: MicroLayers) -> list[tuple[float, float, float]]:
    """(onset, apex, offset) of the micro-expressions that the detector finds."""
    scores, found = layers.scores(face), []
    for track in np.unique(face.track_ids):
        rows = face.track_ids == track
        line = detect_events(FaceScores(int(track), face.times[rows], micro=scores[rows]))
        found += [(one.onset_seconds, one.apex_seconds, one.offset_seconds) for one in line.micro_expressions or ()]
    return found


def spotting_figures(faces: Sequence[FaceTokens], layers: Sequence[MicroLayers]) -> dict[str, float]:
    """F1, precision and recall at IoU 0.5 of clips, each with the layers that it is measured with."""
    found = [
        [spotting.ExpressionInterval(onset, offset, apex) for onset, apex, offset in spotted(face, own)]
        for face, own in zip(faces, layers, strict=True)
    ]
    there = [[spotting.ExpressionInterval(*event) for event in face.events] for face in faces]
    scores = spotting.spotting_scores(there, found)
    return {"f1": scores.f1, "precision": scores.precision, "recall": scores.recall}


def false_alarms(
    segments: Sequence[LabelledSegment], faces: dict[str, FaceTokens], layers: dict[str, MicroLayers]
) -> dict[str, float]:
    """Micro-expressions a minute found in neutral talkers, by file."""
    alarms, seconds = 0, 0.0
    for segment in segments:
        if EXPRESSIONS[segment.label] != "neutral" or not segment.is_talking or segment.file not in faces:
            continue
        found = spotted(faces[segment.file], layers[segment.file])
        alarms += sum(segment.start_seconds <= apex < segment.end_seconds for _, apex, _ in found)
        seconds += segment.end_seconds - segment.start_seconds
    return {"alarms": alarms, "seconds": seconds, "a_minute": 60 * alarms / max(seconds, 1e-9)}


def cross_validate(
    before: MicroLayers,
    *,
    synthetic: Sequence[FaceTokens],
    real: dict[str, FaceTokens],
    segments: Sequence[LabelledSegment],
    recipe: MicroFitRecipe,
) -> dict[str, Any]:
    """Figures of clips and people that no fold learned from."""
    fold_of = {segment.file: _fold(segment.person) for segment in segments}
    licensed = {segment.file for segment in segments if segment.is_licensed}
    fitted = [
        fit_layers(
            before,
            synthetic=[face for place, face in enumerate(synthetic) if place % FOLDS != fold],
            real=[face for file, face in real.items() if fold_of[file] != fold and file in licensed],
            recipe=recipe,
        )
        for fold in range(FOLDS)
    ]
    unchanged = dict.fromkeys(real, before)
    return {
        "synthetic": spotting_figures(synthetic, [fitted[place % FOLDS] for place in range(len(synthetic))]),
        "synthetic_before": spotting_figures(synthetic, [before] * len(synthetic)),
        "neutral_talkers": false_alarms(segments, real, {file: fitted[fold_of[file]] for file in real}),
        "neutral_talkers_before": false_alarms(segments, real, unchanged),
    }


@torch.no_grad()
def face_tokens(path: Path, *, model: MicroEmoModel, processor: MicroEmoProcessor, cache: Path) -> FaceTokens | None:
    """The tokens of the largest face of a video, 30 crops a second; None without a face."""
    kept = cache / f"{path.stem}.npz"
    if not kept.is_file():
        clip = next(iter(ClipReader(READING, recognizer=None).read(path, person="largest")))
        if clip.face_crops is None or clip.face_times is None or clip.face_track_ids is None:
            return None
        inputs = processor.from_clip(clip)
        names = ("face_pixel_values", "face_times", "face_mask", "face_track_ids")
        states = model.get_face_features(*(inputs[name] for name in names), return_dict=True).last_hidden_state
        np.savez(kept, tokens=states[0, :, :2].numpy(), times=clip.face_times, track_ids=clip.face_track_ids)
    with np.load(kept) as stored:
        return FaceTokens(stored["tokens"], stored["times"], stored["track_ids"])


def write_fit(fitted: MicroLayers, *, out: Path, entry: dict[str, Any]) -> None:
    """Puts both layers, which are told apart by the inputs that they read, into the checkpoint and its record."""
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


def _calm(face: FaceTokens, segments: Sequence[LabelledSegment]) -> FaceTokens:
    """The face with the crops that lie well inside its labelled segments: no micro-expression is labelled in any."""
    inside = [
        (face.times >= one.start_seconds + BORDER_SECONDS) & (face.times < one.end_seconds - BORDER_SECONDS)
        for one in segments
    ]
    return FaceTokens(face.tokens, face.times, face.track_ids, is_calm=np.any(inside, axis=0))


def _fold(person: str) -> int:
    return int(identity_folds(np.array([person]), folds=FOLDS)[0])


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.perception.micro_expression_fit",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--synthetic", type=Path, required=True, help="clips of `microemo synthesize`")
    parser.add_argument("--clips", type=Path, required=True, help="videos with labels.csv and sources.csv")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to bring up to date")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what was read")
    parser.add_argument("--measure", action="store_true", help="print the folds' figures and write nothing")
    options = parser.parse_args(arguments)
    recipe = MicroFitRecipe()
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
        segments = read_segments(options.clips)
        loaded = load_model(assemble_mini(checkpoint_dir=options.out))
        read = {"model": loaded.model.model, "processor": loaded.processor, "cache": options.cache}
        synthetic = []
        for example in tqdm(list(read_examples("jsonl", options.synthetic / "truth.jsonl")), desc="synthetic"):
            face = face_tokens(Path(str(example.video)), **read)
            events = [event for event in example.timeline.events if event.kind == "micro"] if example.timeline else []
            if face is not None:
                times = tuple((event.onset_seconds, event.offset_seconds) for event in events)
                synthetic.append(FaceTokens(face.tokens, face.times, face.track_ids, events=times))
        real = {}
        for file in tqdm(sorted({segment.file for segment in segments}), desc="clips", file=sys.stderr):
            face = face_tokens(options.clips / file, **read)
            if face is not None:
                real[file] = _calm(face, [segment for segment in segments if segment.file == file])
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    before = read_layers(load_file(options.out / HEAD_FILE))
    figures = cross_validate(before, synthetic=synthetic, real=real, segments=segments, recipe=recipe)
    print(json.dumps(figures, indent=1))
    if not options.measure:
        licensed = {segment.file for segment in segments if segment.is_licensed}
        taught = [face for file, face in real.items() if file in licensed]
        fitted = fit_layers(before, synthetic=synthetic, real=taught, recipe=recipe)
        data = {"synthetic_clips": len(synthetic), "real_clips": len(taught)}
        write_fit(fitted, out=options.out, entry={"recipe": vars(recipe), "data": data, "figures": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
