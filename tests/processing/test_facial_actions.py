"""Facial actions: names, units, mirroring, and values relative to a person's rest."""

import numpy as np
import pytest

from microemo.processing.facial_actions import (
    ACTION_NAMES,
    COLUMN,
    DEAD_ACTIONS,
    FACIAL_ACTIONS,
    HIGHEST_REST,
    USUAL_REST,
    mirrored_actions,
    relative_to_rest,
    resting_values,
    seconds_seen,
    unit_intensities,
)

SMILE, JAW = list(FACIAL_ACTIONS[[unit.number for unit in FACIAL_ACTIONS].index(12)].columns), COLUMN["jawOpen"]


def at_rest(*, seconds: float, fps: float = 15.0) -> tuple[np.ndarray, np.ndarray]:
    """Actions (F, 52) of a resting face, and their times."""
    times = np.arange(round(seconds * fps)) / fps
    return np.tile(USUAL_REST, (len(times), 1)).astype(np.float32), times


def everywhere(times):
    return np.ones(len(times), bool)


def test_there_are_52_names_and_units_use_responsive_columns():
    assert len(set(ACTION_NAMES)) == 52
    columns = [column for unit in FACIAL_ACTIONS for column in unit.columns]
    assert len(set(columns)) == len(columns)
    assert not {ACTION_NAMES[column] for column in columns} & set(DEAD_ACTIONS)
    assert set(DEAD_ACTIONS) < set(ACTION_NAMES)


def test_units_are_the_mean_of_their_columns():
    actions = np.zeros((3, 52))
    actions[:, SMILE[0]], actions[:, JAW] = 0.8, (0.0, 0.5, 1.0)
    units = unit_intensities(actions)
    labels = [unit.label for unit in FACIAL_ACTIONS]
    assert units.shape == (3, len(FACIAL_ACTIONS))
    np.testing.assert_allclose(units[:, labels.index("AU12")], 0.4)
    np.testing.assert_allclose(units[:, labels.index("AU26")], [0, 0.5, 1])


def test_mirroring_only_swaps_sides():
    actions = np.arange(52.0)
    observed = mirrored_actions(actions)
    assert observed[COLUMN["mouthSmileLeft"]] == COLUMN["mouthSmileRight"]
    assert (
        observed[COLUMN["jawLeft"]] == COLUMN["jawRight"]
        and observed[COLUMN["eyeLookInLeft"]] == COLUMN["eyeLookInRight"]
    )
    assert observed[JAW] == JAW and (mirrored_actions(observed) == actions).all()


def test_actions_are_relative_to_the_persons_own_rest():
    """A face with naturally low brows that smiles from 4 s on."""
    actions, times = at_rest(seconds=6)
    brow = COLUMN["browDownLeft"]
    own_rest = (USUAL_REST[brow] + HIGHEST_REST[brow]) / 2
    actions[:, brow] = own_rest
    actions[times >= 4, SMILE[0]] += 0.6
    relative = relative_to_rest(actions, times, mask=everywhere(times))
    assert np.abs(relative[:, brow]).max() < 1e-5
    np.testing.assert_allclose(relative[times >= 4, SMILE[0]], 0.6, atol=1e-5)
    np.testing.assert_allclose(relative[times < 4, SMILE[0]], 0, atol=1e-5)


def test_briefly_observed_faces_use_the_typical_rest():
    actions, times = at_rest(seconds=2)
    actions[:, SMILE] = 0.7
    np.testing.assert_allclose(resting_values(actions, times, mask=everywhere(times)), USUAL_REST)
    relative = relative_to_rest(actions, times, mask=everywhere(times))
    np.testing.assert_allclose(
        relative[:, SMILE], np.broadcast_to(0.7 - USUAL_REST[SMILE], (len(times), 2)), atol=1e-5
    )


def test_a_held_smile_is_not_taken_for_rest():
    actions, times = at_rest(seconds=8)
    actions[:, SMILE] = 0.9
    relative = relative_to_rest(actions, times, mask=everywhere(times))
    assert (relative[:, SMILE] > 0.4).all()


def test_unmeasured_crops_are_ignored_and_zero():
    actions, times = at_rest(seconds=6)
    mask = times < 4
    actions[~mask] = 0
    relative = relative_to_rest(actions, times, mask=mask)
    assert not relative[~mask].any() and np.abs(relative[mask]).max() < 1e-5
    assert relative.dtype == np.float32


@pytest.mark.parametrize(("times", "seconds"), [([], 0), ([1.0], 0), ([0, 0.1, 0.2, 5.0, 5.1], 0.3)])
def test_absence_is_not_observed_time(times, seconds):
    assert seconds_seen(np.array(times)) == pytest.approx(seconds)


def test_no_measurements_give_zeros():
    relative = relative_to_rest(np.zeros((4, 52), np.float32), np.arange(4.0), mask=np.zeros(4, bool))
    assert relative.shape == (4, 52) and not relative.any()
