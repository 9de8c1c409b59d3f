"""Score tables: figures of several models side by side, as Markdown and JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from microemo.evaluation.metrics.bootstrap import Estimate

# Families of figures that can be selected: those of `figures` for label files, those of `report_figures` for models.
Family = Literal["set", "wheel", "wheel-columns", "hit", "closed-set", "sentiment", "valence-arousal"]
FAMILIES: tuple[Family, ...] = get_args(Family)
ReportFamily = Literal[
    "spotting", "emotions", "leaks", "open-vocabulary", "expressions", "calibration", "explanations", Family
]
REPORT_FAMILIES: tuple[ReportFamily, ...] = get_args(ReportFamily)


@dataclass(frozen=True)
class Score:
    """A figure of one model. The values of `estimate` are not in percent."""

    name: str
    estimate: Estimate
    clips: int
    percent: bool


@dataclass(frozen=True)
class ModelScores:
    model: str
    scores: Sequence[Score]


@dataclass(frozen=True)
class ScoreTable:
    """Scores of models and the settings of the evaluation.

    differences: differences of models from the model named `baseline`, on the same resamples.
    """

    models: Sequence[ModelScores]
    settings: Mapping[str, object]
    differences: Sequence[ModelScores] = ()
    baseline: str = ""

    def to_markdown(self) -> str:
        """Returns a table with one row per figure and one column per model, then the settings as a list."""
        lines = _table("metric", self.models)
        if self.differences:
            lines += ["", *_table(f"difference from {_escaped(self.baseline)}", self.differences)]
        lines += ["", *(f"- {name}: {value}" for name, value in self.settings.items()), ""]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Returns the table as JSON, with figures in full precision, not in percent, and NaN as null."""
        record = {
            "settings": dict(self.settings),
            "models": [_record(model) for model in self.models],
            **(
                {"baseline": self.baseline, "differences": [_record(model) for model in self.differences]}
                if self.differences
                else {}
            ),
        }
        return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def _table(corner: str, models: Sequence[ModelScores]) -> list[str]:
    names = list(dict.fromkeys(score.name for model in models for score in model.scores))
    by_name = [{score.name: score for score in model.scores} for model in models]
    lines = [
        f"| {corner} | " + " | ".join(_escaped(model.model) for model in models) + " |",
        "|---|" + "---:|" * len(models),
    ]
    for name in names:
        cells = [_cell(scores[name]) if name in scores else "-" for scores in by_name]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _record(model: ModelScores) -> dict[str, object]:
    return {
        "model": model.model,
        "scores": [
            {
                "metric": score.name,
                "value": _finite(score.estimate.value),
                "low": _finite(score.estimate.low),
                "high": _finite(score.estimate.high),
                "clips": score.clips,
            }
            for score in model.scores
        ],
    }


def _cell(score: Score) -> str:
    """Returns "52.30 [49.10, 55.60]" in percent, or "0.523 [0.491, 0.556]"."""
    factor, digits = (100, 2) if score.percent else (1, 3)
    estimate = score.estimate
    if math.isnan(estimate.value):
        return "-"
    text = f"{estimate.value * factor:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low * factor:.{digits}f}, {estimate.high * factor:.{digits}f}]"


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _escaped(name: str) -> str:
    return name.replace("|", "\\|")
