"""Computes MediaPipe's points and actions of the frames of `landmark_frames.py`, for `test_mediapipe_equality.py`.

    python tests/landmark_frames.py single_face.mp4 FOLDER
    python -m venv other && other/bin/pip install mediapipe==1.2.3
    other/bin/python tests/processing/golden/make_mediapipe_golden.py face_landmarker.task FOLDER mediapipe.npz

Each frame is given as a still video with 100 s between frames. MediaPipe then takes the region from the face's points,
as we do, and its temporal smoothing has no effect.
"""

import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

REPEATS = 13
MILLISECONDS = 100_000


def main(model: str, folder: str, target: str) -> None:
    results: dict[str, list[np.ndarray]] = {"points": [], "actions": [], "matrices": []}
    for path in sorted(Path(folder).glob("*.png"), key=lambda path: int(path.stem)):
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=model),
            running_mode=vision.RunningMode.VIDEO,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        image = mediapipe.Image.create_from_file(str(path))
        with vision.FaceLandmarker.create_from_options(options) as landmarker:
            for number in range(REPEATS):
                found = landmarker.detect_for_video(image, number * MILLISECONDS)
        results["points"].append(np.array([[point.x, point.y, point.z] for point in found.face_landmarks[0]]))
        results["actions"].append(np.array([entry.score for entry in found.face_blendshapes[0]]))
        results["matrices"].append(np.array(found.facial_transformation_matrixes[0]))
    np.savez_compressed(target, **{name: np.array(rows, np.float32) for name, rows in results.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
