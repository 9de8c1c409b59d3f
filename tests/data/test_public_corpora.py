"""Corpora with only words or only voices."""

import pytest
from labelled_clips import write_csv

from microemo.data.reader_registry import read_examples


def test_goemotions_are_words_with_all_their_labels(tmp_path):
    (tmp_path / "labels.txt").write_text("admiration\namusement\nneutral\n", encoding="utf-8")
    (tmp_path / "dev.tsv").write_text('He said "hi"  there\t0,2\tabc\n', encoding="utf-8")
    (example,) = read_examples("goemotions", tmp_path, split="dev")
    assert example.utterances[0].text == 'He said "hi" there' and example.example_id == "goemotions_abc"
    assert example.utterances[0].targets.emotions == ("admiration", "neutral")


def test_voices_are_split_by_person(tmp_path):
    rows = [(f"a{actor}.flac", f"{actor:02d}", "Kids are talking", "calm") for actor in range(1, 7)]
    write_csv(tmp_path / "labels.csv", ("file", "actor", "sentence", "emotion"), *rows)
    train, validation, both = (
        {example.example_id for example in read_examples("ravdess", tmp_path, split=split)}
        for split in ("train", "validation", "all")
    )
    assert train == {"ravdess_a1", "ravdess_a2"} and len(validation) == 4
    assert train | validation == both and not train & validation
    with pytest.raises(ValueError, match=r"split \('test'\)"):
        list(read_examples("ravdess", tmp_path, split="test"))


def test_sentence_codes_are_not_used_as_words(tmp_path):
    rows = [(f"{speaker}.flac", speaker, "a01", "boredom") for speaker in ("03", "08", "09")]
    write_csv(tmp_path / "labels.csv", ("file", "speaker", "sentence", "emotion"), *rows)
    (example,) = read_examples("emodb", tmp_path)
    assert example.utterances[0].text == "" and example.targets.closed_label == "boredom"
