"""Face times are stored frame times and increase, for any video."""

import contextlib

import av
import numpy as np
import pytest
from PIL import Image
from synthetic_faces import RedSquareDetector
from synthetic_media import cut_file, join_files, moving_squares, rotate_display, tone, write_interlaced, write_video

from microemo.processing.clip_reading import ClipReader
from microemo.processing.frame_folder import FrameFolder
from microemo.processing.reading_settings import ReadingSettings

COUNT = 40
FRAMES = moving_squares(count=COUNT)
VARIABLE = np.cumsum(np.where(np.arange(COUNT) % 3 == 0, 0.09, 0.021))


def plain(folder, suffix=".mp4", **how):
    return write_video(folder / f"clip{suffix}", FRAMES, waveform=tone(seconds=1.0), **how)


def joined(folder):
    part = write_video(folder / "part.ts", FRAMES)
    return join_files(folder / "joined.ts", part, part)


def webp(folder):
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    pictures[0].save(folder / "a.webp", save_all=True, append_images=pictures[1:], duration=[30, 90] * (COUNT // 2))
    return folder / "a.webp"


def frame_folder(folder):
    for number, frame in enumerate(FRAMES):
        if number != 17:
            Image.fromarray(frame).save(folder / f"img{number}.png")
    return FrameFolder(folder, fps=200)


SOURCES = {
    "even": lambda folder: plain(folder),
    "variable": lambda folder: plain(folder, times=VARIABLE),
    "variable mkv": lambda folder: plain(folder, ".mkv", times=VARIABLE),
    "transport stream": lambda folder: plain(folder, ".ts"),
    "avi": lambda folder: plain(folder, ".avi"),
    "starts at an hour": lambda folder: plain(
        folder, ".mkv", times=3600 + np.arange(COUNT) / 25, audio_start_seconds=3600
    ),
    "rotated": lambda folder: rotate_display(plain(folder), clockwise_degrees=90),
    "slow motion": lambda folder: plain(folder, frame_rate=240),
    "cut": lambda folder: cut_file(plain(folder, moov_first=True), part=0.7),
    "interlaced": lambda folder: write_interlaced(folder / "a.mpg", FRAMES, FRAMES),
    "joined": joined,
    "animated webp": webp,
    "folder of frames": frame_folder,
}


def stored_times(source):
    """Times of all frames, computed independently of the package, relative to the file's start."""
    if isinstance(source, FrameFolder):
        return np.arange(COUNT) / 200
    if source.suffix == ".webp":
        return np.cumsum([0, *[0.03, 0.09] * (COUNT // 2)])[:-1]
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        zero = container.start_time / 1e6 if source.suffix in (".ts", ".mpg") or container.start_time > 1e6 else 0.0
        frames = []
        with contextlib.suppress(av.FFmpegError):  # the end of a cut file
            frames += (frame.time for frame in container.decode(stream))
    times = np.array(frames) - zero
    if source.name == "joined.ts":
        times[COUNT:] += COUNT / 25
    return times - times[0] if source.suffix == ".avi" else times


@pytest.mark.parametrize("kind", SOURCES)
def test_every_face_time_is_that_of_a_frame(tmp_path, kind):
    source = SOURCES[kind](tmp_path)
    settings = ReadingSettings(num_frames=4, frame_size=48, min_face_size=8, face_fps=100, detection_fps=50)
    (clip,) = ClipReader(settings, detector=RedSquareDetector()).read(source)
    assert len(clip.face_times) >= 15
    stored = stored_times(source)
    for track_id in np.unique(clip.face_track_ids):
        assert np.all(np.diff(clip.face_times[clip.face_track_ids == track_id]) > 0)
    distance = np.abs(clip.face_times[:, None] - stored).min(axis=1)
    assert distance.max() <= 0.001  # AVI and Matroska store milliseconds
