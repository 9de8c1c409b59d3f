"""Facial events are looked for once, and readout, answers and report have the same."""

import sys

import numpy as np
import pytest

from microemo import facial_events
from microemo.inference import window_analysis
from microemo.processing.facial_events import FaceScores


@pytest.fixture
def detections(monkeypatch):
    """The tracks that the detector was run for, wherever it is called from."""
    tracks, detect = [], facial_events.detect_events

    def counted(scores, **settings):
        tracks.append(scores.track_id)
        return detect(scores, **settings)

    for module in list(sys.modules.values()):
        if getattr(module, "detect_events", None) is detect:
            monkeypatch.setattr(module, "detect_events", counted)
    return tracks


def with_flashes(analyzer, *apexes):
    """An analyzer whose face head sees a smile for the first 1.3 s, and flashes of fear."""
    core = analyzer.model.model

    def scores(features, times, mask, tracks):
        del features, mask
        own = times[0].double().numpy()
        smile = np.where(own < 1.3, 0.9, 0.0)
        flash = sum(np.clip(1 - np.abs(own - apex) / 0.2, 0, 1) for apex in apexes)
        expressions = np.stack([1 - smile, smile], axis=1)
        return ((FaceScores(int(tracks[0, 0]), own, expressions=expressions, micro=flash),),)

    core.face_scores = scores
    return analyzer


def test_the_detector_runs_once_for_each_track(make_analyzer, video, spoken, detections):
    report = make_analyzer(reads_events=True)(video, transcript=spoken)
    assert report.utterances[0].micro_expressions is not None and report.utterances[0].raw_answer is not None
    assert detections == [curve.track_id for curve in report.face_curves]


def test_the_classifiers_of_the_face_run_a_few_times(make_analyzer, video, spoken):
    """The events are detected before the emotions are known, and the model gives its logits again behind them."""
    analyzer, calls = make_analyzer(reads_events=True), {"static_expression": 0, "dynamic_expression": 0}

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    for name in calls:
        getattr(analyzer.model.model.face_head, name).register_forward_hook(count(name))
    analyzer(video, transcript=spoken)
    assert calls == {"static_expression": 2, "dynamic_expression": 3}


def test_readout_answers_and_report_have_the_same_events(make_analyzer, video, spoken, monkeypatch):
    analyzer = with_flashes(make_analyzer(reads_events=True), 0.8, 2.2)
    findings, scopes, asked = [], [], window_analysis.asked_scopes
    analyzer.model.model.face_readout.register_forward_pre_hook(
        lambda _, args, settings: findings.append(settings["findings"]), with_kwargs=True
    )

    def watched(*clip, **settings):
        scopes.extend(asked(*clip, **settings))
        return asked(*clip, **settings)

    monkeypatch.setattr(window_analysis, "asked_scopes", watched)
    report = analyzer(video, transcript=spoken)
    ((readout,), utterances) = findings, report.utterances
    assert [len(utterance.micro_expressions) for utterance in utterances] == [1, 1]
    for number, utterance in enumerate(utterances):
        (event,), segment = utterance.micro_expressions, (0, 1 + number)
        (moment,) = scopes[1 + number].moments
        for name in ("onset", "apex", "offset"):
            heard = getattr(readout.micro, name)[segment].item()
            assert heard == pytest.approx(getattr(event, f"{name}_seconds"), abs=1e-3)
        assert moment.apex_seconds == pytest.approx(event.apex_seconds, abs=1e-3)
    (smiling,), (resting,) = (scope.lasting for scope in scopes[1:])
    assert readout.macro.present[0].tolist() == [True, True, False]
    assert resting.noun is None and smiling.noun == "joy"
    times = readout.macro.onset[0, 1].item(), readout.macro.offset[0, 1].item()
    assert times == pytest.approx((smiling.onset_seconds, smiling.offset_seconds), abs=1e-3)
    (told,) = [one.text for one in utterances[0].evidence if one.text.startswith("happiness from")]
    assert told.startswith(f"happiness from {times[0]:.1f} to {times[1]:.1f} s")
    assert not any("happiness" in one.text for one in utterances[1].evidence if one.kind == "face")
