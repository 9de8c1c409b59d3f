"""Figures of a model's reports on worked examples."""

import math

import numpy as np
import pytest
from evaluated_clips import evaluated, event, micro, report, scores, utterance

from microemo.data.default_wheel import default_wheels
from microemo.data.example import EmotionTargets
from microemo.evaluation.evaluate import Interval, score_of
from microemo.evaluation.figures import Matching
from microemo.evaluation.metrics.multi_label import Thresholds
from microemo.evaluation.metrics.open_vocabulary import exact_grouping
from microemo.evaluation.report_figures import report_figures
from microemo.inference.report.report import OutputStatus

MATCHING = Matching(wheels=default_wheels(), grouping=exact_grouping)
JOY, FEAR = EmotionTargets(emotions=("joy",)), EmotionTargets(emotions=("fear",))
SURE_JOY = scores({"joy": 0.9, "fear": 0.1, "neutral": 0.2})
UNTRAINED = OutputStatus("untrained", "untrained", "untrained", "untrained")


def values(clips, family, *, thresholds=None):
    figures = report_figures(clips, family=family, matching=MATCHING, thresholds=thresholds or Thresholds())
    assert all(figure.clips == len(clips) for figure in figures)
    return {figure.name: figure.statistic(np.arange(figure.clips)) for figure in figures}


def test_emotions_are_scored_by_utterance():
    both = report(utterance(0, emotions=SURE_JOY), utterance(1, emotions=SURE_JOY))
    clips = [evaluated(both, JOY, FEAR), evaluated(report(utterance(0, emotions=SURE_JOY)), JOY)]
    found = values(clips, "emotions")
    # joy: 2 true, 1 false positive; fear: 1 false negative; neutral is never a label and not in the mean
    assert found["Emotions micro F1"] == pytest.approx(4 / (4 + 1 + 1))
    assert found["Emotions macro F1"] == pytest.approx((4 / 5 + 0) / 2)
    lower = Thresholds(of_label={"fear": 0.1})
    assert values(clips, "emotions", thresholds=lower)["Emotions macro F1"] == pytest.approx((4 / 5 + 2 / 4) / 2)


def test_resampled_clip_contributes_all_its_utterances():
    both = report(utterance(0, emotions=SURE_JOY), utterance(1, emotions=SURE_JOY))
    clips = [evaluated(both, JOY, JOY), evaluated(report(utterance(0, emotions=SURE_JOY)), FEAR)]
    micro_f1, _ = report_figures(clips, family="emotions", matching=MATCHING, thresholds=Thresholds())
    assert micro_f1.statistic(np.array([0, 0])) == 1
    assert micro_f1.statistic(np.array([1, 1])) == 0
    interval = score_of(micro_f1, interval=Interval(resamples=50)).estimate
    assert (interval.low, interval.high) == (0, 1)


def test_utterances_with_leaks_are_separate():
    felt = EmotionTargets(emotions=("joy",), closed_label="happiness")
    said = report(utterance(0, emotions=SURE_JOY), utterance(1, emotions=scores({"joy": 0.1, "fear": 0.9})))
    leak = [event(1.2, apex=1.3, offset=1.5, emotion="fear")]
    found = values([evaluated(said, felt, felt, events=leak)], "leaks")
    assert found == {
        "Emotions micro F1, utterances with a leak": 0.0,
        "Emotions micro F1, utterances without a leak": 1.0,
    }
    agreeing = [event(1.2, apex=1.3, offset=1.5, emotion="happiness")]
    assert values([evaluated(said, felt, felt, events=agreeing)], "leaks") == {}


def test_a_closed_class_is_the_one_whose_label_of_the_head_is_strongest():
    """Classes of the data set are mapped to labels of the head; other labels are never predicted."""
    said = [
        scores({"calm": 0.3, "joy": 0.2, "anger": 0.1, "love": 0.99}),
        scores({"calm": 0.1, "joy": 0.2, "anger": 0.1, "love": 0.99}),
        scores({"calm": 0.2, "joy": 0.6, "anger": 0.5, "love": 0.99}),
    ]
    classes = ["calm", "happy", "angry"]
    clips = [
        evaluated(report(utterance(0, emotions=emotions)), EmotionTargets(closed_label=name))
        for emotions, name in zip(said, classes, strict=True)
    ]
    found = values(clips, "closed-set")
    assert found["UAR"] == found["WAR"] == pytest.approx(2 / 3)


def test_a_class_that_the_head_lacks_counts_as_missed():
    clips = [
        evaluated(report(utterance(0, emotions=scores({"joy": 0.2}))), EmotionTargets(closed_label=name))
        for name in ("happy", "boredom")
    ]
    assert values(clips, "closed-set")["UAR"] == 0.5


def test_the_face_alone():
    said = report(utterance(0, expressions=scores({"contempt": 0.6, "happiness": 0.3, "fear": 0.1})))
    clips = [
        evaluated(said, EmotionTargets(closed_label="happiness")),
        evaluated(said, EmotionTargets(closed_label="fear")),
        evaluated(report(utterance(0), has_face=False), EmotionTargets(closed_label="fear")),
    ]
    # contempt is not a class of these clips, and the clip without a face is skipped
    assert values(clips, "expressions")["Face alone WAR"] == 0.5


def test_open_vocabulary_by_words_or_by_the_head():
    target = EmotionTargets(open_labels=("joyful", "afraid"))
    explained = report(utterance(0, answer="x", labels=("cheerful",), emotions=SURE_JOY))
    scored = report(utterance(0, emotions=scores({"fear": 0.4, "joy": 0.1})))
    broken = report(utterance(0, raw_answer="I do not know", emotions=SURE_JOY))
    name = "Open-vocabulary {} (wheel families)"
    one = values([evaluated(explained, target)], "open-vocabulary")
    assert (one[name.format("Precision_S")], one[name.format("Recall_S")]) == (1, 0.5)
    assert one[name.format("F_S")] == pytest.approx(2 / 3)
    # if all are below their thresholds, the strongest label is used; an answer that does not parse has no labels
    assert values([evaluated(scored, target)], "open-vocabulary")[name.format("Precision_S")] == 1
    assert values([evaluated(broken, target)], "open-vocabulary")[name.format("F_S")] == 0


def test_valence_and_sentiment():
    targets = [EmotionTargets(valence=value) for value in (0.5, -0.5, 0)]
    said = [report(utterance(0, valence=value, arousal=0.0)) for value in (0.4, 0.1, -1.0)]
    clips = [evaluated(*pair) for pair in zip(said, targets, strict=True)]
    assert values(clips, "sentiment")["Sentiment ACC"] == 0.5  # a valence of 0 is left out
    found = values(clips, "valence-arousal")
    assert found["Valence RMSE"] == pytest.approx(math.sqrt((0.1**2 + 0.6**2 + 1) / 3))
    assert "Arousal RMSE" not in found  # no clip has one


def test_calibration_of_known_labels():
    said = report(utterance(0, emotions=scores({"joy": 0.8, "fear": 0.1})))
    found = values([evaluated(said, JOY)], "calibration")
    assert found["Emotions ECE"] == pytest.approx((0.2 + 0.1) / 2)
    assert found["Emotions Brier score"] == pytest.approx((0.2**2 + 0.1**2) / 2)


def test_spotting_by_hand():
    truth = [event(1.0, apex=1.2, offset=1.4, emotion="fear"), event(3.0, apex=3.1, offset=3.2, emotion="anger")]
    spotted = [micro(1.05, apex=1.2, offset=1.4, expression="fear"), micro(4.0, apex=4.1, offset=4.2)]
    found = values([evaluated(report(spotted=spotted), events=truth)], "spotting")
    assert found["Spotting F1 (IoU 0.5)"] == found["Spotting precision"] == found["Spotting recall"] == 0.5
    assert found["Onset error (ms)"] == pytest.approx(50) and found["Apex error (ms)"] == pytest.approx(0)
    # fear was spotted and recognised, anger was not spotted: precision and recall of the classes are 1 and 0
    assert found["Recognition F1 of the spotted"] == pytest.approx(0.5)
    assert found["STRS"] == pytest.approx(0.25)


def test_errors_without_matches_are_nan():
    clips = [evaluated(report(spotted=[]), events=[event(1.0, apex=1.2, offset=1.4)])]
    found = values(clips, "spotting")
    assert found["Spotting F1 (IoU 0.5)"] == 0 and math.isnan(found["Onset error (ms)"])


def test_a_clip_without_a_face_spots_nothing_and_an_untrained_model_has_no_figure():
    truth = [event(1.0, apex=1.2, offset=1.4)]
    assert values([evaluated(report(), events=truth)], "spotting")["Spotting recall"] == 0
    assert values([evaluated(report(status=UNTRAINED), events=truth)], "spotting") == {}


def test_answers_that_parse():
    right = report(utterance(1, answer="It is a good day."), utterance(2, raw_answer="no form"))
    silent = report(utterance(0, emotions=SURE_JOY))
    assert values([evaluated(right, JOY, JOY), evaluated(silent, JOY)], "explanations")["Answers that parse"] == 0.5
    assert values([evaluated(silent, JOY)], "explanations") == {}


def test_an_answer_about_the_clip_counts_for_itself():
    """Labels of the whole clip are compared with the summary."""
    said = report(utterance(0, emotions=SURE_JOY), emotions=SURE_JOY)
    clip = evaluated(said, EmotionTargets())
    assert values([clip], "emotions") == {}
    example = type(clip.example)("clip", video="clip.mp4", targets=JOY)
    assert values([type(clip)(example, clip.targets, said)], "emotions")["Emotions micro F1"] == 1


@pytest.mark.parametrize(
    "family", ["emotions", "leaks", "calibration", "expressions", "closed-set", "valence-arousal"]
)
def test_unlabelled_clips_have_no_figures(family):
    assert values([evaluated(report(utterance(0, emotions=SURE_JOY)), EmotionTargets())], family) == {}
