"""Face labels at the times of the crops."""

import numpy as np
import pytest

from microemo.data.example import FaceEvent, FaceTimeline
from microemo.training.objectives.face_labels import (
    UNKNOWN,
    action_unit_labels,
    event_strength,
    expression_labels,
    micro_labels,
)

IDS = {"neutral": 0, "happiness": 1, "fear": 2}
SMILE = FaceEvent("macro", "happiness", 1.0, 2.0, 3.0, intensity=0.5)
MICRO_FEAR = FaceEvent("micro", "fear", 1.9, 2.0, 2.2, intensity=0.9)


def test_event_strength_peaks_at_the_apex():
    times = np.array([0.9, 1.0, 1.5, 2.0, 2.75, 3.1])
    np.testing.assert_allclose(event_strength(SMILE, times), [0, 0, 0.5, 1.0, 0.25, 0])


def test_micro_labels_cover_onset_to_offset():
    times = np.array([1.89, 1.9, 2.2, 2.21])
    assert micro_labels(FaceTimeline((SMILE, MICRO_FEAR)), times=times).tolist() == [0, 1, 1, 0]
    assert micro_labels(FaceTimeline(()), times=times).tolist() == [0] * 4
    assert micro_labels(None, times=times).tolist() == [UNKNOWN] * 4


def test_strongest_expression_is_the_label_unless_too_weak():
    times = np.array([0.5, 1.1, 1.8, 2.0, 2.6, 2.9])
    labels = expression_labels(FaceTimeline((SMILE, MICRO_FEAR)), times=times, label_ids=IDS)
    assert labels.tolist() == [0, UNKNOWN, 1, 2, 1, UNKNOWN]


def test_expression_outside_of_the_label_set_is_unknown():
    timeline = FaceTimeline((FaceEvent("macro", "envy", 0.0, 1.0, 2.0),))
    assert expression_labels(timeline, times=np.array([1.0, 3.0]), label_ids=IDS).tolist() == [UNKNOWN, 0]


def test_action_units_are_interpolated_between_measurements():
    timeline = FaceTimeline((), ("AU4", "AU1"), np.array([0.0, 1.0]), np.array([[0.0, 0.2], [1.0, 0.4]]))
    labels = action_unit_labels(timeline, times=np.array([0.5, 1.5]), unit_names=("AU1", "AU2"))
    np.testing.assert_allclose(labels, [[0.3, UNKNOWN], [UNKNOWN, UNKNOWN]], atol=1e-6)


def test_invalid_events_are_refused():
    with pytest.raises(ValueError, match="in this order"):
        FaceEvent("micro", "fear", 1.0, 0.5, 2.0)
    with pytest.raises(ValueError, match="kind .'tiny'"):
        FaceEvent("tiny", "fear", 1.0, 1.5, 2.0)
