"""The demo as a visitor sees it: a real browser, a real server, a tiny model. Skipped where there is no Chromium."""

import csv
import io
import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import pysubs2
import pytest
from browser import needs_browser, open_browser
from demo_models import quick_report

from microemo.inference.report.report import EmotionReport

pytestmark = needs_browser
EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
SECONDS = 1000  # of playwright's timeouts, which are milliseconds
PATIENCE = 25 * SECONDS  # a page opens in 3 s and an analysis takes 5 s where nothing else runs


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(camera=_film(tmp_path_factory.mktemp("camera") / "face.mjpeg")) as browser:
        yield browser


def _film(path):
    """The example as a webcam's pictures."""
    with av.open(str(EXAMPLE)) as example, path.open("wb") as film:
        for frame in islice(example.decode(video=0), 60):
            frame.to_image().save(film, format="JPEG")
    return path


@pytest.fixture
def visit(browser, server):
    """Opens the demo as a new visitor: `visit(width=...)`. It must raise nothing and ask nobody else for anything."""
    contexts, troubles = [], []

    def note(request):
        if request.url.startswith("http") and not request.url.startswith(server.address):
            troubles.append(request.url)

    def build(*, width=1280, color_scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", note)
        page.goto(server.address)
        page.get_by_text("Click to Upload").first.wait_for()  # the last part of the page to come to life
        return page

    yield build
    for context in contexts:
        context.close()
    assert not troubles


def choose(page, clip, transcript=None):
    """Uploads the files and consents."""
    page.locator("#clip input[type=file]").set_input_files(str(clip))
    page.locator("#clip video").wait_for()
    if transcript is not None:
        page.get_by_text("Add a transcript").click()
        page.locator("#transcript input[type=file]").set_input_files(str(transcript))
        # The list of received files; the name stands in one text only while the file is on its way.
        page.locator("#transcript").get_by_label(transcript.name).wait_for()
    page.locator("#consent input").check()


def analyse(page):
    """Clicks, and returns when the report is complete."""
    page.locator("#analyse").click()
    page.locator(".downloads a").first.wait_for()


def saved(page, name):
    """The text of a download."""
    with page.expect_download() as download:
        page.locator(".downloads").get_by_text(name, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")


def wait_until_at(page, seconds):
    page.wait_for_function(
        """seconds => {
            const video = document.querySelector("microemo-report").shadowRoot.querySelector("video");
            return video.readyState > 0 && !video.seeking && Math.abs(video.currentTime - seconds) < 0.02;
        }""",
        arg=seconds,
    )


def leftovers(server):
    """Videos and transcripts that Gradio still keeps."""
    return [path for path in server.uploads.rglob("*") if path.suffix in (".mp4", ".webm", ".json")]


def test_from_upload_to_files(visit, server, clip, transcript, model_folder, monkeypatch):
    page = visit()
    choose(page, clip, transcript)
    analyse(page)

    # An event seeks, in the player's own copy of the video, for the server has none any more.
    page.wait_for_function("() => document.querySelector('#clip video') === null")
    assert leftovers(server) == []
    wait_until_at(page, 0.4)
    event = page.locator(".event").first
    event.click()
    name, text = saved(page, "JSON")
    report = EmotionReport.from_json(text)
    assert name == "mine.json" and report.source == "mine.mp4"
    wait_until_at(page, report.summary.micro_expressions[0].apex_seconds)
    apex = page.get_by_role("button", name=f"apex {report.summary.micro_expressions[0].apex_seconds:.2f} s")
    assert apex.first.is_visible() and page.locator(".box rect").count() == 2

    # The demo is the library: the same bytes but for the timings.
    monkeypatch.chdir(clip.parent)
    own = quick_report(model_folder, clip.name, transcript=transcript.name, mode="explain")
    assert replace(report, timings=()).to_json() == replace(own, timings=()).to_json()

    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV")[1])))
    assert [row["text"] for row in rows] == ["I am not nervous.", "I love it!"]
    faces = list(csv.DictReader(io.StringIO(saved(page, "FACES.CSV")[1])))
    assert len(faces) == len(report.face_curves[0].times)
    for kind in ("SRT", "VTT"):
        cues = pysubs2.SSAFile.from_string(saved(page, kind)[1], format_=kind.lower())
        assert [cue.start for cue in cues] == [400, 4400]
    name, html = saved(page, "HTML")
    assert name == "mine.html" and 'data-media="data:video/mp4;base64,' in html
    offline = clip.parent / name
    offline.write_text(html, encoding="utf-8")
    page.goto(offline.as_uri())
    page.locator(".event").last.click()
    wait_until_at(page, report.summary.micro_expressions[-1].apex_seconds)


def test_an_example_needs_one_click_and_shows_its_steps(visit, server):
    page = visit()
    page.get_by_role("button", name="“I am not nervous”").click()
    steps, downloads = page.locator(".steps"), page.locator(".downloads a").first
    shown = set()  # a step may be over before a certain one could be waited for
    until = time.monotonic() + 60
    while not downloads.is_visible() and time.monotonic() < until:
        shown.update(steps.all_inner_texts() if steps.first.is_visible() else [])
        page.wait_for_timeout(20)
    assert any(shown), "the steps were shown meanwhile"
    page.locator(".plot.expressions").first.wait_for()
    wait_until_at(page, 0.0)  # nothing is recognised: one utterance from the start on
    assert page.locator(".steps").is_hidden() and leftovers(server) == []


def test_a_webcam_recording_is_analysed(visit, server):
    page = visit()
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    record = page.get_by_label("start recording")
    record.click()
    page.wait_for_timeout(2 * SECONDS)
    record.click()
    player = page.locator("#clip video[src]")
    player.wait_for()
    sources = page.locator("#clip").get_by_label("Capture from camera").bounding_box()
    clip = page.locator("#clip").bounding_box()
    assert sources["y"] + sources["height"] <= clip["y"] + clip["height"], "the choice of sources stays in sight"
    page.locator("#consent input").check()
    analyse(page)
    report = EmotionReport.from_json(saved(page, "JSON")[1])
    assert report.face_curves[0].times and report.duration_seconds > 1.0
    assert leftovers(server) == []


def test_what_is_no_video_is_said_before_any_work(visit, server, tmp_path):
    fake = tmp_path / "notes.mp4"
    fake.write_text("These are my notes.")
    page = visit()
    page.locator("#clip input[type=file]").set_input_files(str(fake))
    page.get_by_role("alert").get_by_text("notes.mp4 is not a readable video").wait_for()
    assert leftovers(server) == []


def test_without_consent_nothing_starts_and_nothing_is_lost(visit, clip, transcript):
    page = visit()
    page.locator("#analyse").click()
    page.get_by_text("choose or record a clip first").wait_for()
    choose(page, clip, transcript)
    page.locator("#consent input").uncheck()
    page.locator("#analyse").click()
    page.get_by_text("confirm the statement").wait_for()
    missing = page.locator("#consent-missing")
    missing.wait_for()
    page.get_by_text("confirm the statement").wait_for(state="detached")
    assert missing.is_visible(), "it is said beside the box for as long as it is missing"
    page.locator("#consent input").check()
    missing.wait_for(state="hidden")
    analyse(page)


@pytest.mark.slow
def test_two_visitors_at_once_get_their_own(visit, clip, transcript, tmp_path):
    other_clip = clip.with_name("theirs.mp4")
    other_clip.write_bytes(clip.read_bytes())
    other_words = tmp_path / "theirs.json"
    other_words.write_text(json.dumps([{"start": 1.0, "end": 3.0, "text": "Somebody else."}]))
    one, other = visit(), visit()
    choose(one, clip, transcript)
    choose(other, other_clip, other_words)
    one.locator("#analyse").click()
    other.locator("#analyse").click()
    for page in (one, other):
        page.locator(".downloads a").first.wait_for()
    mine, theirs = (EmotionReport.from_json(saved(page, "JSON")[1]) for page in (one, other))
    assert (mine.source, theirs.source) == ("mine.mp4", "theirs.mp4")
    assert [one.text for one in mine.utterances] == ["I am not nervous.", "I love it!"]
    assert [one.text for one in theirs.utterances] == ["Somebody else."]


@pytest.mark.parametrize("color_scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_phone_shows_all_without_scrolling_sideways(visit, color_scheme):
    page = visit(width=360, color_scheme=color_scheme)
    page.get_by_role("button", name="Two flickers").click()
    page.locator(".downloads a").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("microemo-report").get_attribute("theme") == color_scheme


def test_limits_consent_and_law_stand_on_the_page(visit):
    page = visit()
    for text in ("up to 20 s and 2 MB", "not use the result at work, in education", "prohibited in the EU", "deleted"):
        page.get_by_text(text).first.wait_for()
