"""EMER v1 and v2 on small files in their layouts."""

from labelled_clips import place_file, write_csv

from microemo.data.reader_registry import read_examples

NAME = "sample_00000007"


def test_v1_has_labels_words_and_reasons(tmp_path):
    place_file(tmp_path / "train" / f"{NAME}.avi")
    columns = ("names", "emotions", "subtitles", "reasons")
    write_csv(tmp_path / "gt-eng.csv", columns, (NAME, "['angry', 'upset']", "Go away", "The voice is loud."))
    write_csv(tmp_path / "gt-chi.csv", columns, (NAME, "愤怒,沮丧", "走开", "声音很大。"))
    (english,) = read_examples("emer_v1", tmp_path)
    assert english.targets.open_labels == ("angry", "upset")
    assert english.targets.description == "The voice is loud." and english.utterances[0].text == "Go away"
    (chinese,) = read_examples("emer_v1", tmp_path, language="chinese")
    assert chinese.targets.open_labels == ("愤怒", "沮丧")


def test_v2_joins_the_list_of_labels(tmp_path):
    place_file(tmp_path / "video" / f"{NAME}.avi")
    write_csv(tmp_path / "final-EMER-reason.csv", ("name", "chinese", "english"), (NAME, "他皱眉。", "He frowns."))
    (without,) = read_examples("emer_v2", tmp_path)
    assert without.targets.description == "He frowns." and not without.targets.open_labels
    write_csv(tmp_path / "ov_store" / "check-openset.csv", ("name", "openset"), (NAME, "['worried']"))
    (joined,) = read_examples("emer_v2", tmp_path, language="chinese")
    assert joined.targets.open_labels == ("worried",) and joined.targets.description == "他皱眉。"


def test_v2_may_call_its_column_names(tmp_path):
    place_file(tmp_path / "video" / f"{NAME}.avi")
    write_csv(tmp_path / "final-EMER-reason.csv", ("names", "chinese", "english"), (NAME, "他皱眉。", "He frowns."))
    (example,) = read_examples("emer_v2", tmp_path)
    assert example.example_id == NAME
