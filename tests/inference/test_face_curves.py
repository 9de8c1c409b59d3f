import numpy as np
import pytest

from microemo.inference.face_curves import (
    ExpressionTrace,
    expression_evidence,
    presence_evidence,
    smooth,
    strongest_moments,
    summarise_expressions,
    times_between,
)

LABELS = ("neutral", "happiness", "anger")


def trace_of(happiness, *, fps=10.0, start=0.0):
    happiness = np.asarray(happiness, dtype=float)
    probabilities = np.stack([1 - happiness, happiness, np.zeros_like(happiness)], axis=1)
    return ExpressionTrace(1, start + np.arange(len(happiness)) / fps, probabilities, LABELS)


def test_times_between_includes_both_ends():
    assert times_between((0.0, 0.5, 1.0, 1.5), 0.5, 1.0).tolist() == [0.5, 1.0]
    assert len(times_between((), 0.0, 1.0)) == len(times_between((2.0,), 0.0, 1.0)) == 0


def test_smoothing_keeps_constants_and_lines():
    times = np.arange(20) / 25
    np.testing.assert_allclose(smooth(times, np.full((20, 3), 0.4)), 0.4)
    line = smooth(times, times)
    np.testing.assert_allclose(line[3:-3], times[3:-3], atol=1e-9)


def test_smoothing_equals_the_weighted_mean_written_out():
    times = np.sort(np.random.default_rng(0).uniform(0, 2, 40))
    values = np.random.default_rng(1).uniform(size=(40, 2))
    weights = np.maximum(1 - np.abs(times[:, None] - times[None]) / 0.1, 0)
    np.testing.assert_allclose(smooth(times, values), weights @ values / weights.sum(1, keepdims=True), atol=1e-6)


def test_smoothing_goes_by_time_not_by_index():
    values = np.array([0.0, 1.0, 0.0])
    assert smooth(np.array([0.0, 0.04, 0.08]), values)[1] < 0.7
    np.testing.assert_allclose(smooth(np.array([0.0, 1.0, 2.0]), values), values)


def test_no_window_no_change():
    values = np.array([0.2, 0.9])
    np.testing.assert_allclose(smooth(np.array([0.0, 0.01]), values, window_seconds=0.0), values)


def test_a_summary_weighs_by_time():
    # Happiness fills 0-1 s with eleven crops, neutral 1-3 s with two.
    times = np.concatenate([np.linspace(0, 1, 11), [1.45, 1.9]])
    happiness = np.concatenate([np.ones(11), np.zeros(2)])
    trace = ExpressionTrace(1, times, np.stack([1 - happiness, happiness, 0 * happiness], 1), LABELS)
    scores = {score.label: score.probability for score in summarise_expressions(trace)}
    assert scores["neutral"] == pytest.approx(0.9 / 2.175, abs=1e-4)  # by count it would be 2/13
    assert list(scores)[0] == max(scores, key=scores.get)


def test_an_unseen_face_has_no_summary():
    assert summarise_expressions(trace_of([])) is None
    assert expression_evidence(trace_of([])) == ()


def test_a_rise_is_told_with_its_times():
    happiness = np.concatenate([np.full(6, 0.1), np.linspace(0.1, 0.9, 5), np.full(9, 0.9)])
    rise, fall = sorted(expression_evidence(trace_of(happiness)), key=lambda evidence: evidence.text, reverse=True)
    assert fall.text == "happiness rises from 0.10 to 0.90 between 0.6 and 1.0 s"
    assert fall.seconds == 1.0 and fall.kind == "face"
    assert rise.text == "neutral falls from 0.90 to 0.10 between 0.6 and 1.0 s" and rise.seconds == 0.6


def test_a_steady_face_says_so():
    (evidence,) = expression_evidence(trace_of(np.full(10, 0.05)))
    assert evidence.text == "neutral throughout, mean 0.95" and evidence.seconds is None


def test_an_unclear_face_says_nothing():
    even = np.full((10, 3), 1 / 3)
    assert expression_evidence(ExpressionTrace(1, np.arange(10) / 10, even, LABELS)) == ()


@pytest.mark.parametrize(
    ("times", "texts"),
    [
        (np.arange(0, 4, 0.1), []),
        (np.arange(2.1, 4, 0.1), ["first seen at 2.1 s"]),
        (np.arange(0, 2, 0.1), ["last seen at 1.9 s"]),
        (np.concatenate([np.arange(0, 1, 0.1), np.arange(3, 4, 0.1)]), ["not seen between 0.9 and 3.0 s"]),
        (np.zeros(0), []),
    ],
)
def test_presence(times, texts):
    assert [evidence.text for evidence in presence_evidence(times, start_seconds=0, end_seconds=4)] == texts


def test_moments_worth_a_picture():
    happiness = np.concatenate([np.full(10, 0.1), np.linspace(0.1, 0.9, 5), np.full(3, 0.8)])
    assert strongest_moments(trace_of(happiness), count=2) == (0.0, 1.4)
    assert strongest_moments(trace_of(happiness), count=1) == (0.0,)
    assert strongest_moments(trace_of([]), count=2) == ()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ExpressionTrace(1, np.arange(3), np.zeros((2, 3)), LABELS), r"shape \(3, 3\), got \(2, 3\)"),
        (lambda: ExpressionTrace(1, np.array([0.0, 0.0]), np.zeros((2, 3)), LABELS), "times must increase"),
        (lambda: smooth(np.arange(3), np.zeros(2)), "times has 3 entries, values has 2"),
    ],
)
def test_arrays_that_do_not_fit(build, words):
    with pytest.raises(ValueError, match=words):
        build()
