"""A headless Chromium for tests of pages; they skip where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

try:
    from playwright.sync_api import Browser, sync_playwright
except ImportError:
    sync_playwright = None

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAUNCH_MILLISECONDS = 120_000  # for machines that do much else
ARGUMENTS = ["--no-sandbox"]
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or sync_playwright is None,
    reason="needs Chromium and playwright (apt-get install chromium, pip install playwright)",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser that knows no pages yet."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=LAUNCH_MILLISECONDS)
        try:
            yield browser
        finally:
            browser.close()
