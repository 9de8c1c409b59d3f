"""Makes `images/report.png`: the report page of a real clip, as README and site show it.

    python docs/make_report_picture.py

The clip is by Wolfgang Langer on Pexels, and is read out of a pinned package. Needs Chromium and playwright.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from microemo import EmotionAnalyzer
from microemo.spaces_demo.examples import EXAMPLES

PICTURE = Path(__file__).parent / "images" / "report.png"
MOMENT_SECONDS = 15.0
WIDTH, HEIGHT = 1280, 960
SEEK = "at => { document.querySelector('microemo-report').shadowRoot.querySelector('video').currentTime = at }"
COLOURS = 160  # of the palette, for a small file


def main() -> None:
    """Writes the picture."""
    clip = next(example for example in EXAMPLES if example.package is not None).fetch()
    with tempfile.TemporaryDirectory() as scratch:
        page = EmotionAnalyzer.from_pretrained()(clip, mode="scores").save(Path(scratch, "report.html"))
        photograph(page)
    with Image.open(PICTURE) as picture:
        picture.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


def photograph(report: Path) -> None:
    """The top of the page, with the video at `MOMENT_SECONDS`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_timeout(1500)
        page.evaluate(SEEK, MOMENT_SECONDS)
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
