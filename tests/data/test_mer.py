"""Readers of the MER family, on small files in the layouts of the challenges."""

import pytest
from labelled_clips import place_file, write_csv, write_label_npz

from microemo.data.reader_registry import read_examples
from microemo.data.readers.mer import MerOptions, read_mer2023, read_mer2024, read_mer_tables

NAME, OTHER = "sample_00000000", "sample_00000001"


@pytest.fixture
def media(tmp_path):
    """Videos and audio of two samples, with faces in both path forms."""
    for name in (NAME, OTHER):
        place_file(tmp_path / "video" / f"{name}.mp4")
        place_file(tmp_path / "audio" / f"{name}.wav")
    place_file(tmp_path / "openface_face" / NAME / f"{NAME}.npy")
    place_file(tmp_path / "openface_face" / f"{OTHER}.npy")
    return tmp_path


def test_mer2023_raw_has_classes_and_valence(tmp_path):
    place_file(tmp_path / "train" / f"{NAME}.avi")
    write_csv(tmp_path / "train-label.csv", ("name", "discrete", "valence"), (NAME, "worried", "-2.5"))
    (example,) = read_mer2023(tmp_path, split="train")
    assert example.video == str(tmp_path / "train" / f"{NAME}.avi") and example.audio is None
    assert example.targets.closed_label == "worried" and example.targets.valence == -0.5
    assert example.utterances[0].targets == example.targets


def test_mer2023_test3_has_no_valence(tmp_path):
    place_file(tmp_path / "test3" / f"{NAME}.mp4")
    write_csv(tmp_path / "test3-label.csv", ("name", "discrete"), (NAME, "happy"))
    (example,) = read_mer2023(tmp_path, split="test3")
    assert example.targets.valence is None


def test_mer2023_prepared_needs_the_flag_for_pickles(media):
    write_label_npz(media / "label-6way.npz", train_corpus={NAME: {"emo": "sad", "val": -10}})
    with pytest.raises(ValueError, match="allow_pickle=True"):
        list(read_mer2023(media))
    (example,) = read_mer2023(media, options=MerOptions(allow_pickle=True))
    assert example.targets.closed_label == "sad" and example.targets.valence is None
    assert example.audio == str(media / "audio" / f"{NAME}.wav")
    with pytest.raises(ValueError, match=r"split \('test9'\).*train"):
        list(read_mer2023(media, split="test9", options=MerOptions(allow_pickle=True)))


def test_numbered_emotions_follow_the_order_of_the_data_set(media):
    write_label_npz(media / "label-6way.npz", test1_corpus={NAME: {"emo": 4, "val": 5.0}})
    (example,) = read_mer2023(media, split="test1", options=MerOptions(allow_pickle=True))
    assert example.targets.closed_label == "worried" and example.targets.valence == 1.0


def test_faces_are_found_in_both_path_forms(media):
    write_csv(media / "ovlabel.csv", ("name", "openset"), (NAME, "['sad']"), (OTHER, "['happy']"))
    examples = list(read_mer_tables(media, split="ovlabel"))
    assert [example.faces for example in examples] == [
        str(media / "openface_face" / NAME / f"{NAME}.npy"),
        str(media / "openface_face" / f"{OTHER}.npy"),
    ]


def test_mer2024_raw_has_chinese_words_alone(tmp_path):
    place_file(tmp_path / "video-labeled" / f"{NAME}.mp4")
    write_csv(tmp_path / "label-disdim.csv", ("name", "discrete", "valence"), (NAME, "angry", "-4"))
    write_csv(tmp_path / "label-transcription.csv", ("name", "chinese"), (NAME, "你好"))
    (example,) = read_mer2024(tmp_path)
    assert example.utterances[0].text == "你好" and example.targets.valence == -0.8


@pytest.mark.parametrize("file", ["transcription-merge.csv", "transcription_merge.csv"])
def test_mer2024_prepared_subtitles_have_two_names(media, file):
    write_label_npz(media / "label-6way.npz", test2_corpus={NAME: {"emo": "neutral"}})
    write_csv(media / file, ("name", "chinese"), (NAME, "好"))
    (example,) = read_mer2024(media, split="test2", options=MerOptions(allow_pickle=True))
    assert example.utterances[0].text == "好"


def test_mer2025_open_sets_and_reasons_are_joined_by_sample(media):
    write_csv(
        media / "track2_train_ovmerd.csv", ("name", "openset"), (NAME, "['confused', 'helpless']"), (OTHER, "[]")
    )
    write_csv(media / "track3_train_ovmerd.csv", ("name", "reason"), (NAME, "He frowns, and sighs."))
    write_csv(media / "subtitle_chieng.csv", ("name", "chinese", "english"), (NAME, "啊", "Well"), (OTHER, "nan", ""))
    first, second = read_examples("mer2025", media, split="track2_train_ovmerd+track3_train_ovmerd")
    assert first.targets.open_labels == ("confused", "helpless")
    assert first.targets.description == "He frowns, and sighs."
    assert first.utterances[0].text == "Well"
    assert second.targets.open_labels == ("neutral",), "an empty open set means neutral"
    assert second.utterances[0].text == "", "a subtitle of NaN is no words"


def test_mer2025_track_1_has_classes(media):
    write_csv(media / "track1_train_disdim.csv", ("name", "discrete", "valence"), (NAME, "surprise", "1"))
    (example,) = read_examples("mer2025", media, split="track1_train_disdim", language="chinese")
    assert example.targets.closed_label == "surprise" and not example.targets.open_labels


def test_candidates_without_labels_are_read(media):
    write_csv(media / "track1_track2_candidate.csv", ("name",), (NAME,))
    (example,) = read_examples("mer2026", media, split="track1_track2_candidate")
    assert not example.targets.open_labels and example.targets.closed_label is None


def test_ovmerd_plus_has_english_sentences(media):
    write_csv(media / "ovlabel.csv", ("name", "openset"), (NAME, "['doubtful']"))
    write_csv(media / "subtitle_eng.csv", ("name", "sentence"), (NAME, "Is it?"))
    (example,) = read_examples("ovmerd_plus", media)
    assert example.targets.open_labels == ("doubtful",) and example.utterances[0].text == "Is it?"


def test_a_sample_without_media_is_an_error_unless_skipped(media):
    write_csv(media / "track2_train_human.csv", ("name", "openset"), (NAME, "['sad']"), ("sample_9", "['sad']"))
    with pytest.raises(ValueError, match="sample_9"):
        list(read_examples("mer2026", media, split="track2_train_human"))
    assert len(list(read_examples("mer2026", media, split="track2_train_human", missing="skip"))) == 1


def test_segments_give_the_times_of_utterances(media):
    (media / "segments").mkdir()
    (media / "segments" / f"{NAME}.txt").write_text("0.10\t0.80\tOh no\n0.90\t1.70\tNot again\n", encoding="utf-8")
    write_csv(media / "ovlabel.csv", ("name", "openset"), (NAME, "['sad']"))
    (example,) = read_examples("ovmerd_plus", media)
    assert example.transcript == str(media / "segments" / f"{NAME}.txt")


def test_a_table_without_names_is_refused(media):
    write_csv(media / "odd.csv", ("id", "openset"), (NAME, "['sad']"))
    with pytest.raises(ValueError, match=r"name or names.*'id'"):
        list(read_mer_tables(media, split="odd"))
