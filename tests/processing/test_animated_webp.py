import numpy as np
import pytest
from PIL import Image
from synthetic_faces import RedSquareDetector
from synthetic_media import frame_number, moving_squares

from microemo.processing.animated_webp import is_animated_webp
from microemo.processing.clip_reading import ClipReader
from microemo.processing.media_index import index_media
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.video_reading import open_video

DURATIONS = [40, 40, 120] * 8  # ms


def write_webp(path, *, durations=DURATIONS):
    pictures = [Image.fromarray(frame) for frame in moving_squares(count=len(durations))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, quality=90)
    return path


def test_frames_and_times(tmp_path):
    path = write_webp(tmp_path / "clip.webp")
    index = index_media(path)
    assert not index.has_audio and index.end_seconds == pytest.approx(sum(DURATIONS) / 1000)
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.times, np.cumsum([0, *DURATIONS[:-1]]) / 1000)
        for expected in (list(range(24)), [3, 20], [1]):
            batches = list(reader.read(expected))
            assert [frame_number(picture) for _, batch in batches for picture in batch] == expected
        assert next(reader.read([5], size=(48, 64)))[1].shape == (1, 48, 64, 3)


def test_animations_are_read_like_videos(tmp_path):
    settings = ReadingSettings(num_frames=6, frame_size=48, min_face_size=8)
    (clip,) = ClipReader(settings, detector=RedSquareDetector()).read(write_webp(tmp_path / "clip.webp"))
    assert (
        len(clip.frames) and len(clip.face_crops) and clip.missing_reasons["audio"] == "the file has no audio stream"
    )


def test_other_files_are_no_animations(tmp_path):
    still = tmp_path / "still.webp"
    Image.fromarray(moving_squares(count=1)[0]).save(still)
    other = tmp_path / "other.wav"
    other.write_bytes(b"RIFF\x00\x00\x00\x00WAVE")
    assert not is_animated_webp(still) and not is_animated_webp(other)
