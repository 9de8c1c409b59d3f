"""Downloads files from a Python package index over HTTPS, for environments without pip.

Uses the simple repository API (PEP 503, PEP 691), which has a page for each package with its files and their sha256.
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")  # the first that is set
JSON_PAGE = "application/vnd.pypi.simple.v1+json"
TIMEOUT_SECONDS = 30.0  # without receiving data
BLOCK_BYTES = 1 << 20


class PackageIndexError(OSError):
    """The index cannot be reached or does not list the file."""


@dataclass(frozen=True)
class IndexedFile:
    """A file in the index. sha256: None if not listed."""

    address: str
    sha256: str | None


def package_page(name: str, *, environment: Mapping[str, str] = os.environ) -> str:
    """Returns the address of a package's page on the index that uv or pip would use."""
    index = next((environment[name] for name in INDEX_VARIABLES if environment.get(name)), DEFAULT_INDEX)
    address = re.sub(r"^[\w.-]+=(?=\w+://)", "", index)  # uv allows "name=address"
    return f"{address.rstrip('/')}/{re.sub(r'[-_.]+', '-', name).lower()}/"


def find_file(name: str, filename: str) -> IndexedFile:
    """Looks up a file of a package.

    Raises `PackageIndexError` if the index cannot be reached or does not list the file.
    """
    page = package_page(name)
    with _open(page, accept=f"{JSON_PAGE}, text/html;q=0.5") as response:
        kind, text = response.headers.get_content_type(), response.read().decode("utf-8", errors="replace")
    files = _files_of_json(text) if kind.endswith("json") else _files_of_html(text)
    if filename not in files:
        raise PackageIndexError(f"{without_password(page)} lists no {filename}")
    address = urllib.parse.urljoin(page, files[filename].address)
    return IndexedFile(address, files[filename].sha256)


def download_file(file: IndexedFile, path: Path, *, report: Callable[[int], None]) -> None:
    """Downloads the file to `path`. `report` is called with the number of bytes so far.

    Raises `PackageIndexError` if the connection breaks.
    """
    done = 0
    with _open(file.address, accept="*/*") as response, path.open("wb") as sink:
        try:
            while block := response.read(BLOCK_BYTES):
                sink.write(block)
                done += len(block)
                report(done)
        except OSError as error:
            path.unlink()
            raise PackageIndexError(f"the connection broke after {done} bytes: {error}") from error


def without_password(address: str) -> str:
    """Removes user and password from an address."""
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(address: str, *, accept: str):
    parts = urllib.parse.urlsplit(address)
    headers = {"Accept": accept}
    if parts.username:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    request = urllib.request.Request(without_password(address), headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PackageIndexError(f"{without_password(address)} cannot be reached: {reason}") from error


def _files_of_json(text: str) -> dict[str, IndexedFile]:
    entries = json.loads(text).get("files", [])
    return {entry["filename"]: IndexedFile(entry["url"], entry.get("hashes", {}).get("sha256")) for entry in entries}


def _files_of_html(text: str) -> dict[str, IndexedFile]:
    page = _AnchorParser()
    page.feed(text)
    return page.files


class _AnchorParser(HTMLParser):
    """Collects the links on a package's page. The text of a link is the file name, the fragment its hash."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, IndexedFile] = {}
        self._link: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._link = dict(attributes).get("href")

    def handle_data(self, data: str) -> None:
        if self._link and data.strip():
            address, _, fragment = self._link.partition("#")
            self.files[data.strip()] = IndexedFile(address, fragment.removeprefix("sha256=") or None)
            self._link = None
