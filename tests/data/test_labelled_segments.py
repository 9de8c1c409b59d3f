"""Tables of labelled segments of video."""

import pytest
from labelled_clips import write_csv

from microemo.data.labelled_segments import COLUMNS, LabelledSegment, read_segments
from microemo.data.still_faces import EXPRESSIONS

SOURCES = ("file", "licence")


@pytest.fixture
def folder(tmp_path):
    rows = [
        ("a.mp4", "Anna", "0.0", "2.5", "happiness", "no"),
        ("a.mp4", "Anna", "3", "4", "mixed", "yes"),
        ("b.mp4", "Ben", "1.0", "2.0", "neutral", "yes"),
    ]
    write_csv(tmp_path / "labels.csv", COLUMNS, *rows)
    write_csv(tmp_path / "sources.csv", SOURCES, ("a.mp4", "CC0-1.0"), ("b.mp4", "none declared"))
    return tmp_path


def test_each_row_is_a_segment_but_for_mixed_ones(folder):
    smile, talk = read_segments(folder)
    assert smile == LabelledSegment("a.mp4", "Anna", 0.0, 2.5, "happiness", is_talking=False, is_licensed=True)
    assert talk == LabelledSegment("b.mp4", "Ben", 1.0, 2.0, "neutral", is_talking=True, is_licensed=False)
    assert [EXPRESSIONS[segment.label] for segment in (smile, talk)] == ["happiness", "neutral"]


def test_a_second_table_is_read_where_there_is_one(folder):
    write_csv(folder / "labels_extra.csv", COLUMNS, ("c.mp4", "Cleo", "0", "1", "fear", "no"))
    assert [segment.file for segment in read_segments(str(folder))] == ["a.mp4", "b.mp4", "c.mp4"]


def test_files_without_source_are_unlicensed(folder):
    write_csv(folder / "labels_extra.csv", COLUMNS, ("c.mp4", "Cleo", "0", "1", "fear", "no"))
    assert [segment.is_licensed for segment in read_segments(folder)] == [True, False, False]
    (folder / "sources.csv").unlink()
    assert not any(segment.is_licensed for segment in read_segments(folder))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("a.mp4", "Anna", "2", "2", "fear", "no"), r"a.mp4: end_seconds \(2.0\) must be > start_seconds \(2.0\)"),
        (("a.mp4", "Anna", "0", "1", "joy", "no"), r"a.mp4: expression must be one of .*, got 'joy'"),
        (("a.mp4", "Anna", "soon", "1", "fear", "no"), r"labels.csv: start_seconds of a.mp4 must be seconds, got 'so"),
        (("a.mp4", "Anna", "0", "", "fear", "no"), r"labels.csv: end_seconds of a.mp4 must be seconds, got ''"),
    ],
)
def test_invalid_rows_are_refused(folder, row, words):
    write_csv(folder / "labels.csv", COLUMNS, row)
    with pytest.raises(ValueError, match=words):
        read_segments(folder)


def test_missing_columns_and_files_are_refused(folder):
    write_csv(folder / "sources.csv", ("file", "address"), ("a.mp4", "somewhere"))
    with pytest.raises(ValueError, match=r"sources.csv lacks the columns \['licence'\], it has \['file', 'address'\]"):
        read_segments(folder)
    write_csv(folder / "labels.csv", ("file", "person"), ("a.mp4", "Anna"))
    with pytest.raises(ValueError, match=r"lacks the columns"):
        read_segments(folder)
    (folder / "labels.csv").unlink()
    with pytest.raises(ValueError, match=r"folder must hold labels.csv, but .* does not exist"):
        read_segments(folder)
