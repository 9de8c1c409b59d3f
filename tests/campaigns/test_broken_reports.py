"""JSON that claims to be a report, and journals of analyses, after damage: the value, or a `ValueError` that names it.

pytest -m campaign tests/campaigns/test_broken_reports.py
"""

import json
import math
from typing import Any

import numpy as np
import pytest

from microemo.inference.report.report import (
    ClipSummary,
    EmotionReport,
    EvidenceReport,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MicroExpression,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    StageTiming,
    UtteranceReport,
)

REPORT = EmotionReport(
    source="clip.mp4",
    duration_seconds=5.0,
    modalities=(Modality("frames", True), Modality("words", True, "transcript clip.srt")),
    status=OutputStatus("trained", "untrained", "trained", "not_requested"),
    utterances=(
        UtteranceReport(
            0.4,
            2.9,
            "Hello.",
            emotions=(LabelScore("joy", 0.75),),
            micro_expressions=(MicroExpression(0, 0.5, 0.6, 0.7, 0.9),),
            evidence=(EvidenceReport("face", "happiness", 0.4, 2.9, "happiness 0.97", 0.97),),
        ),
    ),
    summary=ClipSummary(valence=-0.5, arousal=0.25),
    face_curves=(FaceCurve(0, (0.1, 0.2), (ExpressionCurve("joy", (0.25, 0.5)),), None),),
    model=ModelInfo("tiny", (), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1"),
    settings=Settings("scores", "speaker", None, "clip.srt"),
    timings=(StageTiming("faces", 0.25),),
)
STRANGE = (
    None, True, 0, -1, 10**400, 0.5, -0.5, math.nan, math.inf, "", "x" * 1000, "\x00", [], {}, [None], {"a": 1},
)  # fmt: skip
CAMPAIGN, QUICK = 3000, 300


def places_in(value: Any, path: tuple = ()) -> list[tuple]:
    """The way to each value in a tree of JSON."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places_in(child, (*path, key)))]


def damaged(tree: Any, rng: np.random.Generator) -> str:
    """The tree as JSON text with one to three of its values replaced, removed or doubled, at times cut."""
    tree = json.loads(json.dumps(tree))
    for _ in range(int(rng.integers(1, 4))):
        places = [place for place in places_in(tree) if place]
        *way, last = places[int(rng.integers(len(places)))]
        owner = tree
        for key in way:
            owner = owner[key]
        action = rng.random()
        if action < 0.7:
            owner[last] = STRANGE[int(rng.integers(len(STRANGE)))]
        elif action < 0.85:
            del owner[last]
        elif isinstance(owner, list):
            owner.append(owner[last])
        else:
            owner[f"{last}2"] = owner[last]
    text = json.dumps(tree)
    return text[: int(rng.integers(len(text)))] if rng.random() < 0.1 else text


def check(numbers) -> None:
    refused = 0
    for number in numbers:
        text = damaged(REPORT.to_dict(), np.random.default_rng([28, number]))
        try:
            report = EmotionReport.from_json(text)
        except ValueError as error:
            assert len(str(error)) > 10, number
            refused += 1
            continue
        assert EmotionReport.from_json(report.to_json()) == report, number  # what was taken can be written and read
    assert refused > len(numbers) / 2


def test_a_whole_report_comes_back():
    assert EmotionReport.from_json(REPORT.to_json()) == REPORT


def test_damaged_reports_are_refused_by_field():
    check(range(QUICK))


@pytest.mark.campaign
def test_campaign_of_damaged_reports():
    check(range(CAMPAIGN))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_seconds": math.nan}, r"report\.duration_seconds must be a finite number"),
        ({"duration_seconds": 10**400}, r"report\.duration_seconds must be a finite number"),
        ({"duration_seconds": -1.0}, r"report\.duration_seconds must be in \[0, inf\]"),
        ({"summary": {"valence": 3.0}}, r"report\.summary\.valence must be in \[-1, 1\]"),
    ],
)
def test_numbers_that_no_report_holds_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        EmotionReport.from_json(json.dumps({**REPORT.to_dict(), **change}))


def test_endless_nesting_is_refused():
    with pytest.raises(ValueError, match="nested too deeply"):
        EmotionReport.from_json('{"a":' + "[" * 100_000)
