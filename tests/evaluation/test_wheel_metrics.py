import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.data.emotion_wheel import M1, EmotionWheels, Rule, wheel_from_rows
from microemo.evaluation.metrics.open_vocabulary import set_scores
from microemo.evaluation.metrics.wheel_metrics import (
    clip_wheel_scores,
    hit_rate,
    mer2025_track2,
    mer2026_track2,
    mer_unibench_fine_grained,
    ov_mer_average,
    wheel_grouping,
    wheel_scores,
)

# Two wheels over the same six words, so that means over wheels can be worked out by hand.
ROWS_1 = [("up", "joy", "happy"), ("up", "ease", "calm"), ("down", "grief", "sad"), ("down", "fury", "angry")]
ROWS_2 = [("good", "high", "happy"), ("good", "mild", "calm"), ("bad", "mild bad", "sad")]  # "angry" is not on it
WORDS = ["happy", "calm", "sad", "angry", "glad"]
WHEELS = EmotionWheels(
    name="two small wheels",
    bases={word: (word,) for word in WORDS} | {"gladly": ("glad",)},
    wheel_words={"happy": ("happy",), "calm": ("calm",), "sad": ("sad",), "angry": ("angry",), "glad": ("happy",)},
    wheels=(wheel_from_rows(ROWS_1), wheel_from_rows(ROWS_2)),
)
W1L1, W1L2 = Rule("wheel", wheel=1, level=1), Rule("wheel", wheel=1, level=2)
REFERENCES = ["['happy', 'calm']", "['angry', 'neutral']", "['neutral']"]
PREDICTIONS = ["['gladly', 'sad']", "['sad']", "['happy']"]


def test_worked_example_of_one_wheel():
    # W1 L1: clip 1 Y {up}, P {up, down}: 1/2, 1; clip 2 Y {down}, P {down}: 1, 1; clip 3 has no reference: skipped.
    scores = wheel_scores(REFERENCES, PREDICTIONS, wheels=WHEELS, rule=W1L1)
    assert (scores.precision, scores.recall) == (0.75, 1.0)
    assert scores.f_score == pytest.approx(2 * 0.75 / 1.75)  # of the two means, not the mean of the clips' F (5/6)
    # W1 L2: clip 1 Y {joy, ease}, P {joy, grief}: 1/2, 1/2; clip 2 Y {fury}, P {grief}: 0, 0.
    scores = wheel_scores(REFERENCES, PREDICTIONS, wheels=WHEELS, rule=W1L2)
    assert (scores.precision, scores.recall, scores.f_score) == (0.25, 0.25, 0.25)


def test_worked_example_of_base_words():
    # M1: clip 1 Y {happy, calm}, P {glad, sad}: 0; clip 2 Y {angry}, P {sad}: 0; so F is 0, not NaN.
    assert wheel_scores(REFERENCES, PREDICTIONS, wheels=WHEELS, rule=M1).f_score == 0


def test_worked_example_of_the_means_over_wheels():
    # W2 L1: clip 1 Y {good}, P {good, bad}: 1/2, 1; clip 2 is skipped, angry not being on wheel 2.  F = 2/3.
    # W2 L2: clip 1 Y {high, mild}, P {high, mild bad}: 1/2, 1/2.  F = 1/2.
    first, second = 2 * 0.75 / 1.75, 2 / 3
    fine = mer_unibench_fine_grained(REFERENCES, PREDICTIONS, wheels=WHEELS)
    assert fine.f_score == pytest.approx((first + second) / 2)
    assert fine.precision == pytest.approx((0.75 + 0.5) / 2)
    assert fine.recall == 1
    assert mer2026_track2(REFERENCES, PREDICTIONS, wheels=WHEELS) == fine.f_score
    level2 = (0.25 + 0.5) / 2
    expected = ((first + second) / 2 + level2) / 2
    assert mer2025_track2(REFERENCES, PREDICTIONS, wheels=WHEELS) == pytest.approx(expected)
    # M2: glad -> happy: clip 1 Y {happy, calm}, P {happy, sad}: 1/2, 1/2; clip 2: 0.  P = R = F = 1/4.  M1 is 0.
    m_avg = (0 + 0.25 + first + 0.25 + second + 0.5) / 6
    assert ov_mer_average(REFERENCES, PREDICTIONS, wheels=WHEELS) == pytest.approx(m_avg)


def test_a_prediction_that_is_empty_or_off_the_wheel_counts_zero():
    scores = wheel_scores([["happy"], ["happy"], ["happy"]], [["happy"], [], ["neutral"]], wheels=WHEELS, rule=W1L1)
    assert (scores.precision, scores.recall) == pytest.approx((1 / 3, 1 / 3))


def test_no_clip_left_scores_zero():
    assert mer2026_track2([["neutral"]], [["happy"]], wheels=WHEELS) == 0


def test_hit_rate_by_hand():
    # W1: happy in {up}: 1; angry in {up}: 0; neutral skipped: 1/2.  W2: happy: 1; angry and neutral skipped: 1.
    references, predictions = ["happy", "angry", "neutral"], [["calm", "sad"], ["happy"], ["happy"]]
    assert hit_rate(references, predictions, wheels=WHEELS) == (0.5 + 1) / 2


def test_wheel_grouping_keeps_words_off_the_wheel():
    scores = set_scores([["happy", "odd"]], [["calm", "odd"]], grouping=wheel_grouping(WHEELS, rule=W1L1))
    assert (scores.accuracy, scores.recall) == (1, 1)


def test_scores_are_indexed_by_clip_and_rule():
    scores = clip_wheel_scores(REFERENCES, PREDICTIONS, wheels=WHEELS, rules=WHEELS.all_rules())
    assert scores.shape == (3, 6, 2)
    assert np.isnan(scores[2]).all()
    assert np.isnan(scores[1, 4:]).all()


label_lists = st.lists(st.sampled_from([*WORDS, "gladly", "neutral"]), max_size=4)
clips = st.lists(st.tuples(label_lists, label_lists), min_size=1, max_size=6)


@given(clips, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(pairs, random):
    before = ov_mer_average(*zip(*pairs, strict=True), wheels=WHEELS)
    changed = [(random.sample(y, len(y)) + y, p + random.sample(p, len(p))) for y, p in pairs] * 2
    random.shuffle(changed)
    assert ov_mer_average(*zip(*changed, strict=True), wheels=WHEELS) == pytest.approx(before)


@given(label_lists, label_lists, st.sampled_from(WORDS))
def test_more_predictions_never_lower_recall_or_hits(reference, prediction, word):
    more = [*prediction, word]
    recalls = [wheel_scores([reference], [p], wheels=WHEELS, rule=W1L1).recall for p in (prediction, more)]
    hits = [hit_rate([reference[:1]], [p], wheels=WHEELS) for p in (prediction, more)]
    assert recalls[1] >= recalls[0]
    assert hits[1] >= hits[0]


@given(clips)
def test_perfect_predictions_score_one(pairs):
    references = [y for y, _ in pairs]
    perfect = ov_mer_average(references, references, wheels=WHEELS)
    # Rules under which no reference maps stay 0: all with neutral alone, wheel 2's with angry alone.
    mapped = [rule for rule in WHEELS.all_rules() if any(WHEELS.map_labels(y, rule=rule) for y in references)]
    assert perfect == pytest.approx(len(mapped) / 6)
