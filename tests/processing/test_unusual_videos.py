"""Videos of phones, cameras and editing programs, read with the default detector."""

import cv2
import numpy as np
import pytest
from synthetic_faces import RedSquareDetector, background, drifting_portrait, place, portrait
from synthetic_media import moving_squares, rotate_display, tone, write_video
from tiny_processor import tiny_recognizer

from microemo.processing.clip_reading import ClipReader
from microemo.processing.reading_settings import ReadingSettings

SETTINGS = ReadingSettings(num_frames=4, frame_size=96)


def read(path, *, detector="centerface", recognizer=None, settings=SETTINGS, **how):
    (clip,) = ClipReader(settings, detector=detector, recognizer=recognizer).read(path, **how)
    return clip


def still(picture, *, count=8):
    return np.repeat(picture[None], count, axis=0)


def test_portrait_phone_video(tmp_path):
    upright = drifting_portrait(count=8).transpose(0, 2, 1, 3)[:, :, ::-1]  # stored rotated by 90 degrees
    clip = read(rotate_display(write_video(tmp_path / "phone.mp4", upright), clockwise_degrees=270))
    assert clip.frames.shape[1:3] == (96, 128) and len(clip.tracks) == 1
    eyes, mouth = clip.tracks[0].landmarks[0][:2], clip.tracks[0].landmarks[0][3:]
    assert eyes[:, 1].max() < mouth[:, 1].min() and len(clip.face_crops) >= 4


def test_slow_motion_is_sampled_sparsely(tmp_path):
    path = write_video(tmp_path / "slow.mp4", moving_squares(count=240), frame_rate=240)
    clip = read(path, detector=RedSquareDetector(), settings=ReadingSettings(num_frames=4, min_face_size=8))
    assert clip.end_seconds == pytest.approx(1.0, abs=1e-3) and clip.warnings == ()
    assert len(clip.face_times) == pytest.approx(15, abs=1)
    np.testing.assert_allclose(clip.face_times * 240, np.round(clip.face_times * 240), atol=0.02)
    dense = ReadingSettings(num_frames=4, min_face_size=8, face_fps=240)
    assert len(read(path, detector=RedSquareDetector(), settings=dense).face_times) == 240


def test_4k_video(tmp_path):
    path = write_video(tmp_path / "4k.mp4", still(moving_squares(count=1, height=2160, width=3840)[0], count=2))
    clip = read(path, detector=RedSquareDetector(), settings=ReadingSettings(num_frames=2, frame_size=224))
    assert clip.frames.shape[1:3] == (224, 398)
    box = clip.tracks[0].boxes[0]
    np.testing.assert_allclose(box[2:] - box[:2], 540, atol=12)  # in pixels of the video, not of the decoded frames


def test_a_black_first_frame(tmp_path):
    frames = drifting_portrait(count=12)
    frames[0] = 0
    clip = read(write_video(tmp_path / "black.mp4", frames))
    assert len(clip.tracks) == 1 and clip.face_times[0] == pytest.approx(0.04, abs=0.1) and clip.face_times[0] > 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_of_100_ms(tmp_path, suffix):
    path = write_video(tmp_path / f"short{suffix}", drifting_portrait(count=3), waveform=tone(seconds=0.1))
    clip = read(path, recognizer=tiny_recognizer())
    assert len(clip.frames) == 3 and len(clip.face_crops) >= 1 and len(clip.utterances) == 1
    assert clip.end_seconds == pytest.approx(0.12, abs=0.1)


def cartoon():
    picture = background()
    cv2.circle(picture, (160, 120), 80, (255, 220, 60), -1)
    for x in (130, 190):
        cv2.circle(picture, (x, 100), 14, (255, 255, 255), -1)
        cv2.circle(picture, (x, 100), 6, (0, 0, 0), -1)
    cv2.ellipse(picture, (160, 140), (40, 25), 0, 0, 180, (180, 20, 20), -1)
    return picture


def masked():
    face = portrait()
    cv2.rectangle(face, (96, 82), (150, 120), (170, 200, 220), -1)
    picture = background()
    place(face, on=picture, left=60, top=20)
    return picture


def mirrors():
    """A person between two mirrors."""
    picture = background(height=240, width=640)
    place(portrait(), on=picture, left=220, top=30)
    for left in (10, 430):
        place(np.ascontiguousarray(portrait()[:, ::-1]), on=picture, left=left, top=30)
    return picture


def test_a_drawn_face(tmp_path):
    clip = read(write_video(tmp_path / "cartoon.mp4", still(cartoon())))
    assert len(clip.frames) == 4
    assert clip.missing_reasons.get("faces") == "no face found" if clip.face_crops is None else len(clip.tracks) == 1


def test_a_masked_face(tmp_path):
    clip = read(write_video(tmp_path / "mask.mp4", still(masked())))
    assert len(clip.tracks) == 1 and len(clip.face_crops) >= 4


def test_reflections_are_separate_people(tmp_path):
    clip = read(write_video(tmp_path / "mirrors.mp4", still(mirrors())))
    assert len(clip.tracks) == 3
    middles = sorted(float(track.boxes[:, [0, 2]].mean()) for track in clip.tracks)
    assert all(np.ptp(track.boxes[:, 0]) < 10 for track in clip.tracks), "nobody changes places"
    np.testing.assert_allclose(np.diff(middles), 210, atol=25)
    attended = {index for index in clip.utterance_track_ids if index is not None}
    assert len(attended) == 1
