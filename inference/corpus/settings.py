"""How the clips of a corpus are analysed, and the fingerprint of that: rows of one table share it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from microemo.inference.job_log import job_digest
from microemo.inference.report.report import Settings
from microemo.inference.request import parse_person

if TYPE_CHECKING:  # the process that asks for rows holds no model, and need not import torch
    from microemo.inference.analyzer import EmotionAnalyzer

FORMAT = 1  # raise when the meaning of a row changes
MODES = get_args(get_type_hints(Settings)["mode"])


@dataclass(frozen=True)
class CorpusSettings:
    """Arguments of `EmotionAnalyzer`'s call, the same for all clips."""

    mode: str = "explain"
    person: str = "speaker"
    language: str | None = None
    audio_track: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {self.mode!r}")
        parse_person(self.person)

    def call_arguments(self) -> dict[str, Any]:
        """For the analyzer."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def row_provenance(analyzer: EmotionAnalyzer, *, settings: CorpusSettings) -> dict[str, Any]:
    """What rows depend on beside the clip, in terms of JSON.

    Not the model's path nor the number of its GPU, which differ from machine to machine: its weights and the config
    are what counts.
    """
    provenance = analyzer.provenance()
    model = provenance.pop("model")
    config = {name: value for name, value in analyzer.model.config.to_dict().items() if name != "_name_or_path"}
    model = {**model, "device": analyzer.model.device.type, "config": job_digest(config)}
    del model["model_id"]
    return {
        "format": FORMAT,
        **asdict(settings),
        **{f"model.{name}": part for name, part in model.items()},
        **provenance,
    }
