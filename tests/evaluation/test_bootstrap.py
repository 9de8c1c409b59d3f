import numpy as np
import pytest

from microemo.evaluation.metrics.bootstrap import bootstrap_estimate


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(1).normal(size=400)
    estimate = bootstrap_estimate(lambda chosen: values[chosen].mean(), clips=400, resamples=2000)
    half_width = 1.96 * values.std() / 20
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half_width, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + half_width, abs=0.02)


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(10.0)
    first, again, other = (
        bootstrap_estimate(lambda chosen: values[chosen].mean(), clips=10, resamples=50, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_constant_has_no_width():
    estimate = bootstrap_estimate(lambda chosen: 0.5, clips=5, resamples=10)
    assert (estimate.low, estimate.high) == (0.5, 0.5)


def test_one_clip_or_no_resamples_give_no_bounds():
    assert bootstrap_estimate(lambda chosen: 1.0, clips=1).low is None
    assert bootstrap_estimate(lambda chosen: 1.0, clips=9, resamples=0).high is None
    assert bootstrap_estimate(lambda chosen: float("nan"), clips=9, resamples=5).high is None


@pytest.mark.parametrize(("argument", "value"), [("clips", 0), ("confidence", 1.0), ("resamples", -1)])
def test_wrong_settings_are_refused(argument, value):
    with pytest.raises(ValueError, match=argument):
        bootstrap_estimate(lambda chosen: 1.0, **{"clips": 4, argument: value})
