"""Requests that reach for more than an upload: addresses, other paths, odd names, limits; on the real server."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from microemo.spaces_demo.server_files import remove_abandoned
from microemo.spaces_demo.uploads_only import NOT_FETCHED, is_address

PATIENCE_SECONDS = 60


@pytest.fixture
def inside():
    """A server that no visitor may reach through the demo: its address, and the requests that came."""
    came = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            came.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", came
    server.shutdown()
    server.server_close()


def ask(server, path, *, url=None, transcript=None):
    """The event stream of a call of `/analyze`."""
    video = {"path": path, "meta": {"_type": "gradio.FileData"}, **({"url": url} if url else {})}
    address = f"{server.address}gradio_api/call/analyze"
    answer = httpx.post(
        address, json={"data": [video, transcript, "scores", "speaker", True]}, timeout=PATIENCE_SECONDS
    )
    if answer.status_code != 200:
        return f"event: error {answer.status_code}"
    return httpx.get(f"{address}/{answer.json()['event_id']}", timeout=PATIENCE_SECONDS).text


def upload(server, name: str, content: bytes = b"x") -> httpx.Response:
    return httpx.post(f"{server.address}gradio_api/upload", files={"files": (name, content)}, timeout=PATIENCE_SECONDS)


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def everything_stored(server) -> set[Path]:
    """All files of visitors; the pictures of the page's buttons lie among the uploads too."""
    found = (*server.uploads.rglob("*"), *server.requests.rglob("*"))
    return {path for path in found if path.is_file() and path.suffix != ".jpg"}


@pytest.mark.parametrize(
    "form",
    [
        "http://{}/clip.mp4",
        "HTTP://{}/clip.mp4",
        "http://localhost:{port}/clip.mp4",
        "http://0x7f000001:{port}/clip.mp4",
        "http://[::ffff:127.0.0.1]:{port}/clip.mp4",
        "ftp://{}/clip.mp4",
        "file:///etc/passwd",
    ],
)
def test_no_address_is_fetched(server, inside, form):
    place, came = inside
    address = form.format(place, port=place.rpartition(":")[2])
    for stream in (ask(server, address), ask(server, address, url=address)):
        assert "event: error" in stream and "event: complete" not in stream
    assert came == []


def test_a_public_address_is_not_even_looked_up(server, monkeypatch):
    def look_up(*arguments, **keywords):
        raise AssertionError(f"looked up {arguments}")

    stored = everything_stored(server)
    with monkeypatch.context() as patch:
        patch.setattr("safehttpx.async_validate_url", look_up)
        for address in ("http://example.com/clip.mp4", "http://169.254.169.254/latest/meta-data/"):
            stream = ask(server, address)
            assert NOT_FETCHED in stream or "event: error" in stream
    assert everything_stored(server) == stored


@pytest.mark.parametrize("path", ["gradio_api/file=", "file=", "gradio_api/proxy=", "gradio_api/file=%20"])
@pytest.mark.parametrize("form", ["http://{}/x", "http%3A%2F%2F{}/x", "http%253A%252F%252F{}/x", "hTTp://{}/x"])
def test_the_server_is_no_proxy(server, inside, path, form):
    place, came = inside
    answer = httpx.get(f"{server.address}{path}{form.format(place)}", timeout=PATIENCE_SECONDS)
    assert answer.status_code in (400, 403, 404) and b"secret" not in answer.content and came == []


def test_what_an_address_is():
    addresses = ("http://a/b", " https://a", "FILE:/etc/passwd", "file:///x", "ftp://x", "gopher://x")
    assert all(is_address(text) for text in addresses)
    assert not any(is_address(text) for text in ("/tmp/a.mp4", "C:/clips/a.mp4", "a: b/c.mp4", "clip.mp4", "12:30/x"))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{uploads}/../../../etc/passwd",
        "{uploads}/x/../../../secret.mp4",
        "/proc/self/environ",
        "{uploads}/\x00.mp4",
        "{uploads}/" + "a" * 5000 + ".mp4",
        "",
        ".",
    ],
)
def test_other_paths_are_refused(server, path):
    stream = ask(server, path.format(uploads=server.uploads))
    assert "event: error" in stream and "event: complete" not in stream and "root:" not in stream


def test_a_link_among_the_uploads_leads_nowhere(server, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(b"root:secret")
    link = server.uploads / "link.mp4"
    link.symlink_to(tmp_path / "secret.mp4")
    try:
        stream = ask(server, str(link))
        assert "event: error" in stream and "root:" not in stream
        assert (tmp_path / "secret.mp4").read_bytes() == b"root:secret"
        answer = httpx.get(f"{server.address}gradio_api/file={link}")
        assert answer.status_code in (403, 404) or b"root:" not in answer.content
    finally:
        link.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "name",
    ["../../escape.mp4", "/etc/x.mp4", "..", "a\x00b.mp4", "x" * 5000 + ".mp4", "<script>.mp4", "\u202e4pm.mp4"],
)
def test_names_of_uploads_stay_in_the_folder_of_uploads(server, name):
    answer = upload(server, name)
    assert answer.status_code in (200, 400, 413, 422, 500)
    for path in answer.json() if answer.status_code == 200 else ():
        assert Path(path).resolve().is_relative_to(server.uploads.resolve())
        assert len(Path(path).name.encode()) <= 255
        Path(path).unlink()


def test_a_large_upload_is_cut_off_and_leaves_nothing(server):
    stored = everything_stored(server)
    answer = upload(server, "large.mp4", bytes(3 << 20))
    assert answer.status_code == 413
    assert everything_stored(server) == stored


def test_a_broken_off_upload_leaves_nothing(server):
    remove_abandoned(server.uploads, silent_seconds=0)  # what other tests left
    stored = everything_stored(server)
    host, _, port = server.address.removeprefix("http://").strip("/").partition(":")
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\nhalf a face'
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode())
        wait_until(lambda: len(everything_stored(server)) > len(stored))
    remove_abandoned(server.uploads, silent_seconds=0)
    assert everything_stored(server) <= stored


def test_an_answer_leaves_no_file_at_all(server, clip, transcript):
    stored = everything_stored(server)
    (video,), (words,) = (upload(server, path.name, path.read_bytes()).json() for path in (clip, transcript))
    stream = ask(server, video, transcript={"path": words, "meta": {"_type": "gradio.FileData"}})
    assert "event: complete" in stream
    assert all(path.stat().st_size == 0 for path in everything_stored(server) - stored)
    remove_abandoned(server.uploads, silent_seconds=0)
    assert everything_stored(server) <= stored
