import numpy as np
import pytest
from synthetic_media import moving_squares, write_video

from microemo.spaces_demo.limits import Limits, check_person, check_transcript, check_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", np.repeat(moving_squares(count=1), 50, axis=0))  # two seconds


def test_a_clip_within_the_limits_is_taken(video):
    check_video(video, limits=Limits(max_seconds=3))


def test_a_long_clip_is_refused_with_both_numbers(video):
    with pytest.raises(ValueError, match=r"clip.mp4 lasts 2 s; this demo takes up to 1.5 s"):
        check_video(video, limits=Limits(max_seconds=1.5))


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    large = tmp_path / "clip.mp4"
    large.write_bytes(bytes(3 << 20))  # no video at all
    with pytest.raises(ValueError, match=r"has 3.0 MB; this demo takes up to 2 MB"):
        check_video(large, limits=Limits(max_megabytes=2))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("clip.exe", b"MZ", "no video that this demo takes: up to 90 s and 50 MB"),
        ("clip.mp4", b"", "is empty"),
        ("clip.mp4", b"plain text", "not a readable video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        check_video(tmp_path / name, limits=Limits())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("words.pdf", "%PDF", "no transcript that this demo takes: SRT"), ("words.json", "{broken", "words.json")],
)
def test_what_is_no_transcript_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        check_transcript(tmp_path / name, limits=Limits())


def test_a_person_is_a_rule_or_a_number():
    check_person(" 3 ")
    with pytest.raises(ValueError, match="person must be"):
        check_person("Anna")


def test_limits_are_stated_and_make_sense():
    assert Limits(max_seconds=20, max_megabytes=2).in_words().startswith("up to 20 s and 2 MB; mp4, mov")
    with pytest.raises(ValueError, match="max_seconds must be > 0, got 0"):
        Limits(max_seconds=0)
