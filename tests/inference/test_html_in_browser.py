"""The one-file page in a real browser, offline; skipped where there is no Chromium."""

from dataclasses import replace

import numpy as np
import pytest
from browser import needs_browser, open_browser
from synthetic_media import moving_squares, tone, write_video

pytestmark = needs_browser
PATIENCE = 120_000  # ms, for machines that do much else
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def clip(tmp_path):
    """Five seconds, as long as the report's."""
    frames = np.repeat(moving_squares(count=5), 25, axis=0)
    return write_video(tmp_path / "clip.mp4", frames, waveform=tone(seconds=5.0))


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a saved report: `open_page(report, width=..., color_scheme=...)`; the page must not raise or call home."""
    contexts, troubles = [], []

    def build(report, *, width=1280, color_scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
        page.goto(report.save(tmp_path / "page.html").as_uri())
        return page

    yield build
    for context in contexts:
        context.close()
    assert not troubles


def wait_until_at(page, seconds):
    """Returns when the player stands at `seconds`."""
    page.wait_for_function(
        """seconds => {
            const video = document.querySelector("microemo-report").shadowRoot.querySelector("video");
            return !video.seeking && Math.abs(video.currentTime - seconds) < 0.02;
        }""",
        arg=seconds,
    )


def test_everything_is_drawn(report, open_page):
    page = open_page(report)
    assert page.title() == "clip.mp4 - MicroEmo" and page.locator("article").count() == 3
    assert page.get_by_text("“Of course.”").is_visible()
    assert page.locator("#axis").get_attribute("aria-valuenow") == "0.4"  # the cursor stands at the first utterance
    assert page.locator(".plot.expressions").count() == page.locator(".plot.micro").count() == 1
    assert page.locator(".pictures img").count() == 1
    assert page.get_by_text("The video is not where it was").is_visible()  # there is no clip.mp4


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("Micro-expression of happiness: onset 0.90 s, apex 1.00 s, offset 1.20 s, score 0.83", 1.0),
        ("onset 0.90 s", 0.9),
        ("offset 1.20 s", 1.2),
        ("☺ happiness 0.91 from 0.6 s on0.60 s", 0.6),
        ("Utterance 2, 0:03.1 – 0:04.5, Ben", 3.1),
        ("Face 1 at 1.00 s ◆ 1.00 s", 1.0),
    ],
)
def test_a_click_takes_the_player_there(report, clip, open_page, name, seconds):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    page.get_by_role("button", name=name, exact=True).click()
    wait_until_at(page, seconds)
    assert float(page.locator("#axis").get_attribute("aria-valuenow")) == pytest.approx(seconds, abs=0.051)


def test_a_click_between_things_seeks_too(report, clip, open_page):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    box = page.locator(".plot.expressions").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 10)
    wait_until_at(page, 4.0)


def test_the_keyboard_is_enough(report, clip, open_page):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    for key, seconds in (("n", 3.1), ("ArrowRight", 3.2), ("p", 3.1), ("p", 0.4), ("PageDown", 5.0)):
        page.keyboard.press(key)
        wait_until_at(page, seconds)
    page.locator("#axis").focus()
    page.keyboard.press("Home")
    wait_until_at(page, 0.0)
    names = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.shadowRoot?.activeElement?.textContent"))
    assert {"▶ Play", "CC", "apex 1.00 s"} <= names


def test_the_cursor_follows_the_playing_video(report, clip, open_page):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    page.locator("video").evaluate("video => { video.muted = true; }")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('microemo-report').moment > 0.7")
    assert page.get_by_role("button", name="Play or pause").text_content() == "❚❚ Pause"


def test_captions_are_the_reports(report, clip, open_page):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    page.wait_for_function(
        "() => document.querySelector('microemo-report').shadowRoot.querySelector('track').track.cues?.length === 2"
    )
    texts = page.locator("track").evaluate("track => [...track.track.cues].map(cue => cue.text)")
    assert texts[0].startswith("<v Anna>You came back.") and "happy, relieved" in texts[0]
    page.keyboard.press("c")
    assert page.locator("track").evaluate("track => track.track.mode") == "disabled"


def test_the_attended_face_has_a_box(report, clip, open_page):
    (face,) = report.face_curves
    boxed = replace(face, boxes=tuple((30, 10, 90, 80) for _ in face.times))
    page = open_page(replace(report, source=str(clip), face_curves=(boxed,)))
    wait_until_at(page, 0.4)
    frame = page.locator(".box rect").last
    assert [frame.get_attribute(name) for name in ("x", "y", "width", "height")] == ["30", "10", "60", "70"]
    assert page.locator(".box text").text_content() == "neutral 0.95"
    page.keyboard.press("n")  # the second speaker is not in the picture
    wait_until_at(page, 3.1)
    assert page.locator(".box rect").count() == 0


def test_a_later_report_keeps_the_video_and_the_moment(report, clip, open_page):
    page = open_page(replace(report, source=str(clip)))
    wait_until_at(page, 0.4)
    page.keyboard.press("n")
    wait_until_at(page, 3.1)
    page.evaluate(
        """() => {
            const view = document.querySelector("microemo-report");
            view.before = view.shadowRoot.querySelector("video");
            view.report = { ...view.report, warnings: ["news"] };
        }"""
    )
    assert page.evaluate("view.before === view.shadowRoot.querySelector('video') && view.moment") == 3.1
    assert page.get_by_text("⚠ news").is_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(report, clip, open_page, color_scheme):
    page = open_page(replace(report, source=str(clip)), width=360, color_scheme=color_scheme)
    wait_until_at(page, 0.4)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    ink, paper = page.evaluate(
        """["color", "background-color"].map(name => getComputedStyle(
            document.querySelector("microemo-report").shadowRoot.querySelector("article")).getPropertyValue(name))"""
    )
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (color_scheme == "dark") and abs(brightness[0] - brightness[1]) > 400


def test_words_stay_words(report, open_page):
    evil = replace(report.utterances[0], text=EVIL, speaker=EVIL, description=EVIL)
    page = open_page(replace(report, utterances=(evil,), warnings=(EVIL,), source=f"/no/{EVIL.replace('/', '')}.mp4"))
    assert page.title().endswith("- MicroEmo") and page.title() != "owned"
    assert page.get_by_text(EVIL, exact=True).count() >= 2
    assert page.locator("img:not([src^='data:image/jpeg'])").count() == 0
