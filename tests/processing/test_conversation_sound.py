"""Audio of a conversation: arrays are unchanged, files are read, videos add their audio."""

import numpy as np
import pytest
from synthetic_media import moving_squares, tone, write_video

from microemo.processing.conversation_sound import with_sound

RATE = 16_000


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("media") / "clip.mp4", moving_squares(), waveform=tone(seconds=1.0))


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("media") / "silent.mp4", moving_squares())


def read(*blocks, from_videos=False):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": list(blocks)}]
    system, user = with_sound(messages, sampling_rate=RATE, from_videos=from_videos)
    assert system == messages[0]
    return user["content"]


@pytest.mark.parametrize("key", ["audio", "path", "url"])
def test_a_file_becomes_its_waveform(video, key):
    text = {"type": "text", "text": "How?"}
    block, unchanged = read({"type": "audio", key: str(video)}, text)
    assert unchanged is text
    assert block["type"] == "audio"
    assert block["audio"].dtype == np.float32
    assert len(block["audio"]) == pytest.approx(RATE, rel=0.1)
    assert np.abs(block["audio"]).max() > 0.05


def test_arrays_are_unchanged(video):
    waveform = np.zeros(100, dtype=np.float32)
    blocks = [{"type": "audio", "audio": waveform}, {"type": "video", "video": np.zeros((2, 4, 4, 3))}]
    assert all(after is before for after, before in zip(read(*blocks, from_videos=True), blocks, strict=True))


def test_audio_of_videos_is_added_on_request(video):
    block = {"type": "video", "path": video}
    assert read(block) == [block]
    first, second = read(block, from_videos=True)
    assert first is block
    assert second["type"] == "audio" and len(second["audio"]) == pytest.approx(RATE, rel=0.1)


def test_an_empty_audio_block_takes_the_videos_audio(video):
    blocks = read({"type": "video", "path": video}, {"type": "audio"}, {"type": "text", "text": "?"}, from_videos=True)
    assert [block["type"] for block in blocks] == ["video", "audio", "text"]
    assert len(blocks[1]["audio"]) == pytest.approx(RATE, rel=0.1)


def test_silent_videos_add_no_audio(silent):
    blocks = read(
        {"type": "video", "path": silent}, {"type": "audio"}, {"type": "text", "text": "?"}, from_videos=True
    )
    assert [block["type"] for block in blocks] == ["video", "text"]


def test_silent_files_in_audio_blocks_are_refused(silent):
    with pytest.raises(ValueError, match="the audio block's file has no audio: .*silent.mp4"):
        read({"type": "audio", "path": str(silent)})


def test_the_input_messages_are_not_modified(video):
    messages = [{"role": "user", "content": [{"type": "audio", "path": str(video)}]}]
    with_sound(messages, sampling_rate=RATE, from_videos=True)
    assert messages == [{"role": "user", "content": [{"type": "audio", "path": str(video)}]}]
