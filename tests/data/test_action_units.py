import numpy as np
import pytest

from microemo.data import action_units
from microemo.data.action_units import IntensityProfile, unit_vector


def test_units_are_those_of_the_face_head():
    numbers = [unit.number for unit in action_units.ACTION_UNITS]
    assert numbers == [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 43]
    assert action_units.LABELS[0] == "AU1"


@pytest.mark.parametrize("emotion", action_units.EMOTIONS)
def test_prototypes_use_known_units_and_reach_full_intensity(emotion):
    for variant in action_units.PROTOTYPES[emotion]:
        vector = unit_vector(variant)
        assert np.count_nonzero(vector) == len(variant)
        assert 0.8 <= vector.max() <= 1.0


def test_profile_is_zero_outside_and_full_at_the_apex():
    profile = IntensityProfile(1.0, 1.2, 1.6, hold_seconds=0.1)
    times = np.array([0.0, 1.0, 1.2, 1.25, 1.3, 1.6, 2.0])
    np.testing.assert_allclose(profile(times), [0, 0, 1, 1, 1, 0, 0], atol=1e-12)
    rising = profile(np.linspace(1.0, 1.2, 20))
    assert (np.diff(rising) > 0).all()


@pytest.mark.parametrize(
    ("times", "hold", "named"), [((1, 1, 2), 0, "must increase"), ((1, 2, 3), 1.0, "hold_seconds")]
)
def test_profile_refuses_impossible_times(times, hold, named):
    with pytest.raises(ValueError, match=named):
        IntensityProfile(*times, hold_seconds=hold)
