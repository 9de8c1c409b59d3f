import json

import pytest
from labelled_clips import labelled_record

from microemo.evaluation.dataset_choice import DatasetChoice


def test_dataset_argument_is_parsed():
    choice = DatasetChoice.parse("mer2023:data/mer,split=test1,allow_pickle=true,take=7")
    assert (choice.reader, choice.path, choice.take) == ("mer2023", "data/mer", 7)
    assert choice.arguments == {"split": "test1", "allow_pickle": True}
    assert str(choice) == "mer2023:data/mer,split=test1,allow_pickle=True,take=7"


def test_the_text_wins_over_the_option():
    assert DatasetChoice.parse("jsonl:a.jsonl,take=2", take=9).take == 2
    assert DatasetChoice.parse("jsonl:a.jsonl", take=9).take == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing:path", "must be READER:PATH.*goemotions"),
        ("jsonl", "must be READER:PATH"),
        ("jsonl:a,split", "'split' must be name=value"),
        ("jsonl:a,take=some", r"take \(some\) must be a number"),
        ("jsonl:a,take=0", r"take \(0\) must be a number"),
    ],
)
def test_invalid_text_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        DatasetChoice.parse(text)


def test_examples_are_those_of_the_reader(tmp_path):
    lines = [json.dumps(labelled_record(f"clip{number}.mp4", faces=None, number=number)) for number in range(3)]
    (tmp_path / "clips.jsonl").write_text("\n".join(lines))
    choice = DatasetChoice.parse(f"jsonl:{tmp_path / 'clips.jsonl'},take=2")
    assert [example.video for example in choice.examples()] == [str(tmp_path / f"clip{n}.mp4") for n in range(2)]
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="at least one example"):
        DatasetChoice.parse(f"jsonl:{tmp_path / 'none.jsonl'}").examples()
