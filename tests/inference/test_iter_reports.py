"""The report as it grows: more in every step, the complete one last."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from microemo.generation_cache import CACHE_NAME
from microemo.inference import chunk_analysis
from microemo.inference.report.face_curves import boxes_at
from microemo.inference.request import AnalysisRequest
from microemo.processing.clip import FaceTrack


def without_timings(report):
    return replace(report, timings=())


def known(report):
    """Which outputs the first utterance has."""
    utterance = report.utterances[0]
    names = ("expressions", "micro_expressions", "emotions", "raw_answer")
    return {name for name in names if getattr(utterance, name) is not None}


def test_the_face_comes_first_and_the_complete_report_last(make_analyzer, video, spoken):
    analyzer = make_analyzer()
    grown = list(analyzer.iter_reports(video, AnalysisRequest(transcript=spoken)))
    assert [len(known(report)) for report in grown] == [2, 3, 4]
    assert known(grown[0]) == {"expressions", "micro_expressions"} and "emotions" in known(grown[1])
    assert grown[0].face_curves == grown[-1].face_curves and grown[0].thumbnails
    complete = analyzer(video, transcript=spoken)
    assert without_timings(grown[-1]).to_json() == without_timings(complete).to_json()


def test_explanations_come_batch_by_batch(make_analyzer, video, spoken, monkeypatch):
    monkeypatch.setattr(chunk_analysis, "CACHES_BYTES", 0)
    monkeypatch.setattr(chunk_analysis, "FEWEST_AT_ONCE", 1)
    grown = list(make_analyzer().iter_reports(video, AnalysisRequest(transcript=spoken)))
    answered = [sum(one.raw_answer is not None for one in report.utterances) for report in grown]
    assert answered == [0, 0, 0, 1, 2]  # faces, emotions, the clip's answer, then each utterance's


@pytest.mark.parametrize(
    ("count", "row_bytes", "at_once"), [(18, 1, 18), (25, 1, 13), (3, 1, 3), (61, 1 << 26, 16), (60, 1 << 30, 8)]
)
def test_batches_of_questions_are_alike_and_fit(monkeypatch, count, row_bytes, at_once):
    monkeypatch.setattr(chunk_analysis, "cache_bytes", lambda cache: row_bytes)
    prefix = SimpleNamespace(output={CACHE_NAME: None})
    assert chunk_analysis.questions_at_once(count, prefix=prefix) == at_once


def test_faces_and_words_of_a_window_have_one_clock(make_analyzer, video, spoken, monkeypatch):
    """The clip's own, to the bit: no crop moves to the utterance before on its way through the model."""
    analyzer, seen = make_analyzer(max_chunk_seconds=1.5), []
    build = chunk_analysis.utterance_evidence

    def watched(perception, clip, *, timelines, prosody):
        (line,) = timelines
        seen.append(clip.start_seconds)
        assert np.array_equal(line.times, clip.face_times)
        return build(perception, clip, timelines=timelines, prosody=prosody)

    monkeypatch.setattr(chunk_analysis, "utterance_evidence", watched)
    analyzer(video, transcript=spoken)
    assert len(seen) == 2 and seen[1] > 0


def test_windows_follow_one_another(make_analyzer, video, spoken):
    grown = list(
        make_analyzer(max_chunk_seconds=1.5).iter_reports(video, AnalysisRequest(transcript=spoken, mode="scores"))
    )
    assert [len(report.utterances) for report in grown] == [1, 1, 2, 2]


def test_the_face_tower_runs_once(make_analyzer, video, spoken):
    analyzer = make_analyzer()
    crops = []
    analyzer.model.model.face_tower.register_forward_hook(lambda _, inputs, outputs: crops.append(len(inputs[0])))
    report = analyzer(video, transcript=spoken)
    assert sum(crops) == sum(len(face.times) for face in report.face_curves)


def test_arguments_are_checked(make_analyzer, video):
    with pytest.raises(ValueError, match="mode"):
        next(make_analyzer().iter_reports(video, AnalysisRequest(mode="guess")))


def test_the_face_has_its_box(make_analyzer, video, spoken):
    (face,) = make_analyzer(trained_parts=())(video, transcript=spoken).face_curves
    assert len(face.boxes) == len(face.times) and set(face.boxes) == {(30, 10, 90, 80)}


def test_boxes_lie_between_those_that_were_tracked():
    tracks = [_track(times=[0.0, 1.0], lefts=[10, 20]), _track(times=[1.0, 2.0], lefts=[20, 40])]
    boxes = boxes_at(np.array([0.5, 1.5, 2.0]), tracks=tracks)
    assert boxes == ((15, 5, 35, 25), (30, 5, 50, 25), (40, 5, 60, 25))
    assert boxes_at(np.array([0.5]), tracks=[]) is None


def _track(*, times, lefts):
    boxes = np.array([[left, 5, left + 20, 25] for left in lefts], dtype=np.float32)
    landmarks = np.zeros((len(times), 5, 2), dtype=np.float32)
    return FaceTrack(0, np.array(times), boxes, landmarks, np.ones(len(times), dtype=np.float32))
