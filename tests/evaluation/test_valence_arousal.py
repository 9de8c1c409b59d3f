import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from microemo.evaluation.metrics.valence_arousal import concordance, root_mean_squared_error

values = st.floats(-1, 1).map(lambda value: round(value, 3))


def test_worked_example():
    # means 2 and 3, variances 2/3 both, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    assert concordance([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7)
    assert root_mean_squared_error([1, 2, 3], [2, 3, 4]) == 1


def test_perfect_reversed_and_constant_predictions():
    assert concordance([-1, 0, 1], [-1, 0, 1]) == pytest.approx(1)
    assert concordance([-1, 0, 1], [1, 0, -1]) == pytest.approx(-1)
    assert concordance([-1, 0, 1], [0.5, 0.5, 0.5]) == 0
    assert math.isnan(concordance([2, 2], [2, 2]))
    assert concordance([2, 2], [3, 3]) == 0


def test_pairs_with_nan_are_left_out():
    assert concordance([1, 2, 3, math.nan], [2, 3, 4, 5]) == pytest.approx(4 / 7)
    assert root_mean_squared_error([0, math.nan], [3, 1]) == 3
    with pytest.raises(ValueError, match="pair without NaN"):
        concordance([math.nan], [1])


@given(st.lists(st.tuples(values, values), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_it_equals_the_correlation_form_and_is_symmetric(pairs, random):
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    assume(first.std() > 1e-3 and second.std() > 1e-3)
    correlation = np.corrcoef(first, second)[0, 1]
    spread = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    expected = 2 * correlation * first.std() * second.std() / spread
    assert concordance(first, second) == pytest.approx(expected, abs=1e-9)
    assert concordance(second, first) == pytest.approx(expected, abs=1e-9)
    shuffled = random.sample(pairs * 2, 2 * len(pairs))
    assert concordance(*zip(*shuffled, strict=True)) == pytest.approx(expected, abs=1e-9)
