"""Facial events are looked for once, and prompt, evidence and report have the same."""

import sys

import pytest
import torch

from microemo.processing import facial_events


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
    perceive = analyzer.model.perceive

    def perceived(input_ids, **inputs):
        output, own = perceive(input_ids, **inputs), inputs["face_times"].double()
        smile = torch.where(own < 1.3, 0.9, 0.0)
        flash = sum((1 - (own - apex).abs() / 0.2).clamp(0, 1) for apex in apexes)
        others = torch.zeros(*own.shape, output.expressions.shape[-1] - 2, dtype=own.dtype)
        output.expressions = torch.cat([torch.stack([1 - smile, smile], -1), others], -1)
        output.micro = flash
        return output

    analyzer.model.perceive = perceived
    return analyzer


def test_the_detector_runs_once_for_each_track(make_analyzer, video, spoken, detections):
    report = make_analyzer()(video, transcript=spoken)
    assert report.utterances[0].micro_expressions is not None and report.utterances[0].raw_answer is not None
    assert detections == [curve.track_id for curve in report.face_curves]


def test_every_tower_and_head_of_perception_runs_once(make_analyzer, video, spoken):
    analyzer, calls = make_analyzer(), {}
    core = analyzer.model.model
    parts = {
        "frame_tower": core.frame_tower,
        "video_qformer": core.video_qformer,
        "audio_qformer": core.audio_qformer,
        "static_expression": core.face_head.static_expression,
        "dynamic_expression": core.face_head.dynamic_expression,
    }
    for name, part in parts.items():
        part.register_forward_hook(lambda *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    analyzer(video, transcript=spoken)
    assert calls == dict.fromkeys(parts, 1)


def test_prompt_evidence_and_report_have_the_same_events(make_analyzer, video, spoken, monkeypatch):
    analyzer = with_flashes(make_analyzer(), 0.8, 2.2)
    analyzer.model.config.use_evidence_prompt = True
    prompts, prompt_inputs = [], analyzer.processor.prompt_inputs

    def watched(clip, **settings):
        found = prompt_inputs(clip, **settings)
        prompts.append(analyzer.processor.tokenizer.decode(found["input_ids"][0]))
        return found

    monkeypatch.setattr(analyzer.processor, "prompt_inputs", watched)
    report = analyzer(video, transcript=spoken)
    (prompt,), (first, second) = prompts, report.utterances
    for utterance, apex in ((first, 0.8), (second, 2.2)):
        (event,) = utterance.micro_expressions
        (told,) = [one for one in utterance.evidence if one.kind == "micro_expression"]
        assert (told.start_seconds, told.apex_seconds, told.end_seconds) == (
            event.onset_seconds,
            event.apex_seconds,
            event.offset_seconds,
        )
        assert event.apex_seconds == pytest.approx(apex, abs=0.05)
        assert f"at {apex:.1f} s" in prompt
    (smile,) = [one for one in first.evidence if one.kind == "face"]
    assert smile.label == "happiness" and f"happiness {smile.certainty:.2f}" in prompt
    assert [one.label for one in second.evidence if one.kind == "face"][0] == "neutral"


def test_without_the_evidence_prompt_the_report_keeps_its_evidence(make_analyzer, video, spoken, monkeypatch):
    analyzer, written = make_analyzer(), []
    prompt_inputs = analyzer.processor.prompt_inputs
    monkeypatch.setattr(
        analyzer.processor,
        "prompt_inputs",
        lambda clip, **settings: written.append(settings["evidence"]) or prompt_inputs(clip, **settings),
    )
    report = analyzer(video, transcript=spoken)
    assert written == [None] and all(utterance.evidence for utterance in report.utterances)
