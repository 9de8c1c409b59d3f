"""The table of faces, pandas frames, and the way of what was measured of a face into them."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_landmarks import FakeLandmarker

from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.report import data_frames
from microemo.inference.report.face_measurements import action_unit_curves, joined_readings, measured_degrees
from microemo.inference.report.face_table import UNITS, FaceTable, speaker_of_track
from microemo.inference.report.tables import UTTERANCE_COLUMNS, to_faces_csv
from microemo.inference.report.view import view_data
from microemo.processing.face_readings import FaceReadings
from microemo.processing.facial_actions import COLUMN

DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def readings(count, *, mask=True, **actions):
    """Of `count` crops: some actions by name; pitch, yaw, roll 1, 2, 3 and gaze 4, 5 degrees."""
    values = np.zeros((count, 52), np.float32)
    for name, column in actions.items():
        values[:, COLUMN[name]] = column
    pose, gaze = np.tile(np.float32([1, 2, 3]), (count, 1)), np.tile(np.float32([4, 5]), (count, 1))
    return FaceReadings(values, pose, gaze, np.full(count, mask))


def test_a_row_has_box_pose_gaze_units_and_blink(report):
    rows = list(csv.DictReader(io.StringIO(to_faces_csv(report))))
    row = rows[3]
    assert (row["input"], row["face_id"], row["Identity"], row["timestamp"]) == ("clip.mp4", "1", "Anna", "0.7")
    assert [row[name] for name in ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")] == [
        "100", "50", "80", "100",
    ]  # fmt: skip
    assert (row["FaceScore"], row["Pitch"], row["Roll"], row["Yaw"]) == ("0.9", "4.0", "1.0", "-12.5")
    assert (row["gaze_pitch"], row["gaze_yaw"], row["AU12"], row["AU01"]) == ("3.5", "8.0", "0.5", "")
    assert [row["timestamp"] for row in rows if row["blink"] == "1"] == ["1.5"]


def test_what_was_not_measured_is_empty(report):
    first = next(csv.DictReader(io.StringIO(to_faces_csv(report))))
    assert [first[name] for name in ("Pitch", "gaze_yaw", "AU12", "blink")] == [""] * 4 and first["FaceScore"] == "0.9"
    curve = report.face_curves[0]
    bare = replace(curve, boxes=None, detection_scores=None, action_units=None, head_pose=None, gaze=None)
    row = list(FaceTable(replace(report, face_curves=(bare,))).rows())[3]
    assert [value for value in row if value is not None][:4] == ["clip.mp4", 1, "Anna", 0.7] and len(row) == 36


def test_a_face_has_a_name_only_where_faces_are_the_speakers(report):
    assert speaker_of_track(report, 1) == "Anna" and speaker_of_track(report, 2) is None
    assert speaker_of_track(replace(report, settings=replace(report.settings, person="largest")), 1) is None


def test_faces_as_a_frame_are_the_csv(report, tmp_path):
    frame = report.faces_to_pandas()
    read = pd.read_csv(report.save(tmp_path / "clip.faces.csv"))
    pd.testing.assert_frame_equal(frame, read, check_dtype=False)
    assert frame["AU12"].dtype == "float64" and np.isnan(frame["AU12"][0]) and frame["face_id"].dtype == "int64"


def test_utterances_as_a_frame(report):
    frame = report.to_pandas()
    assert frame["start_seconds"].tolist() == [0.4, 3.1] and frame["track_id"].tolist() == [1, pd.NA]
    assert frame["emotions.joy"][0] == 0.81 and np.isnan(frame["emotions.joy"][1])
    assert frame["voice_emotions.calm"][0] == 0.25 and frame["pitch_hertz"][0] == 211.0
    assert frame["micro_expressions"].tolist() == ["0.9-1.0-1.2:happiness:0.83", None]
    plain = {name for name in UTTERANCE_COLUMNS if not name.endswith(("emotions", "expressions"))}
    assert plain <= set(frame.columns) and "expressions" not in frame.columns


def test_a_report_without_faces_and_words_is_an_empty_frame(report):
    empty = replace(report, utterances=(), face_curves=())
    assert len(empty.to_pandas()) == len(empty.faces_to_pandas()) == 0
    assert "AU12" in empty.faces_to_pandas().columns and "text" in empty.to_pandas().columns


def test_a_frame_without_pandas_names_the_extra(report, monkeypatch):
    monkeypatch.setattr(data_frames, "pd", None)
    for build in (report.to_pandas, report.faces_to_pandas):
        with pytest.raises(ImportError, match=r"needs pandas: pip install 'microemo\[tables\]'"):
            build()


def test_reading_and_saving_a_report_needs_no_pandas():
    code = "import sys; sys.modules['pandas'] = None; import microemo.inference.report.export"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_intensities_are_above_the_face_s_own_rest_of_the_whole_video():
    times = np.arange(0, 8, 0.1)
    smile = np.where(times >= 6, 0.8, 0.05)
    parts = [(times[:50], readings(50, mouthSmileLeft=smile[:50], mouthSmileRight=smile[:50]))]
    parts.append((times[49:], readings(31, mouthSmileLeft=smile[49:], mouthSmileRight=smile[49:])))
    joined = joined_readings(parts)
    assert len(joined.mask) == 80, "a crop that two windows share counts once"
    curve = next(curve for curve in action_unit_curves(joined, times) if curve.label == "AU12")
    assert curve.name == "lip corner puller"
    assert set(curve.intensities[:60]) == {0.0} and set(curve.intensities[60:]) == {0.75}


def test_windows_that_were_not_measured_are_gaps():
    first, second = np.array([0.0, 0.1]), np.array([0.2, 0.3])
    joined = joined_readings([(first, None), (second, readings(2))])
    assert joined.mask.tolist() == [False, False, True, True]
    assert measured_degrees(joined.head_pose, mask=joined.mask) == (None, None, (1.0, 2.0, 3.0), (1.0, 2.0, 3.0))
    assert joined_readings([(first, None), (second, None)]) is None


def test_what_is_measured_reaches_the_table(make_analyzer, video, spoken):
    analyzer = make_analyzer(max_chunk_seconds=1.5)
    analyzer.reader.landmarker = FakeLandmarker()
    windows = list(analyzer.stream(video, transcript=spoken, mode="scores"))
    assert len(windows) == 2 and from_plain(to_plain(windows[0])).readings[0].mask.all()
    report = analyzer(video, transcript=spoken, mode="scores")
    frame = report.faces_to_pandas()
    assert len(frame) == len(report.face_curves[0].times) > 20
    measured = frame[["Pitch", "Roll", "Yaw", "gaze_pitch", "gaze_yaw", "FaceScore", *UNITS.values()]]
    assert measured.notna().all(axis=None) and (frame["FaceScore"] == 0.9).all()
    assert frame[list(UNITS.values())].to_numpy().max() > 0
    assert report.summary.macro_expressions is not None


def test_the_page_leaves_out_what_it_does_not_draw(report):
    (curve,) = view_data(report)["face_curves"]
    assert {"times", "expressions", "micro_scores", "boxes"} <= set(curve)
    assert not {"action_units", "head_pose", "gaze"} & set(curve)


def test_the_documented_columns_are_the_table_s(report):
    text = DOCS.read_text(encoding="utf-8")
    documented = [line.split("|")[1].strip().strip("`") for line in text.splitlines() if line.startswith("| `")]
    assert [name for name in FaceTable(report).columns if name not in ("neutral", "happiness")] == documented
