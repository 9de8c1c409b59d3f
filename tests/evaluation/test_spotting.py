import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.evaluation.metrics.spotting import (
    ExpressionInterval,
    interval_iou,
    match_intervals,
    spot_then_recognise_scores,
    spotting_scores,
)


def interval(onset, offset, label=None, apex=None):
    return ExpressionInterval(onset=onset, offset=offset, apex=apex, label=label)


intervals = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from(["joy", "fear"])).map(
        lambda item: interval(item[0], item[0] + item[1], item[2])
    ),
    max_size=4,
)


def test_iou_in_seconds_and_in_frames():
    first, second = interval(0, 2), interval(1, 4)
    assert interval_iou(first, second) == pytest.approx(1 / 4)
    assert interval_iou(first, second, frame=1) == pytest.approx(2 / 5)  # frames 1, 2 of 0, 1, 2, 3, 4
    assert interval_iou(first, interval(5, 6)) == 0
    assert interval_iou(interval(1, 1), interval(1, 1), frame=1) == 1


def test_events_of_no_length_are_found_where_they_are():
    assert interval_iou(interval(1, 1), interval(1, 1)) == 1
    assert interval_iou(interval(1, 1), interval(2, 2)) == 0
    assert interval_iou(interval(1, 1), interval(0, 2)) == 0  # a moment is no part of a stretch
    scores = spotting_scores([[interval(1, 1), interval(3, 3)]], [[interval(1, 1), interval(4, 4)]])
    assert (scores.true_positives, scores.false_positives, scores.false_negatives) == (1, 1, 1)


def test_spotting_by_hand():
    references = [[interval(1.0, 1.4, apex=1.2), interval(5.0, 5.4)], [interval(2.0, 2.2)]]
    predictions = [[interval(1.1, 1.4, apex=1.25), interval(8.0, 8.3)], []]
    # IoU of the first pair 0.3 / 0.4; one match, one false alarm, two misses.
    scores = spotting_scores(references, predictions)
    assert (scores.true_positives, scores.false_positives, scores.false_negatives) == (1, 1, 2)
    assert (scores.precision, scores.recall) == pytest.approx((1 / 2, 1 / 3))
    assert scores.f1 == pytest.approx(2 / 5)
    assert scores.onset_error_ms == pytest.approx(100)
    assert scores.apex_error_ms == pytest.approx(50)
    assert scores.offset_error_ms == pytest.approx(0)


def test_errors_are_none_without_matches():
    scores = spotting_scores([[interval(0, 1)], []], [[], []])
    assert scores.f1 == 0
    assert (scores.onset_error_ms, scores.apex_error_ms, scores.offset_error_ms) == (None, None, None)


def test_an_iou_at_the_threshold_counts():
    assert len(match_intervals([interval(0, 2)], [interval(0, 1)], iou_threshold=0.5)) == 1
    assert match_intervals([interval(0, 2.1)], [interval(0, 1)], iou_threshold=0.5) == []


def test_two_predictions_of_one_expression_count_once():
    scores = spotting_scores([[interval(0, 10)]], [[interval(0, 9), interval(1, 10)]])
    assert (scores.true_positives, scores.false_positives) == (1, 1)


def test_matching_takes_the_largest_set_not_the_first_fit():
    # The first prediction matches both; greedy matching would leave the second true interval unmatched.
    first, second = interval(0, 6), interval(3, 9)
    both, only_first = interval(1.5, 7.5), interval(0, 4)
    matches = match_intervals([first, second], [both, only_first], iou_threshold=0.5)
    assert {(match.reference, match.prediction) for match in matches} == {(first, only_first), (second, both)}


def test_spot_then_recognise_by_hand():
    references = [[interval(0, 1, "joy"), interval(2, 3, "joy"), interval(4, 5, "fear"), interval(6, 7, "anger")]]
    predictions = [[interval(0, 1, "joy"), interval(2, 3, "fear"), interval(4, 5, "fear"), interval(9, 10, "joy")]]
    # Spotting: 3 right of 4 and 4: F1 3/4.  joy: P 1/1, R 1/2; fear: P 1/2, R 1/1; anger was never spotted: 0, 0.
    scores = spot_then_recognise_scores(references, predictions)
    assert scores.spotting.f1 == 3 / 4
    assert scores.recognition.precision == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert scores.recognition.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert scores.recognition.f1 == pytest.approx(1 / 2)
    assert scores.recognition.uf1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores.strs == pytest.approx(3 / 8)


def test_classes_can_be_chosen():
    references, predictions = [[interval(0, 1, "joy"), interval(2, 3, "other")]], [[interval(0, 1, "joy")]]
    assert spot_then_recognise_scores(references, predictions).recognition.f1 == pytest.approx(1 / 2)
    assert spot_then_recognise_scores(references, predictions, classes=["joy"]).recognition.f1 == 1


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="must not lie before onset"):
        interval(2, 1)
    with pytest.raises(ValueError, match="iou_threshold"):
        spotting_scores([[interval(0, 1)]], [[interval(0, 1)]], iou_threshold=0)
    with pytest.raises(ValueError, match="label of 1 intervals"):
        spot_then_recognise_scores([[interval(0, 1, "joy")]], [[interval(0, 1)]])
    with pytest.raises(ValueError, match="of one length"):
        spotting_scores([[]], [[], []])


@given(intervals, intervals, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_sides_are_symmetric(references, predictions, random):
    before = spotting_scores([references], [predictions], frame=1)
    shuffled = [[random.sample(side, len(side))] for side in (references, predictions)]
    after = spotting_scores(*shuffled, frame=1)
    assert (after.precision, after.recall) == (before.precision, before.recall)
    swapped = spotting_scores([predictions], [references], frame=1)
    assert (swapped.precision, swapped.recall) == (before.recall, before.precision)


@given(intervals, intervals, intervals)
def test_more_predictions_never_lower_recall(references, predictions, further):
    fewer = spotting_scores([references], [predictions])
    more = spotting_scores([references], [predictions + further])
    assert more.recall >= fewer.recall


@given(st.lists(st.tuples(intervals, intervals), min_size=1, max_size=3))
def test_repeating_the_videos_changes_no_ratio(videos):
    if not any(references for references, _ in videos):
        return
    before = spot_then_recognise_scores(*zip(*videos, strict=True))
    after = spot_then_recognise_scores(*zip(*(videos * 2), strict=True))
    assert after.strs == pytest.approx(before.strs)
