"""Reports as tables: every value in its place, whatever the file went through."""

from dataclasses import asdict, fields, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microemo.inference import report_table
from microemo.inference.corpus.rows import error_row, facial_events, report_row
from microemo.inference.corpus.schema import CLIPS
from microemo.inference.corpus.tables import (
    GROUP_ROWS,
    clips_file,
    clips_table,
    events_table,
    flat_path,
    read_clips,
    read_job,
    utterances_table,
    write_flat_tables,
)
from microemo.inference.report.report import UtteranceReport


@pytest.fixture
def clips(report):
    """A clip with two utterances, one that failed, and one in which nobody speaks."""
    silent = replace(report, utterances=(), summary=replace(report.summary, micro_expressions=()))
    return clips_table(
        [
            report_row(report, clip_id=5, path="a.mp4", fingerprint="f"),
            error_row(clip_id=7, path="b.mp4", fingerprint="f", stage="frames", error_class="ValueError", message="x"),
            report_row(silent, clip_id=9, path="c.mp4", fingerprint="f"),
        ]
    )


def as_lists(value):
    """`value` with lists in the place of tuples, as JSON and Arrow have it."""
    if isinstance(value, dict):
        return {key: as_lists(entry) for key, entry in value.items()}
    return [as_lists(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def test_a_clip_keeps_every_field_of_its_utterances(clips, report):
    row = clips.to_pylist()[0]
    assert row["utterances"] == as_lists([asdict(utterance) for utterance in report.utterances])
    assert row["summary"] == as_lists(asdict(report.summary))
    assert (row["id"], row["status"], row["duration_seconds"]) == (5, "done", 5.0)
    assert row["outputs"]["emotions"] == "trained" and row["warnings"] == list(report.warnings)


def test_null_is_not_measured_and_empty_is_nothing_found(clips):
    utterances = [clip["utterances"] for clip in clips.to_pylist()]
    assert utterances[0][1]["emotions"] is None and utterances[0][1]["evidence"] == []
    assert utterances[1] is None and utterances[2] == []


def test_events_are_expressions_and_micro_expressions_with_their_utterance(report):
    first, second = facial_events(report)
    assert (first.kind, first.label, first.start_seconds, first.end_seconds) == ("expression", "happiness", 0.6, 2.9)
    assert (second.kind, second.apex_seconds, second.signs) == ("micro_expression", 1.0, ("AU12", "AU6"))
    assert first.utterance == second.utterance == 1
    elsewhere = replace(report, utterances=report.utterances[1:])
    assert [event.utterance for event in facial_events(elsewhere)] == [None]


def test_flat_tables_have_a_row_for_each_entry(clips, report):
    utterances = utterances_table(clips).to_pylist()
    assert [(row["id"], row["path"], row["utterance"]) for row in utterances] == [(5, "a.mp4", 1), (5, "a.mp4", 2)]
    assert [(row["emotion"], row["expression"]) for row in utterances] == [("joy", "happiness"), (None, None)]
    for row, utterance in zip(utterances, report.utterances, strict=True):
        names = [field.name for field in fields(UtteranceReport)]
        assert {name: row[name] for name in names} == as_lists(asdict(utterance))
    events = events_table(clips).to_pylist()
    assert [(row["id"], row["event"], row["kind"]) for row in events] == [
        (5, 1, "expression"),
        (5, 2, "micro_expression"),
    ]


def test_a_table_without_entries_has_the_same_columns(clips):
    for flatten in (utterances_table, events_table):
        nothing = flatten(clips.slice(1, 1))
        assert nothing.num_rows == 0 and nothing.schema.equals(flatten(clips).schema)


def test_a_file_gives_the_table_and_its_job_back(clips, tmp_path):
    path = tmp_path / "new" / "clips.parquet"
    with clips_file(path, job={"shard": "1/2"}) as append:
        append(clips.slice(0, 1))
        append(clips.slice(1))
    assert pa.concat_tables(read_clips(path)).equals(clips) and read_job(path) == {"shard": "1/2"}
    assert [file.name for file in path.parent.iterdir()] == ["clips.parquet"]


def test_a_file_that_fails_leaves_nothing(clips, tmp_path):
    with pytest.raises(RuntimeError, match="stopped"), clips_file(tmp_path / "clips.parquet", job={}) as append:
        append(clips)
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_flat_files_are_those_of_the_whole_table(report, tmp_path):
    count = GROUP_ROWS + 3
    many = clips_table(report_row(report, clip_id=number, path="a.mp4") for number in range(count))
    with clips_file(tmp_path / "clips.parquet", job={}) as append:
        append(many)
    assert pq.ParquetFile(tmp_path / "clips.parquet").num_row_groups == 2
    utterances, events = write_flat_tables(tmp_path / "clips.parquet")
    assert utterances == flat_path(tmp_path / "clips.parquet", "utterances") == tmp_path / "clips.utterances.parquet"
    assert pq.read_table(utterances).equals(utterances_table(many))
    assert pq.read_table(events).equals(events_table(many))


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "words.parquet").write_text("words")
    with pytest.raises(ValueError, match="words.parquet is no table of clips"):
        read_job(tmp_path / "words.parquet")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="other.parquet is no table of clips of this version: its columns are id"):
        read_job(tmp_path / "other.parquet")


def test_reports_as_frames(report):
    frame = report_table([report, report])
    assert list(frame["id"]) == [0, 0, 1, 1] and list(frame["path"]) == ["clip.mp4"] * 4
    assert list(frame["text"])[1] == "Of course." and list(frame.columns[:5]) == [
        "id",
        "path",
        "utterance",
        "emotion",
        "expression",
    ]
    assert list(report_table(report, rows="events")["kind"]) == ["expression", "micro_expression"]
    assert list(report_table([report], rows="clips").columns) == CLIPS.names
    assert len(report_table([])) == 0
    with pytest.raises(ValueError, match="rows must be one of clips, utterances, events, got 'faces'"):
        report_table(report, rows="faces")
