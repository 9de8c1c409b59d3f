"""Tables of examples: in memory, streamed, and back to examples."""

import pickle

import datasets
import pytest
from labelled_clips import write_labelled_clips

from microemo.data.example import Example
from microemo.data.reader_registry import READERS, load_examples, read_examples, table_of


def same(one, other):
    """Whether two examples are equal; arrays are compared by value."""
    return pickle.dumps(one.to_row()) == pickle.dumps(other.to_row())


def test_a_table_gives_the_examples_back(tmp_path):
    path = write_labelled_clips(tmp_path, count=2)
    examples = list(read_examples("jsonl", path))
    table = load_examples("jsonl", path)
    assert isinstance(table, datasets.Dataset) and len(table) == 2
    assert all(same(Example.from_row(row), example) for row, example in zip(table, examples, strict=True))


def test_streaming_reads_the_same_lazily(tmp_path):
    path = write_labelled_clips(tmp_path, count=2)
    stream = load_examples("jsonl", path, streaming=True)
    assert isinstance(stream, datasets.IterableDataset)
    assert [row["example_id"] for row in stream] == [row["example_id"] for row in load_examples("jsonl", path)]
    path.write_text(path.read_text().splitlines()[0] + "\nbroken\n")
    first = next(iter(load_examples("jsonl", path, streaming=True)))
    assert same(Example.from_row(first), next(read_examples("jsonl", path)))


def test_tables_can_be_mixed_and_filtered():
    words = table_of([Example("a", audio="a.wav"), Example("b", video="b.mp4")])
    mixed = datasets.concatenate_datasets([words, words.filter(lambda row: row["video"] is not None)])
    assert mixed["example_id"] == ["a", "b", "b"]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="reader .'mer2022'.*mer2023"):
        read_examples("mer2022", ".")
    with pytest.raises(ValueError, match="does not take .'split'."):
        read_examples("jsonl", ".", split="train")
    assert {"mer2023", "mer2024", "mer2025", "mer2026", "emer_v1", "emer_v2", "ovmerd_plus", "meld"} <= set(READERS)
