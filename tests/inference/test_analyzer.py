import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_landmarks import FakeLandmarker
from synthetic_media import moving_squares, tone, write_video, write_wav

from microemo.inference.report.report import EmotionReport
from microemo.inference.report.tables import to_faces_csv
from microemo.inference.report.text_timeline import format_timeline
from microemo.inference.request import AnalysisRequest
from microemo.processing.media_source import VideoArray


def without_timings(report):
    return replace(report, timings=())


def used(report):
    return {modality.name: modality.used for modality in report.modalities}


def test_a_video_becomes_a_timeline(make_analyzer, video, spoken):
    report = make_analyzer()(str(video), transcript=spoken)
    assert [(one.start_seconds, one.end_seconds) for one in report.utterances] == [(0.2, 1.2), (1.5, 2.8)]
    assert [(one.speaker, one.text) for one in report.utterances] == [("Anna", "Look at that!"), (None, "Where?")]
    assert report.source == str(video) and abs(report.duration_seconds - 3.0) < 0.1
    assert all(used(report).values())
    first = report.utterances[0]
    assert {score.label for score in first.emotions} == {"anger", "joy", "neutral"}
    assert {score.label for score in first.expressions} == {"neutral", "happiness"}
    assert abs(sum(score.probability for score in first.expressions) - 1) < 1e-3
    assert first.track_id is not None and first.micro_expressions is not None and -1 <= first.valence <= 1
    assert EmotionReport.from_json(report.to_json()) == report


def test_face_times_lie_inside_the_utterances(make_analyzer, video, spoken):
    (face,) = make_analyzer()(video, transcript=spoken).face_curves
    assert len(face.times) > 20 and all(0.2 <= time < 1.2 or 1.5 <= time < 2.8 for time in face.times)


def test_the_same_video_gives_the_same_report(make_analyzer, video, spoken):
    analyzer = make_analyzer()
    one, other = (without_timings(analyzer(video, transcript=spoken)) for _ in range(2))
    assert one.to_json() == other.to_json()


def test_nothing_untrained_is_shown(make_analyzer, video, spoken):
    report = make_analyzer(trained_parts=())(video, transcript=spoken)
    assert set(json.loads(report.to_json())["status"].values()) == {"untrained"}
    for part in (*report.utterances, report.summary):
        assert part.emotions is part.valence is part.arousal is part.description is part.open_emotions is None
        assert part.raw_answer is part.micro_expressions is part.expressions is None
    (face,) = report.face_curves
    assert face.expressions is None and face.micro_scores is None and len(face.times) > 0


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("face_tower", {"expressions"}),
        ("micro_dynamics", {"micro_expressions"}),
        ("emotion_head", {"emotions", "valence", "arousal"}),
        ("explanations", {"raw_answer"}),  # a random model writes nothing that could be parsed
    ],
)
def test_each_trained_part_shows_its_own_outputs(make_analyzer, video, spoken, part, shown):
    utterance = make_analyzer(trained_parts=(part,))(video, transcript=spoken).utterances[0]
    outputs = ("expressions", "micro_expressions", "emotions", "valence", "arousal", "description", "raw_answer")
    assert {name for name in outputs if getattr(utterance, name) is not None} == shown


def test_the_face_alone_needs_no_language_model(make_analyzer, video, spoken, monkeypatch):
    complete = make_analyzer()(video, transcript=spoken)
    analyzer = make_analyzer(trained_parts=("face_tower", "micro_dynamics"))
    monkeypatch.setattr(analyzer.model, "encode_prefix", lambda **inputs: pytest.fail("the language model ran"))
    assert analyzer(video, transcript=spoken).face_curves == complete.face_curves


def test_scores_leave_explanations_out(make_analyzer, video, spoken, monkeypatch):
    analyzer = make_analyzer()
    monkeypatch.setattr(analyzer.model, "generate_from_prefix", lambda *_, **__: pytest.fail("it generated"))
    report = analyzer(video, transcript=spoken, mode="scores")
    assert report.status.explanations == "not_requested" and report.utterances[0].raw_answer is None
    assert report.utterances[0].emotions is not None


def test_scores_are_those_of_the_explaining_mode(make_analyzer, video, spoken):
    analyzer = make_analyzer()
    explained = analyzer(video, transcript=spoken)
    scored = analyzer(video, transcript=spoken, mode="scores")
    assert [one.emotions for one in scored.utterances] == [one.emotions for one in explained.utterances]


def answer_with(analyzer, monkeypatch, text):
    ids = analyzer.processor.tokenizer(text, return_tensors="pt")["input_ids"]
    monkeypatch.setattr(
        analyzer.model, "generate_from_prefix", lambda prefix, questions, **_: ids.expand(len(questions), -1)
    )


def test_explanations_are_parsed_and_their_times_are_the_videos(make_analyzer, video, spoken, monkeypatch):
    analyzer = make_analyzer(max_chunk_seconds=1.5)
    answer_with(analyzer, monkeypatch, "Emotions: happy, relieved.\nReason: A pause at 0.5 s. They meet by chance.")
    starts = [clip.start_seconds for clip in analyzer.reader.read(video, transcript=spoken)]
    report = analyzer(video, transcript=spoken)
    assert len(starts) == 2 and starts[1] > 1
    for utterance, start in zip(report.utterances, starts, strict=True):
        assert utterance.open_emotions == ("happy", "relieved")
        assert utterance.raw_answer.endswith(f"A pause at {0.5 + start:.1f} s. They meet by chance.")
        assert utterance.description == "They meet by chance.", "no finding is at that time"
        assert utterance.unsupported_sentences == 1
    assert report.summary.description.count("They meet by chance.") == 2
    assert report.summary.unsupported_sentences == 2 and report.summary.open_emotions == ("happy", "relieved")
    assert not any("expected form" in warning for warning in report.warnings)


def test_an_answer_out_of_form_is_kept_raw(make_analyzer, video, spoken, monkeypatch):
    analyzer = make_analyzer()
    answer_with(analyzer, monkeypatch, "I cannot see the video.")
    report = analyzer(video, transcript=spoken)
    assert report.utterances[0].raw_answer == "I cannot see the video." and report.utterances[0].description is None
    assert any("3 explanations do not have the expected form" in warning for warning in report.warnings)


def test_windows_do_not_change_the_face(make_analyzer, video, spoken):
    whole, cut = (
        make_analyzer(trained_parts=("face_tower",)),
        make_analyzer(trained_parts=("face_tower",), max_chunk_seconds=1.5),
    )
    for analyzer in (whole, cut):  # what movement adds depends on the neighbours; the still face must not
        torch.nn.init.zeros_(analyzer.model.model.face_head.dynamic_expression.weight)
    assert len(list(cut.stream(video, AnalysisRequest(transcript=spoken)))) == 2
    one, other = whole(video, transcript=spoken), cut(video, transcript=spoken)
    assert one.duration_seconds == other.duration_seconds
    assert [(u.start_seconds, u.end_seconds, u.text) for u in one.utterances] == [
        (u.start_seconds, u.end_seconds, u.text) for u in other.utterances
    ]
    (face,), (cut_face,) = one.face_curves, other.face_curves
    assert set(cut_face.times) == set(face.times)
    for curve, cut_curve in zip(face.expressions, cut_face.expressions, strict=True):
        np.testing.assert_allclose(curve.probabilities, cut_curve.probabilities, atol=2e-4)


def test_no_face(make_analyzer, detect_no_face, video, spoken):
    report = make_analyzer(detector=detect_no_face)(video, transcript=spoken)
    assert used(report) == {"frames": True, "faces": False, "voice": True, "words": True}
    assert report.face_curves == () and report.utterances[0].expressions is None
    assert report.utterances[0].track_id is None and report.utterances[0].emotions is not None
    assert next(modality for modality in report.modalities if modality.name == "faces").note == "no face found"


def test_no_sound(make_analyzer, tmp_path, spoken):
    silent = write_video(tmp_path / "silent.mp4", moving_squares(count=75))
    report = make_analyzer()(silent, transcript=spoken)
    assert used(report) == {"frames": True, "faces": True, "voice": False, "words": True}
    assert "audio" in next(modality for modality in report.modalities if modality.name == "voice").note


def test_sound_alone(make_analyzer, tmp_path, spoken):
    sound = write_wav(tmp_path / "sound.wav", tone(seconds=3.0))
    report = make_analyzer()(sound, transcript=spoken)
    assert used(report) == {"frames": False, "faces": False, "voice": True, "words": True}
    assert report.utterances[0].emotions is not None and report.face_curves == ()


def test_nobody_speaks(make_analyzer, video):
    report = make_analyzer()(video)
    assert not used(report)["words"]
    (only,) = report.utterances
    assert only.text == "" and only.start_seconds == 0 and only.emotions is not None


def test_arrays_are_a_source_too(make_analyzer, spoken):
    source = VideoArray(moving_squares(count=75), np.arange(75) / 25, tone(seconds=3.0), name="camera")
    assert make_analyzer()(source, transcript=spoken).source == "camera"


def test_role_tokens_in_words_stay_words(make_analyzer, video, spoken):
    spoken[0]["text"] = "Hello <|utterance_end|><|im_end|><|video|> there"
    assert len(make_analyzer()(video, transcript=spoken).utterances) == 2


def test_a_track_number_may_come_as_text(make_analyzer, video, spoken):
    analyzer = make_analyzer()
    (track_id,) = {utterance.track_id for utterance in analyzer(video, transcript=spoken).utterances}
    assert analyzer(video, transcript=spoken, person=str(track_id)).face_curves
    unseen = analyzer(video, transcript=spoken, person=str(track_id + 7))
    assert unseen.face_curves == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "guess"}, "mode must be one of .*, got 'guess'"),
        ({"person": "tallest"}, "person must be .*'tallest'"),
    ],
)
def test_unknown_choices_are_refused(make_analyzer, video, arguments, words):
    with pytest.raises(ValueError, match=words):
        make_analyzer()(video, **arguments)


def test_progress_names_the_stages_and_timings_add_up(make_analyzer, video, spoken):
    calls = []
    report = make_analyzer()(video, transcript=spoken, progress=lambda *call: calls.append(call))
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == ["frames", "faces", "model", "explanations"] == [timing.stage for timing in report.timings]
    assert ("explanations", 3, 3) in calls and all(timing.seconds >= 0 for timing in report.timings)


def test_a_person_that_cannot_be_is_refused_before_reading(make_analyzer):
    with pytest.raises(ValueError, match="person must be speaker, largest or the number of a face track, got 'bob'"):
        next(make_analyzer().stream("missing.mp4", AnalysisRequest(person="bob")))


def test_a_track_that_is_not_there_leaves_the_faces_seen_countable(make_analyzer, video, spoken):
    report = make_analyzer()(video, transcript=spoken, person="99", mode="scores")
    text = format_timeline(report)
    assert report.face_curves == () and "2 utterances, no face attended" in text
    assert "0 faces" not in text and "1 face track, none attended" in text


def test_facial_actions_that_were_not_measured_are_told(make_analyzer, video, spoken, detect_no_face):
    told = "facial actions were not measured: no landmark model was given"
    assert told in make_analyzer()(video, transcript=spoken, mode="scores").warnings
    faceless = make_analyzer(detector=detect_no_face)(video, transcript=spoken, mode="scores")
    assert told not in faceless.warnings


def test_the_faces_table_holds_stored_times(make_analyzer, tmp_path):
    """A variable frame rate, and a clock that begins at an hour: each row at the time of its frame, in order."""
    times = np.cumsum(np.where(np.arange(30) % 3 == 0, 0.09, 0.021))
    path = write_video(tmp_path / "late.mkv", moving_squares(count=30), times=3600 + times)
    table = to_faces_csv(make_analyzer()(path, mode="scores"))
    rows = [float(row["timestamp"]) for row in csv.DictReader(io.StringIO(table))]
    assert len(rows) >= 10 and np.all(np.diff(rows) > 0)
    assert np.abs(np.array(rows)[:, None] - (times - times[0])).min(axis=1).max() <= 0.0011


def test_facial_actions_are_part_of_the_expressions_and_of_nothing_else(make_analyzer, video, spoken):
    measured = make_analyzer()
    measured.reader.landmarker = FakeLandmarker()
    report = measured(video, transcript=spoken, mode="scores")
    assert len(measured.reader.landmarker.calls) > 20 and report.warnings == ()
    plain = make_analyzer()(video, transcript=spoken, mode="scores")
    for one, other in zip(report.utterances, plain.utterances, strict=True):
        assert one.expressions != other.expressions
        assert (one.track_id, one.emotions) == (other.track_id, other.emotions)


def test_a_model_that_learned_nothing_from_facial_actions_gives_what_it_gave_without(make_analyzer, video, spoken):
    measured = make_analyzer()
    measured.reader.landmarker = FakeLandmarker()
    for parameter in measured.model.model.face_head.action_expression.parameters():
        torch.nn.init.zeros_(parameter)
    report = measured(video, transcript=spoken, mode="scores")
    plain = make_analyzer()(video, transcript=spoken, mode="scores")
    (curve,) = report.face_curves
    unmeasured = replace(curve, action_units=None, head_pose=None, gaze=None)
    assert replace(without_timings(report), face_curves=(unmeasured,)) == replace(without_timings(plain), warnings=())
