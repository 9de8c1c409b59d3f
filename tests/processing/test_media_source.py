import io
import os
import threading
import time
import types
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_media import frame_number, moving_squares, write_video

from microemo.processing.media_source import VideoArray, local_file, source_name
from microemo.processing.video_reading import open_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", moving_squares(count=10))


@pytest.fixture
def server(video):
    content = video.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/to="):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to="))
                self.end_headers()
                return
            if self.path == "/endless.mp4":
                self.send_response(200)
                self.end_headers()
                with suppress(ConnectionError):
                    while True:
                        self.wfile.write(bytes(1000))
                        time.sleep(0.01)
                return
            if self.path == "/missing.mp4":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: 100 if self.path == "/short.mp4" else None])

        def log_message(self, *message):
            """Quiet."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def test_every_kind_of_source_gives_the_same_video(video, server):
    content = video.read_bytes()
    for source in (video, str(video), content, bytearray(content), io.BytesIO(content), f"{server}/clip.mp4"):
        with open_video(source) as reader:
            assert len(reader) == 10


class Decoder:
    """As torchcodec's `VideoDecoder`, of which it has the method that reads all frames."""

    def __init__(self, frames, times):
        self.frames, self.times = frames, times

    def get_all_frames(self):
        data = torch.from_numpy(self.frames).permute(0, 3, 1, 2)
        return types.SimpleNamespace(data=data, pts_seconds=torch.from_numpy(self.times))


def test_what_data_sets_hold(video):
    content = video.read_bytes()
    decoded = Decoder(moving_squares(count=10), np.arange(10) / 25)
    from_column = Decoder(moving_squares(count=3), np.arange(3) / 25)
    from_column._hf_encoded = {"path": str(video), "bytes": None}  # as `datasets` leaves it on a decoder
    for source, name in (
        ({"path": None, "bytes": content}, "bytes"),
        ({"path": "a/b.mp4", "bytes": content}, "a/b.mp4"),
        ({"path": str(video), "bytes": None}, str(video)),
        (memoryview(content), "bytes"),
        (video.as_uri(), video.as_uri()),
        (from_column, str(video)),
        (decoded, "Decoder"),
    ):
        with open_video(source) as reader:
            assert [frame_number(picture) for _, batch in reader.read(range(10)) for picture in batch] == [*range(10)]
        assert source_name(source) == name
    with pytest.raises(ValueError, match="both are None"):
        open_video({"path": None, "bytes": None})


def test_addresses_of_files_are_unquoted(video):
    spaced = video.rename(video.with_name("my clip#1.mp4"))
    with local_file(spaced.as_uri()) as path:
        assert path == spaced


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_a_pipe_is_read_to_its_end(video, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(video.read_bytes()), daemon=True)
    writer.start()
    with open_video(pipe) as reader:
        assert len(reader) == 10
    writer.join(timeout=5)
    assert not writer.is_alive()


def test_an_open_file_on_disk(video):
    with video.open("rb") as file, open_video(file) as reader:
        assert len(reader) == 10


def test_what_was_downloaded_is_removed(server):
    with local_file(f"{server}/clip.mp4") as path:
        assert path.stat().st_size > 0
    assert not path.exists()


def test_users_own_file_stays(video):
    with local_file(video):
        pass
    assert video.exists()


def test_failed_downloads_say_why(server):
    with (
        pytest.raises(OSError, match=r"missing\.mp4 could not be downloaded: .*404"),
        local_file(f"{server}/missing.mp4"),
    ):
        pass
    with pytest.raises(OSError, match=r"ended after 100 of \d+ bytes"), local_file(f"{server}/short.mp4"):
        pass


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/clip.mp4", "file:///etc/passwd", "data:,x"])
def test_an_address_leads_to_web_addresses_alone(server, target):
    with pytest.raises(OSError, match="could not be downloaded"), local_file(f"{server}/to={target}"):
        pass
    with local_file(f"{server}/to=/clip.mp4") as path:
        assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("LARGEST_DOWNLOAD_BYTES", 5000, "larger than 5000 bytes"),
        ("LONGEST_DOWNLOAD_SECONDS", 0.1, "took more than 0 s"),
    ],
)
def test_a_download_without_end_is_given_up(server, monkeypatch, tmp_path, limit, value, message):
    monkeypatch.setattr(f"microemo.processing.media_source.{limit}", value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match=message), local_file(f"{server}/endless.mp4"):
        pass
    assert not any(path.is_dir() and path.name.startswith("microemo-") for path in tmp_path.iterdir())


def test_missing_empty_and_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*nowhere\.mp4"):
        open_video(tmp_path / "nowhere.mp4")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty \(0 bytes\)"):
        open_video(empty)
    with pytest.raises(ValueError, match=r"bytes is empty \(0 bytes\)"):
        open_video(b"")
    text = tmp_path / "text.mp4"
    text.write_text("This is not a video.\n" * 100)
    with pytest.raises(ValueError, match=r"text\.mp4 is not a readable video or audio file \([^;]*\)$"):
        open_video(text)
    with pytest.raises(ValueError, match=r"source .* is a folder; name a file in it"):
        open_video(tmp_path)
    with pytest.raises(ValueError, match="source must be a path, URL, bytes, open file or VideoArray, got int"):
        open_video(7)


def test_source_name(video):
    assert source_name(video) == str(video)
    assert source_name(b"abc") == "bytes"
    assert source_name(io.BytesIO()) == "BytesIO"
    assert source_name(Path("a/b.mp4")) == str(Path("a/b.mp4"))


FRAMES = np.zeros((3, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": FRAMES.astype(float)}, "frames must be"),
        ({"frames": FRAMES[0]}, "frames must be"),
        ({"frames": FRAMES[:0], "times": np.zeros(0)}, "at least one frame"),
        ({"times": np.arange(2.0)}, r"times must have shape \(3,\)"),
        ({"times": np.array([0.0, 0.0, 1.0])}, "times must be finite, >= 0 and increase"),
        ({"times": np.array([0.0, 1.0, np.nan])}, "times must be finite"),
        ({"waveform": np.zeros((4, 2))}, "waveform must be mono"),
        ({"sampling_rate": 0}, "sampling_rate must be >= 1"),
    ],
)
def test_video_array_checks_itself(arguments, message):
    with pytest.raises(ValueError, match=message):
        VideoArray(**{"frames": FRAMES, "times": np.arange(3.0), **arguments})
