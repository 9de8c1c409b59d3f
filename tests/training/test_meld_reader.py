"""MELD as published, and the prepared data sets of MERTools."""

import pytest
from labelled_clips import place_file, write_csv, write_label_npz

from microemo.training.reader_registry import read_examples

COLUMNS = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")


@pytest.mark.parametrize(
    ("split", "folder"),
    [("train", "train_splits"), ("dev", "dev_splits_complete"), ("test", "output_repeated_splits_test")],
)
def test_published_meld_has_a_folder_for_each_split(tmp_path, split, folder):
    place_file(tmp_path / folder / "dia0_utt3.mp4")
    row = ("1", "You\x92re kidding", "Monica", "Surprise", "positive", "0", "3")
    write_csv(tmp_path / f"{split}_sent_emo.csv", COLUMNS, row)
    (example,) = read_examples("meld", tmp_path, split=split)
    assert example.example_id == f"{split}_dia0_utt3" and example.targets.closed_label == "surprise"
    assert example.utterances[0].text == "You're kidding" and example.utterances[0].speaker == "Monica"


def test_prepared_meld_numbers_its_emotions(tmp_path):
    place_file(tmp_path / "subvideo" / "dia0_utt0.mp4")
    place_file(tmp_path / "subaudio" / "dia0_utt0.wav")
    write_label_npz(tmp_path / "label.npz", train_corpus={"dia0_utt0": {"emo": 1}}, test_corpus={})
    write_csv(tmp_path / "transcription-engchi-polish.csv", ("name", "chinese", "english"), ("dia0_utt0", "哈", "Ha"))
    (example,) = read_examples("meld_prepared", tmp_path, allow_pickle=True)
    assert example.targets.closed_label == "joy" and example.utterances[0].text == "Ha"
    assert example.audio == str(tmp_path / "subaudio" / "dia0_utt0.wav")


def test_prepared_iemocap_is_one_corpus(tmp_path):
    place_file(tmp_path / "subvideo-tgt" / "Ses01.avi")
    write_label_npz(tmp_path / "label_4way.npz", whole_corpus={"Ses01": {"emo": 3}})
    (example,) = read_examples("iemocap_prepared", tmp_path, split="whole", allow_pickle=True)
    assert example.targets.closed_label == "anger"


@pytest.mark.parametrize(
    ("corpus", "value", "valence"), [("mosi", -3.0, -1.0), ("mosei", 1.5, 0.5), ("sims", 0.4, 0.4)]
)
def test_sentiment_becomes_valence(tmp_path, corpus, value, valence):
    place_file(tmp_path / "video" / "a.mp4")
    write_label_npz(tmp_path / "label.npz", test_corpus={"a": {"val": value}})
    (example,) = read_examples(f"{corpus}_prepared", tmp_path, split="test", allow_pickle=True)
    assert example.targets.valence == pytest.approx(valence) and example.targets.closed_label is None
