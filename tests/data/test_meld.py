"""MELD as published, and the prepared data sets of MERTools."""

import pytest
from labelled_clips import place_file, write_csv, write_label_npz

from microemo.data.reader_registry import read_examples

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


ROWS = (
    ("1", "Hi", "Ross", "Joy", "positive", "0", "0"),
    ("2", "You left me\x97why?", "Rachel", "Anger", "negative", "0", "1"),
    ("3", "So", "Joey", "Neutral", "neutral", "1", "0"),
)


def test_whole_dialogues_are_words_in_order_without_media(tmp_path):
    write_csv(tmp_path / "dev_sent_emo.csv", COLUMNS, *ROWS)
    first, second = read_examples("meld", tmp_path, split="dev", dialogues=True)
    assert [first.example_id, second.example_id] == ["dev_dia0", "dev_dia1"]
    assert first.video is None and first.audio is None
    assert [(each.text, each.speaker, each.targets.closed_label) for each in first.utterances] == [
        ("Hi", "Ross", "joy"),
        ("You left me-why?", "Rachel", "anger"),
    ]
    times = [(each.start_seconds, each.end_seconds) for each in first.utterances]
    assert times[0][0] < times[0][1] <= times[1][0] < times[1][1]


def test_the_table_is_read_without_videos_where_words_are_enough(tmp_path):
    write_csv(tmp_path / "train_sent_emo.csv", COLUMNS, *ROWS)
    examples = list(read_examples("meld", tmp_path, missing="words"))
    assert [each.utterances[0].text for each in examples] == ["Hi", "You left me-why?", "So"]
    assert all(each.video is None for each in examples)
    with pytest.raises(ValueError, match=r"dia0_utt0 has a label, but no file .*missing=\"words\""):
        list(read_examples("meld", tmp_path))


def test_prepared_meld_has_numbered_emotions(tmp_path):
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
