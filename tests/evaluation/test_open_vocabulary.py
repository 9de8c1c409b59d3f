import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.evaluation.metrics.open_vocabulary import (
    clip_set_scores,
    harmonic_mean,
    set_scores,
    set_scores_of_groups,
)

WORDS = ["happy", "sad", "angry", "calm", "afraid"]
label_sets = st.lists(st.sampled_from(WORDS), max_size=4)
clips = st.lists(st.tuples(label_sets, label_sets), min_size=1, max_size=6)


def test_worked_example_without_grouping():
    # clip 1: Y {happy, calm}, P {happy}: accuracy 1/1, recall 1/2; clip 2: Y {sad}, P {sad, angry, calm}: 1/3, 1/1.
    scores = set_scores(["['happy','calm']", "['sad']"], ["['Happy']", "['sad','angry','calm']"])
    assert scores.accuracy == pytest.approx((1 + 1 / 3) / 2)
    assert scores.recall == pytest.approx((1 / 2 + 1) / 2)
    assert scores.average == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert scores.f_score == pytest.approx(2 * (2 / 3) * (3 / 4) / (2 / 3 + 3 / 4))
    assert scores.clips == 2


def test_worked_example_with_stored_groups():
    # {joyful, happy} are one word: Y {joyful -> joyful, excited}, P {happy -> joyful, glad}: 1/2 and 1/2.
    scores = set_scores_of_groups(
        ["['joyful', 'excited']"], ["['happy', 'glad']"], groups=["[['joyful', 'happy'], ['excited']]"]
    )
    assert (scores.accuracy, scores.recall) == (0.5, 0.5)


def test_grouping_shrinks_the_sets():
    # P {happy, glad, joyful} becomes one word, so accuracy is 1, not 1/3.
    scores = set_scores_of_groups([["happy"]], [["happy", "glad", "joyful"]], groups=[[["glad", "happy", "joyful"]]])
    assert (scores.accuracy, scores.recall) == (1.0, 1.0)


def test_groups_are_per_clip():
    groups = [[["happy", "glad"]], []]
    scores = set_scores_of_groups([["happy"], ["happy"]], [["glad"], ["glad"]], groups=groups)
    assert scores.accuracy == 0.5


def test_labels_are_lowered_but_stored_groups_are_not():
    scores = set_scores_of_groups([["Happy"]], [["Glad"]], groups=["[['Happy', 'Glad']]"])
    assert scores.accuracy == 0


def test_empty_sets():
    references, predictions = [["happy"], [], []], [[], ["happy"], []]
    assert set_scores(references, predictions).average == 0
    assert set_scores(references, predictions).clips == 3
    skipped = clip_set_scores(references, predictions, empty_reference="skip")
    np.testing.assert_array_equal(skipped, [[0, 0], [np.nan, np.nan], [np.nan, np.nan]])


def test_all_clips_skipped_scores_zero():
    scores = set_scores([[]], [["happy"]], empty_reference="skip")
    assert (scores.accuracy, scores.recall, scores.f_score, scores.clips) == (0, 0, 0, 0)


def test_harmonic_mean_of_zeros_is_zero():
    assert harmonic_mean(0.0, 0.0) == 0


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"references \(2\) and predictions \(1\)"):
        set_scores([["a"], ["b"]], [["a"]])
    with pytest.raises(ValueError, match="at least one clip"):
        set_scores([], [])
    with pytest.raises(ValueError, match="empty_reference"):
        set_scores([["a"]], [["a"]], empty_reference="drop")
    with pytest.raises(ValueError, match="groups"):
        set_scores_of_groups([["a"]], [["a"]], groups=[])


@given(clips, st.randoms(use_true_random=False))
def test_order_of_clips_and_labels_does_not_matter(pairs, random):
    before = set_scores(*zip(*pairs, strict=True))
    shuffled = [(random.sample(y, len(y)), random.sample(p, len(p))) for y, p in random.sample(pairs, len(pairs))]
    after = set_scores(*zip(*shuffled, strict=True))
    assert after.accuracy == pytest.approx(before.accuracy)
    assert after.recall == pytest.approx(before.recall)


@given(clips)
def test_repeating_labels_or_all_clips_changes_nothing(pairs):
    before = set_scores(*zip(*pairs, strict=True))
    repeated = [(y + y, p + p + p) for y, p in pairs] * 2
    after = set_scores(*zip(*repeated, strict=True))
    assert after.average == pytest.approx(before.average)


@given(clips)
def test_swapping_the_sides_swaps_accuracy_and_recall(pairs):
    there = set_scores(*zip(*pairs, strict=True))
    back = set_scores(*zip(*[(p, y) for y, p in pairs], strict=True))
    assert (back.accuracy, back.recall) == pytest.approx((there.recall, there.accuracy))


@given(label_sets, label_sets, st.sampled_from(WORDS))
def test_a_further_prediction_never_lowers_recall(reference, prediction, word):
    less = set_scores([reference], [prediction])
    more = set_scores([reference], [[*prediction, word]])
    assert more.recall >= less.recall


@given(label_sets, label_sets)
def test_a_subset_of_the_reference_has_full_accuracy(reference, other):
    prediction = [label for label in other if label in reference]
    assert set_scores([reference], [prediction]).accuracy == (1.0 if prediction else 0.0)


@given(clips)
def test_scores_lie_between_zero_and_one(pairs):
    scores = set_scores(*zip(*pairs, strict=True))
    assert all(0 <= value <= 1 for value in (scores.accuracy, scores.recall, scores.average, scores.f_score))
