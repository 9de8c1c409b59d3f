"""What the benchmarks measure on, count with and write; not how fast anything is."""

import json

import numpy as np
import pytest

from benchmarks.clips import ClipSpec, make_clip, picture_of_people, spread_utterances
from benchmarks.comparisons import agreement, segment_qformer
from benchmarks.measuring import Figure, run_alone, timed
from benchmarks.tables import machine, to_json, to_markdown
from benchmarks.whole import growth
from microemo.processing.clip import FaceTrack
from microemo.processing.detected_faces import FaceDetections
from microemo.processing.media_index import index_media
from microemo.processing.utterance_alignment import parse_transcript


def test_a_clip_has_the_length_and_size_that_were_asked_for(tmp_path):
    path = make_clip(ClipSpec(16, height=90), folder=tmp_path)
    index = index_media(path)
    assert index.end_seconds == pytest.approx(16, abs=0.05) and index.has_audio and index.warnings == ()
    assert (index.video.height, index.video.width) == (90, 160) and index.video.plain
    np.testing.assert_allclose(np.diff(index.video.times), 0.04, atol=0.0011)  # matroska counts milliseconds


@pytest.mark.parametrize(("people", "seen"), [(1, 1), (2, 2), (4, 4)])
def test_everybody_is_in_the_picture(people, seen):
    portraits = np.full((8, 20, 20, 3), 255, dtype=np.uint8)
    picture = picture_of_people(portraits, index=0, height=90, people=people)
    assert picture.shape == (90, 160, 3)
    side = 90 if people <= 2 else 45
    side = min(side, 160 // min(people, 2))
    assert (picture == 255).all(-1).sum() == seen * side * side


def test_utterances_are_spread_and_apart():
    spoken = parse_transcript(spread_utterances(4, seconds=60))
    assert len(spoken) == 4 and spoken[-1].end_seconds < 60
    assert all(one.end_seconds < other.start_seconds for one, other in zip(spoken, spoken[1:], strict=False))


def track(*boxes):
    boxes = np.array(boxes, dtype=np.float32)
    count = len(boxes)
    return FaceTrack(0, np.arange(count) * 1.0, boxes, np.zeros((count, 5, 2), np.float32), np.ones(count, np.float32))


def test_agreement_counts_the_loops_faces_that_a_track_holds():
    def found(left):
        boxes = np.array([[left, 0, left + 10, 10]], dtype=np.float32)
        return FaceDetections(boxes, np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32))

    ours = (track((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)),)
    assert agreement([found(0), found(20)], ours, seconds=2) == 1.0
    assert agreement([found(0), found(29)], ours, seconds=2) == 0.5
    assert agreement([found(0)], (), seconds=1) == 0.0


def test_growth_is_a_line_and_a_ratio():
    figures = [Figure("whole", str(minute), 30.0 * minute + 5, peak_mib=1000 + minute) for minute in (5, 10, 60)]
    facts = growth(figures, minutes=[5, 10, 60]).facts
    assert facts["seconds a minute"] == 30 and facts["R2 of the line"] == 1 and facts["peak ratio"] == 1.055


def test_times_are_the_least_of_the_repeats():
    took = iter([0.02, 0.0])
    import time

    result, wall, processor = timed(lambda: time.sleep(next(took)) or "done", repeats=2)
    assert result == "done" and wall < 0.02 and processor < 0.02


def test_the_table_names_everything():
    figures = [Figure("faces", "ours", 1.0, 2.0, 300.4, {"times": 3}), Figure("growth", "a line")]
    on = machine()
    markdown = to_markdown(figures, on=on)
    assert "| ours | 1.000 | 2.000 | 300 | times: 3 |" in markdown and "## growth" in markdown
    assert json.loads(to_json(figures, on=on))["figures"][0]["facts"] == {"times": 3}


def test_what_fails_is_a_row_of_the_table(capfd):
    (figure,) = run_alone(make_clip, spec="no spec")
    assert figure.facts == {"failed": "exit code 1"} and "no spec" in figure.subject


@pytest.mark.slow
@pytest.mark.usefixtures("assembled_mini")
def test_a_real_measurement_in_a_process_of_its_own():
    ours, loop = run_alone(segment_qformer, utterances=5)
    assert ours.seconds > 0 and loop.facts["largest difference"] < 1e-4
