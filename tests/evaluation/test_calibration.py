import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.evaluation.metrics.calibration import (
    bin_sums,
    brier_score,
    calibration_error_of_sums,
    expected_calibration_error,
    reliability_bins,
    top_label_calibration_error,
)


def test_worked_example_of_two_bins():
    # bin (0, 0.5]: 0.1, 0.5 -> mean 0.3, frequency 0.5; bin (0.5, 1]: 0.9, 0.7 -> 0.8, 1.  ECE = (0.2 + 0.2) / 2.
    probabilities, outcomes = [0.1, 0.5, 0.9, 0.7], [False, True, True, True]
    assert [item.count for item in reliability_bins(probabilities, outcomes, bins=2)] == [2, 2]
    assert expected_calibration_error(probabilities, outcomes, bins=2) == pytest.approx(0.2)
    assert brier_score(probabilities, outcomes) == pytest.approx((0.01 + 0.25 + 0.01 + 0.09) / 4)


def test_edges_of_bins():
    bins = reliability_bins([0.0, 0.5, 1.0], [False, True, True], bins=2)
    assert [(item.count, item.probability) for item in bins] == [(2, 0.25), (1, 1.0)]


def test_bins_of_equal_mass():
    bins = reliability_bins([0.9, 0.91, 0.92, 0.93], [True] * 4, bins=2, binning="mass")
    assert [item.count for item in bins] == [2, 2]


def test_certain_and_right_is_perfect_certain_and_wrong_is_worst():
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0
    assert expected_calibration_error([1.0, 0.0], [False, True]) == 1


def test_top_label_by_hand():
    # top 0.8 right, top 0.6 wrong, one bin: |0.7 - 0.5|.
    assert top_label_calibration_error([[0.8, 0.2], [0.4, 0.6]], [0, 0], bins=1) == pytest.approx(0.2)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        expected_calibration_error([1.2], [True])
    with pytest.raises(ValueError, match=r"bins \(0\)"):
        expected_calibration_error([0.2], [True], bins=0)
    with pytest.raises(ValueError, match="binning"):
        expected_calibration_error([0.2], [True], binning="equal")


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12), st.sampled_from(["width", "mass"])
)
def test_the_error_lies_between_zero_and_one_and_counts_add_up(pairs, binning):
    probabilities, outcomes = zip(*pairs, strict=True)
    assert 0 <= expected_calibration_error(probabilities, outcomes, binning=binning) <= 1
    assert sum(item.count for item in reliability_bins(probabilities, outcomes, binning=binning)) == len(pairs)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(pairs, random):
    before = expected_calibration_error(*zip(*pairs, strict=True))
    after = expected_calibration_error(*zip(*random.sample(pairs * 2, 2 * len(pairs)), strict=True))
    assert after == pytest.approx(before)


def test_sums_of_bins_added_up_give_the_error_of_all():
    rng = np.random.default_rng(3)
    probabilities = rng.random(90)
    outcomes = rng.random(90) < probabilities
    sums = sum(bin_sums(probabilities[part], outcomes[part]) for part in np.split(np.arange(90), [10, 45]))
    whole = expected_calibration_error(probabilities, outcomes)
    assert calibration_error_of_sums(sums) == pytest.approx(whole)
    assert np.isnan(calibration_error_of_sums(np.zeros((15, 3))))
