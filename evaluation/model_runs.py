"""Runs a model and its ablations over the examples of a data set with `EmotionAnalyzer`, one report per example."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from microemo.data.clip_features import ClipLoader, ReadExample
from microemo.data.example import EmotionTargets, Example
from microemo.evaluation.ablation import FULL, AblatedAnalyzer, Ablation
from microemo.evaluation.prediction_store import EvaluatedClip, PredictionStore, prediction_key
from microemo.evaluation.tower_cache import cached_towers
from microemo.inference.analyzer import EmotionAnalyzer, Mode
from microemo.inference.report.report import SCHEMA_VERSION, Settings
from microemo.inference.stage_timer import Progress
from microemo.processing.crop_cache import content_hash
from microemo.processing.reading_settings import ReadingSettings


@dataclass(frozen=True)
class RunSettings:
    """How examples are analysed.

    mode: see `EmotionAnalyzer`. person: whose face is analysed, "speaker" or "largest". reading: changed fields of
    `ReadingSettings`. clip_cache: folder to cache the clips in after reading.
    """

    mode: Mode = "scores"
    person: str = "speaker"
    reading: tuple[tuple[str, Any], ...] = ()
    clip_cache: Path | None = None

    def reading_settings(self, analyzer: EmotionAnalyzer) -> ReadingSettings:
        """Returns the settings with which examples are read."""
        return replace(analyzer.reader.settings, **dict(self.reading))


def evaluate_examples(
    analyzer: EmotionAnalyzer,
    examples: Sequence[Example],
    *,
    settings: RunSettings = RunSettings(),  # noqa: B008  frozen
    ablations: Sequence[Ablation] = (FULL,),
    store: PredictionStore | None = None,
    progress: Progress | None = None,
) -> dict[str, tuple[EvaluatedClip, ...]]:
    """Returns the reports of every example by name of the ablation. Each clip is read and encoded by the towers once.

    Args:
        store: predictions of earlier runs, which are reused; new predictions are added.
        progress: called with ("examples", done, total).

    Raises:
        ValueError: if an example cannot be read; the message names it.
    """
    store = store or PredictionStore()
    runs = _Runs(analyzer, ablations, settings=settings)
    clips: dict[str, list[EvaluatedClip]] = {ablation.name: [] for ablation in ablations}
    with cached_towers(analyzer.model) as features:
        for number, example in enumerate(examples):
            for name, clip in runs.analyse(example, store=store):
                clips[name].append(clip)
            features.clear()
            if progress is not None:
                progress("examples", number + 1, len(examples))
    return {name: tuple(evaluated) for name, evaluated in clips.items()}


class _Runs:
    """One model with all its ablations, and the loader of its examples."""

    def __init__(self, analyzer: EmotionAnalyzer, ablations: Iterable[Ablation], *, settings: RunSettings) -> None:
        self.settings = settings
        self.variants = [AblatedAnalyzer(analyzer, ablation=ablation) for ablation in ablations]
        self.loader = clip_loader(analyzer, settings=settings)
        self.identity = (
            model_fingerprint(analyzer),
            metadata.version("microemo"),
            SCHEMA_VERSION,
            str(analyzer.model.dtype),
            settings.mode,
            settings.person,
            settings.reading_settings(analyzer),
        )

    def analyse(self, example: Example, *, store: PredictionStore) -> Iterator[tuple[str, EvaluatedClip]]:
        """Yields the name of each ablation and its prediction for the example."""
        files = [content_hash(Path(path)) for path in _files(example)]
        row = json.dumps(example.to_row(), sort_keys=True)
        read: ReadExample | None = None
        for variant in self.variants:
            key = prediction_key(row, files, *self.identity, variant.ablation.name)
            if key in store:
                yield variant.ablation.name, store.get(key, example=example)
                continue
            read = read or self.loader.load(example)
            clip = self._evaluated(read, variant)
            store.add(key, clip)
            yield variant.ablation.name, clip

    def _evaluated(self, read: ReadExample, variant: AblatedAnalyzer) -> EvaluatedClip:
        analyzer, clip = variant.prepared(read.clip)
        settings = report_settings(read.example, settings=self.settings)
        report = analyzer.report_clip(clip, settings=settings)
        targets = read.targets or (read.example.targets,) * len(report.utterances)
        return EvaluatedClip(read.example, _utterance_targets(targets, example=read.example), report)


def clip_loader(analyzer: EmotionAnalyzer, *, settings: RunSettings) -> ClipLoader:
    """Returns a loader with the detector, landmarker, recognizer and settings of the analyzer."""
    return ClipLoader(
        settings.reading_settings(analyzer),
        detector=analyzer.reader.detector_name or analyzer.reader.detector,
        landmarker=analyzer.reader.landmarker,
        recognizer=analyzer.reader.recognizer,
        person=settings.person,
        cache_dir=settings.clip_cache,
    )


def report_settings(example: Example, *, settings: RunSettings) -> Settings:
    """Returns the settings recorded in a report, as if file and transcript had been passed to the analyzer."""
    transcript = example.transcript or ("given" if example.utterances else None)
    return Settings(mode=settings.mode, person=settings.person, transcript=transcript)


def model_fingerprint(analyzer: EmotionAnalyzer) -> str:
    """Returns the SHA-256 of weights, config, generation config, processor and landmark networks, without paths."""
    digest = hashlib.sha256()
    parts: Mapping[str, Any] = {
        "config": {**analyzer.model.config.to_dict(), "_name_or_path": ""},
        "generation": analyzer.model.generation_config.to_dict(),
        "processor": analyzer.processor.to_dict(),
        "landmarks": getattr(analyzer.reader.landmarker, "fingerprint", None),
    }
    digest.update(json.dumps(parts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(analyzer.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _files(example: Example) -> list[str]:
    return [path for path in (example.video, example.audio, example.faces, example.transcript) if path is not None]


def _utterance_targets(targets: tuple[EmotionTargets, ...], *, example: Example) -> tuple[EmotionTargets, ...]:
    """A single utterance without targets gets those of the clip."""
    unknown = EmotionTargets()
    return (example.targets,) if len(targets) == 1 and targets[0] == unknown else targets
