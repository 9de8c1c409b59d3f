import numpy as np
import pytest
from PIL import Image
from synthetic_faces import RedSquareDetector
from synthetic_media import frame_number, moving_squares

from microemo.processing.clip_reading import ClipReader
from microemo.processing.frame_folder import FrameFolder, find_frames
from microemo.processing.media_source import source_name
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.video_reading import open_video


def write_frames(folder, numbers, *, name="img{}.png"):
    """Images whose name and content are their number."""
    folder.mkdir()
    frames = moving_squares(count=max(numbers) + 1)
    for number in numbers:
        Image.fromarray(frames[number]).save(folder / name.format(number))
    return folder


def test_images_are_in_natural_order_at_the_given_rate(tmp_path):
    folder = write_frames(tmp_path / "sub01", range(1, 101))
    with open_video(FrameFolder(folder, fps=200)) as reader:
        np.testing.assert_allclose(reader.times, np.arange(100) / 200)
        assert reader.duration_seconds == pytest.approx(0.5) and reader.warnings == ()
        assert (reader.width, reader.height) == (128, 96)
        pictures = [picture for _, batch in reader.read(range(100)) for picture in batch]
    assert [frame_number(picture) for picture in pictures] == list(range(1, 101))


def test_missing_frames_leave_gaps_and_are_reported(tmp_path):
    numbers = [number for number in range(20, 60) if number not in (31, 32, 50)]
    folder = write_frames(tmp_path / "006_1_2", numbers, name="006_{:05d}.png")
    frame_files = find_frames(FrameFolder(folder, fps=200))
    assert frame_files.warnings == ("3 of 40 frames are missing (31, 32, 50): gaps are left for them",)
    assert frame_files.times[11] - frame_files.times[10] == pytest.approx(3 / 200) and frame_files.times[
        -1
    ] == pytest.approx(39 / 200)


@pytest.mark.parametrize(
    ("names", "times", "words"),
    [
        (["a.png", "b.png"], [0, 0.1], "no increasing numbers"),
        (["f10.png", "f20.png", "f40.png"], [0, 0.1, 0.3], "steps of 10"),
        (["t1000.png", "t1001.png", "t9000.png"], [0, 0.1, 0.2], "do not count frames"),
        (["f1.png"], [0], None),
    ],
)
def test_other_file_names(tmp_path, names, times, words):
    for name in names:
        Image.fromarray(moving_squares(count=1)[0]).save(tmp_path / name)
    frame_files = find_frames(FrameFolder(tmp_path, fps=10))
    np.testing.assert_allclose(frame_files.times, times)
    assert any(words in warning for warning in frame_files.warnings) if words else frame_files.warnings == ()


def test_a_folder_is_read_like_a_video(tmp_path):
    folder = write_frames(tmp_path / "frames", [*range(60), *range(61, 100)])
    (folder / "notes.txt").write_text("no picture")
    (folder / "img30.png").write_bytes(b"damaged")
    source = FrameFolder(str(folder), fps=200)
    settings = ReadingSettings(num_frames=6, frame_size=48, min_face_size=8, face_fps=100, detection_fps=100)
    reader = ClipReader(settings, detector=RedSquareDetector(), cache_dir=tmp_path / "cache")
    (clip,) = reader.read(source)
    assert clip.source == str(folder) == source_name(source)
    assert clip.end_seconds == pytest.approx(0.5) and len(clip.face_times) == pytest.approx(50, abs=3)
    assert "1 of 100 frames are missing (60)" in clip.warnings[0]
    no_landmarks = "no landmark model was given"
    assert clip.missing_reasons == {"audio": "the file has no audio stream", "face_actions": no_landmarks}
    (again,) = reader.read(source)
    np.testing.assert_array_equal(again.face_crops, clip.face_crops)


def test_invalid_folders_and_rates_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder of frames"):
        FrameFolder(tmp_path / "none", fps=200)
    for rate in (0, -1, float("nan"), True):
        with pytest.raises(ValueError, match="fps must be > 0"):
            FrameFolder(tmp_path, fps=rate)
    with pytest.raises(ValueError, match="contains no images"):
        find_frames(FrameFolder(tmp_path, fps=25))
