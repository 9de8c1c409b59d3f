"""A headless Chromium for tests of pages; they skip where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

try:
    from playwright.sync_api import Browser, sync_playwright
except ImportError:
    sync_playwright = None

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAUNCH_MILLISECONDS = 120_000  # for machines that do much else
ARGUMENTS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or sync_playwright is None,
    reason="needs Chromium and playwright (apt-get install chromium, pip install playwright)",
)


@contextmanager
def open_browser(*, camera: Path | None = None) -> Iterator[Browser]:
    """A browser that knows no pages yet.

    Args:
        camera: a film of JPEG pictures (.mjpeg) that its webcam shows over and over; its microphone beeps.
    """
    arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={camera}"] if camera else ARGUMENTS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=LAUNCH_MILLISECONDS)
        try:
            yield browser
        finally:
            browser.close()
