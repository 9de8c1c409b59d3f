import json
from pathlib import Path

import pytest

from microemo.inference.report.report import EmotionReport
from microemo.spaces_demo.jobs import Failed, Finished, Grown, Job, Stage
from microemo.spaces_demo.page_state import STEPS, page_states


def states(told, **job):
    return list(page_states(told, job=Job(Path("clip.mp4"), **job), media="/tmp/clip.mp4"))


def test_steps_have_names_and_only_those_that_will_come():
    assert [step.name for step in states([])[0].steps] == list(STEPS.values())
    asked = states([], transcript=Path("clip.srt"), mode="scores")[0]
    assert [step.name for step in asked.steps] == [STEPS["frames"], STEPS["faces"], STEPS["model"]]


def test_steps_move_on():
    last = states([Stage("speech", 7, 7), Stage("faces", 1, 4), Stage("loading", 0, 1)])[-1]
    assert [(step.state, step.share) for step in last.steps] == [
        ("done", 1), ("done", 1), ("now", 0.25), ("todo", 0), ("todo", 0),
    ]  # fmt: skip


def test_the_report_grows_and_files_come_last(report):
    start, partial, end = states([Grown(report), Finished()])
    assert start.report is None and start.media == "/tmp/clip.mp4"
    assert partial.report["utterances"][0]["text"] == "Hello." and partial.files is None
    assert end.steps == () and list(end.files) == [".json", ".csv", ".faces.csv", ".srt", ".vtt", ".html"]
    assert EmotionReport.from_json(end.files[".json"]) == report
    assert end.report["captions"] == end.files[".vtt"]
    assert 'data-media=""' in end.files[".html"]


def test_a_failure_leaves_its_reason_alone(report):
    end = states([Grown(report), Failed("too long")])[-1]
    assert end.problem == "too long" and end.report is None and end.files is None


@pytest.mark.parametrize("told", [[], [Stage("faces", 1, 2)]])
def test_values_are_plain(told):
    for state in states(told):
        json.dumps(state.as_value(), allow_nan=False)
