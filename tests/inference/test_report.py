import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from microemo.inference.report.report import (
    EmotionReport,
    EvidenceReport,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MicroExpression,
)
from microemo.inference.report.schema import report_schema

SHIPPED_SCHEMA = json.loads((files("microemo.inference.report") / "report.schema.json").read_text(encoding="utf-8"))


def test_the_report_comes_back_equal(report):
    assert EmotionReport.from_json(report.to_json()) == report
    assert EmotionReport.from_json(report.to_json(indent=2)) == report


def test_a_report_of_the_version_before_is_read(report):
    added = ("detection_scores", "action_units", "head_pose", "gaze")
    old = json.loads(report.to_json())
    old["schema_version"] = "3.0"
    del old["summary"]["macro_expressions"]
    for curve in old["face_curves"]:
        for name in added:
            del curve[name]
    read = EmotionReport.from_json(json.dumps(old))
    curve = replace(report.face_curves[0], **dict.fromkeys(added))
    summary = replace(report.summary, macro_expressions=None)
    assert read == replace(report, face_curves=(curve,), summary=summary) and read.schema_version == "3.1"


def test_lists_of_numbers_keep_to_a_line(report):
    told = "a list [\n 1,\n 2\n] in words"
    changed = replace(report, warnings=(told,))
    lines = changed.to_json(indent=1).splitlines()
    curve = report.face_curves[0]
    assert any(line.strip() == f'"times": {json.dumps(list(curve.times))},' for line in lines)
    assert any(line.strip().startswith('"boxes": [[100, 50, 180, 150], [100,') for line in lines)
    assert any(line.strip().startswith('"intensities": [null, 0.0,') for line in lines)
    assert json.loads("\n".join(lines)) == json.loads(changed.to_json())


def test_whole_numbers_are_read_as_seconds(report):
    data = json.loads(report.to_json())
    data["duration_seconds"] = 5
    assert EmotionReport.from_json(json.dumps(data)) == report


def test_the_json_fits_the_shipped_schema(report):
    jsonschema.Draft202012Validator.check_schema(SHIPPED_SCHEMA)
    jsonschema.validate(json.loads(report.to_json()), SHIPPED_SCHEMA)


def test_the_shipped_schema_is_the_generated_one():
    assert report_schema() == SHIPPED_SCHEMA


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(duration_seconds=-1), "-1 is less than the minimum"),
        (lambda data: data["utterances"][0].update(mood="good"), "mood"),
        (lambda data: data["status"].update(emotions="guessed"), "guessed"),
    ],
)
def test_the_schema_refuses(report, change, words):
    data = json.loads(report.to_json())
    change(data)
    with pytest.raises(jsonschema.ValidationError, match=words):
        jsonschema.validate(data, SHIPPED_SCHEMA)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(schema_version="0.1"), "schema_version must be one of 3.0, 3.1, got '0.1'"),
        (lambda data: data.pop("source"), r"report lacks the fields \['source'\]"),
        (lambda data: data["utterances"][0].update(mood="good"), r"report.utterances\[0\] has unknown fields"),
        (lambda data: data["utterances"][1].update(text=3), r"report.utterances\[1\].text must be of type string"),
        (lambda data: data.update(warnings="none"), "report.warnings must be a list, got str"),
        (lambda data: data["status"].update(emotions="guessed"), "report.status.emotions must be one of"),
        (lambda data: data.update(duration_seconds=True), "report.duration_seconds must be of type number"),
    ],
)
def test_reading_names_the_broken_field(report, change, words):
    data = json.loads(report.to_json())
    change(data)
    with pytest.raises(ValueError, match=words):
        EmotionReport.from_json(json.dumps(data))


def test_what_was_not_measured_stays_null(report):
    second = json.loads(report.to_json())["utterances"][1]
    assert second["emotions"] is None and second["micro_expressions"] is None and second["evidence"] == []


def test_the_report_holds_no_infinite_numbers(report):
    with pytest.raises(ValueError, match="Out of range"):
        replace(report, duration_seconds=float("nan")).to_json()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: LabelScore("joy", 1.2), r"probability of 'joy' must be in \[0, 1\], got 1.2"),
        (lambda: EvidenceReport("smell", "roses", 0.0, 1.0, "roses"), "kind must be one of .* got 'smell'"),
        (lambda: MicroExpression(0, 1.0, 0.9, 1.2, 0.5), "onset <= apex <= offset, got 1.0, 0.9, 1.2"),
        (
            lambda: FaceCurve(3, (0.0, 0.1), (ExpressionCurve("anger", (0.5,)),), None),
            "face curve 3: anger has 1 values for 2 times",
        ),
    ],
)
def test_values_check_themselves(build, words):
    with pytest.raises(ValueError, match=words):
        build()
