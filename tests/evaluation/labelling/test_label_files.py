"""Files of a labelling run, and the review of what judges could not settle."""

import json

import pytest
from labelled_clips import place_file

from microemo.data.example import LabelledUtterance
from microemo.data.reader_registry import read_examples
from microemo.evaluation.labelling.agreement import JudgeAgreement
from microemo.evaluation.labelling.judges import Opinion
from microemo.evaluation.labelling.label import judge_clips, summary_lines
from microemo.evaluation.labelling.label_files import LabelPaths, OpinionStore, ReviewFiles, find_clips, read_records
from microemo.evaluation.labelling.review_queue import ReviewQueue
from microemo.evaluation.labelling.votes import Rules, Vote

SAID = {"a": (["happy"], ["joyful"]), "b": (["sad"], ["angry"]), "c": (["angry"], ["happy"]), "d": ([], ["sad"])}


class FixedJudge:
    """Says what it was told to, and counts how often it was asked."""

    def __init__(self, name, column):
        self.name, self.identity, self.column, self.asked = name, name, column, 0

    def __call__(self, video):
        self.asked += 1
        if video.read_bytes() == b"broken":
            raise ValueError(f"{video} cannot be read")
        labels = tuple(SAID[video.stem][self.column])
        spoken = (LabelledUtterance("hello", 0.0, 1.0, "Anna"),) if self.column else ()
        return Opinion(Vote(self.name, labels, description=f"{self.name} saw it."), spoken)


@pytest.fixture
def folder(tmp_path):
    for name in SAID:
        place_file(tmp_path / "videos" / "deep" / f"{name}.mp4").write_bytes(name.encode())
    return tmp_path


def label(folder, *, judges=None, rules=None):
    paths = LabelPaths(folder / "out" / "labels.jsonl")
    judges = judges or [FixedJudge("one", 0), FixedJudge("two", 1)]
    files = ReviewFiles(paths)
    judged = judge_clips(
        find_clips([folder / "videos"]), judges, rules=rules or Rules(), store=OpinionStore(paths.votes)
    )
    files.replace(judged)
    return paths, judged


def test_kept_clips_are_a_training_file_and_the_rest_is_for_a_person(folder):
    paths, judged = label(folder)
    (example,) = read_examples("jsonl", paths.labels)
    assert example.targets.open_labels == ("happy",) and example.targets.description == "one saw it."
    assert example.video.endswith("a.mp4") and (folder / "videos" / "deep" / "a.mp4").samefile(example.video)
    assert example.utterances[0] == LabelledUtterance("hello", 0.0, 1.0, "Anna")
    review = read_records(paths.review)
    assert [record["clip_id"] for record in review] == ["b", "c", "d"]
    assert all(record["reason"] and record["verdict"] is None for record in review)
    lines = summary_lines(judged, JudgeAgreement(0.1, None, {("one", "two"): 0.25}), weights={"two": 2.0})
    assert lines[0] == "1 of 4 clips kept, 3 for a person"
    assert "| two | 2 | 4 | 1.00 |" in lines and "| overlap of one and two | 0.25 |" in lines


def test_a_run_that_was_stopped_goes_on(folder):
    first = [FixedJudge("one", 0), FixedJudge("two", 1)]
    paths, _ = label(folder, judges=first)
    with paths.votes.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut of')
    again = [FixedJudge("one", 0), FixedJudge("three", 1)]
    (folder / "videos" / "deep" / "b.mp4").write_bytes(b"another cut")
    label(folder, judges=again)
    assert [judge.asked for judge in (*first, *again)] == [4, 4, 1, 4]


def test_a_clip_that_cannot_be_read_is_for_a_person(folder):
    (folder / "videos" / "deep" / "a.mp4").write_bytes(b"broken")
    paths, judged = label(folder)
    record = read_records(paths.review)[0]
    assert record["clip_id"] == "a" and "0 of 2 judges" in record["reason"]
    assert "cannot be read" in record["votes"][0]["error"] and read_records(paths.labels) == []


def test_a_person_accepts_edits_rejects_and_goes_back(folder):
    paths, _ = label(folder)
    queue = ReviewQueue(paths.labels)
    assert queue.item.name == "b" and queue.item.suggestion == "sad, angry" and queue.item.media.is_file()
    queue.accept("Sad, hopeful")
    assert queue.item.name == "c"
    queue.reject()
    queue.skip()
    assert queue.item is None and queue.done == 2
    labels = {example.example_id: example.targets for example in read_examples("jsonl", paths.labels)}
    assert labels["b"].open_labels == ("sad", "hopeful") and "c" not in labels
    assert labels["b"].description == "", "reasons for other labels are not kept"
    queue.back()
    queue.back()
    assert queue.item.name == "c" and queue.done == 1
    queue.accept("angry")
    again = ReviewQueue(paths.labels)
    assert again.item.name == "d" and again.done == 2
    assert {record["clip_id"] for record in read_records(paths.labels)} == {"a", "b", "c"}


def test_decisions_of_a_person_survive_another_run(folder):
    paths, _ = label(folder)
    queue = ReviewQueue(paths.labels)
    queue.accept("ashamed")
    queue.reject()
    label(folder, judges=[FixedJudge("one", 0), FixedJudge("two", 1), FixedJudge("three", 1)])
    labels = {record["clip_id"]: record["labels"] for record in read_records(paths.labels)}
    assert labels["b"] == ["ashamed"] and "c" not in labels


def test_nothing_is_accepted_without_a_label(folder):
    paths, _ = label(folder)
    before = paths.labels.read_bytes(), paths.review.read_bytes()
    queue = ReviewQueue(paths.labels)
    with pytest.raises(ValueError, match="labels of b must be one or more words"):
        queue.accept(" , ")
    assert queue.item.name == "b" and (paths.labels.read_bytes(), paths.review.read_bytes()) == before


def test_unusable_files_are_named(folder):
    with pytest.raises(ValueError, match="must have its review file labels.review.jsonl"):
        ReviewQueue(folder / "labels.jsonl")
    with pytest.raises(ValueError, match="ends in .jsonl"):
        LabelPaths(folder / "labels.json")
    broken = folder / "x.jsonl"
    broken.write_text(json.dumps({"clip_id": "a"}) + "\n[1]\n", encoding="utf-8")
    with pytest.raises(ValueError, match="x.jsonl, line 2 must be an object with a clip_id"):
        read_records(broken)
    place_file(folder / "videos" / "a.wav")
    with pytest.raises(ValueError, match="different names"):
        find_clips([folder / "videos"])
    with pytest.raises(ValueError, match="there is none"):
        find_clips([folder / "nowhere"])


def test_rules_name_judges_that_exist(folder):
    with pytest.raises(ValueError, match="--weights names .'four'."):
        label(folder, rules=Rules(weights={"four": 2.0}))
    with pytest.raises(ValueError, match=r"--min-judges \(3\)"):
        label(folder, rules=Rules(min_judges=3))
