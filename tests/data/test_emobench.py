"""EmoBench's questions, in the form that the benchmark is published in."""

import json

import pytest
from emobench_files import CHOICE, write_emobench

from microemo.data.example import Turn
from microemo.data.reader_registry import read_examples
from microemo.data.readers.emobench import TASKS


def test_every_task_has_its_questions_answers_and_options(tmp_path):
    examples = list(read_examples("emobench", write_emobench(tmp_path)))
    assert {example.turn.task for example in examples} == set(TASKS)
    of_task = {task: [example for example in examples if example.turn.task == task] for task in TASKS}
    first = of_task["emo_c"][0]
    assert first.turn == Turn(CHOICE, "joy", options=("anger", "fear", "joy"), task="emo_c")
    assert first.video == str(tmp_path / "a.jpg") and first.targets.closed_label == "joy"
    assert of_task["hate"][0].turn.options == ("yes", "no") and of_task["hate"][0].turn.answer == "no"
    assert of_task["emo_o"][0].turn.options == ("anger", "joy"), "the classes that the file has"
    assert of_task["intent"][0].turn.options == ("ask", "praise")
    assert of_task["intent"][0].video == str(tmp_path / "b.mp4") and of_task["intent"][0].targets.closed_label is None


def test_tasks_can_be_chosen(tmp_path):
    write_emobench(tmp_path)
    found = [example.turn.task for example in read_examples("emobench", tmp_path, task="hate+intent")]
    assert set(found) == {"hate", "intent"}
    (tmp_path / "hate.jsonl").unlink()
    assert {each.turn.task for each in read_examples("emobench", tmp_path)} == set(TASKS) - {"hate"}
    with pytest.raises(ValueError, match="must hold hate.json"):
        list(read_examples("emobench", tmp_path, task="hate+intent"))
    with pytest.raises(ValueError, match="must be all or different ones of emo_c"):
        list(read_examples("emobench", tmp_path, task="irony"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image": "a.jpg", "instruction": CHOICE, "answer": "shame"}, "must be one of anger, fear, joy"),
        ({"image": "a.jpg", "instruction": "Which emotion?", "answer": "joy"}, "must be one of none"),
        ({"instruction": CHOICE, "answer": "joy"}, "must have an image or a video"),
        ({"image": "a.jpg", "conversations": [{"from": "human", "value": "?"}]}, "one round"),
    ],
)
def test_an_entry_that_cannot_be_scored_is_named(tmp_path, entry, message):
    (tmp_path / "emo_c.json").write_text(json.dumps([{"id": "x7", **entry}]), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"'x7'.*{message}"):
        list(read_examples("emobench", tmp_path))
