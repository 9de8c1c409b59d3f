"""A model over the examples of a data set, by the very path of `EmotionAnalyzer`: one report an example."""

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
from microemo.evaluation.tower_cache import remembered_towers
from microemo.inference.analyzer import EmotionAnalyzer, Mode
from microemo.inference.report.report import SCHEMA_VERSION, Settings
from microemo.inference.stage_timer import Progress
from microemo.processing.crop_cache import content_hash
from microemo.processing.reading_settings import ReadingSettings


@dataclass(frozen=True)
class RunSettings:
    """How examples are analysed.

    mode: as of `EmotionAnalyzer`. person: whose face is attended, "speaker" or "largest". reading: fields of
    `ReadingSettings` in place of the model's own. clip_cache: folder that keeps what was read of the clips.
    """

    mode: Mode = "scores"
    person: str = "speaker"
    reading: tuple[tuple[str, Any], ...] = ()
    clip_cache: Path | None = None

    def reading_settings(self, analyzer: EmotionAnalyzer) -> ReadingSettings:
        """What the examples are read with."""
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
    """The reports of every example, by name of the ablation; each clip is read, and goes through the towers, once.

    Args:
        store: of what was analysed before, which is not analysed again, and of what is analysed now.
        progress: called with ("examples", done, total).

    Raises:
        ValueError: an example that cannot be read, named.
    """
    store = store or PredictionStore()
    runs = _Runs(analyzer, ablations, settings=settings)
    found: dict[str, list[EvaluatedClip]] = {ablation.name: [] for ablation in ablations}
    with remembered_towers(analyzer.model) as features:
        for number, example in enumerate(examples):
            for name, clip in runs.analyse(example, store=store):
                found[name].append(clip)
            features.clear()
            if progress is not None:
                progress("examples", number + 1, len(examples))
    return {name: tuple(clips) for name, clips in found.items()}


class _Runs:
    """One model in all its ablations, and how its examples are read."""

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
        """The ablations' names and what they say of the example."""
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
        asked = report_settings(read.example, settings=self.settings)
        report = analyzer.report_clip(clip, settings=asked)
        targets = read.targets or (read.example.targets,) * len(report.utterances)
        return EvaluatedClip(read.example, _filled(targets, example=read.example), report)


def clip_loader(analyzer: EmotionAnalyzer, *, settings: RunSettings) -> ClipLoader:
    """Reads examples with the analyzer's own detector, landmarker, recognizer and settings."""
    return ClipLoader(
        settings.reading_settings(analyzer),
        detector=analyzer.reader.detector_name or analyzer.reader.detector,
        landmarker=analyzer.reader.landmarker,
        recognizer=analyzer.reader.recognizer,
        person=settings.person,
        cache_dir=settings.clip_cache,
    )


def report_settings(example: Example, *, settings: RunSettings) -> Settings:
    """What a report says of how it was asked for: as if its file and words had been given to the analyzer."""
    transcript = example.transcript or ("given" if example.utterances else None)
    return Settings(mode=settings.mode, person=settings.person, transcript=transcript)


def model_fingerprint(analyzer: EmotionAnalyzer) -> str:
    """SHA-256 of the weights, the config, the landmark nets and what the processor does; not of where they lie."""
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


def _filled(targets: tuple[EmotionTargets, ...], *, example: Example) -> tuple[EmotionTargets, ...]:
    """The only utterance of a clip has the clip's labels where it has none of its own."""
    unknown = EmotionTargets()
    return (example.targets,) if len(targets) == 1 and targets[0] == unknown else targets
