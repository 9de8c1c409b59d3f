import numpy as np
import pytest

from microemo.training.face_tower.targets import calibrated_teacher_targets, mixed_targets, smooth_labels


def test_smoothing_spreads_probability_evenly():
    rows = smooth_labels(np.array([2, 5]), smoothing=0.2)
    assert rows.sum(axis=1) == pytest.approx([1, 1])
    assert rows[0, 2] == pytest.approx(0.825)
    assert rows[0, 0] == pytest.approx(0.025)


def test_targets_mix_labels_and_teachers():
    teachers = np.full((1, 8), 0.125, dtype=np.float32)
    rows = mixed_targets(np.array([1]), smoothing=0, teachers=teachers, weight=0.4)
    assert rows[0, 1] == pytest.approx(0.65)
    assert rows[0, 3] == pytest.approx(0.05)
    without = mixed_targets(np.array([1]), smoothing=0, teachers=None, weight=0.4)
    assert without[0, 1] == 1


def test_informative_teachers_are_trusted_and_random_ones_give_the_prior():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, size=600)
    identities = np.array([f"person-{number // 3}" for number in range(600)])
    knowing = np.eye(2)[labels] * 4 + generator.normal(0, 0.1, size=(600, 2))
    targets = calibrated_teacher_targets(knowing, labels=labels, identities=identities)
    assert np.all(targets[np.arange(600), labels] > 0.8)
    guessing = calibrated_teacher_targets(generator.normal(size=(600, 2)), labels=labels, identities=identities)
    assert guessing[:, 0].mean() == pytest.approx(np.mean(labels == 0), abs=0.05)
    assert guessing[:, 0].std() < 0.1


def test_targets_do_not_leak_the_faces_own_label():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, size=90)
    identities = np.array([f"person-{number // 3}" for number in range(90)])
    scores = generator.normal(size=(90, 4))
    before = calibrated_teacher_targets(scores, labels=labels, identities=identities)
    changed = labels.copy()
    changed[:3] = (changed[:3] + 1) % 3
    after = calibrated_teacher_targets(scores, labels=changed, identities=identities)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert not np.array_equal(before, after)


def test_invalid_weights_are_refused():
    with pytest.raises(ValueError, match="smoothing"):
        smooth_labels(np.array([0]), smoothing=1.0)
    with pytest.raises(ValueError, match="weight"):
        mixed_targets(np.array([0]), smoothing=0, teachers=None, weight=2)
