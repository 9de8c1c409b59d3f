import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from microemo.inference.report.html import to_html

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028{{media}}{{script}}"


class Page(HTMLParser):
    """Collects elements and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.scripts and self.lasttag == "script":
            self.scripts[-1] += data


@pytest.fixture
def evil_report(report):
    evil = replace(report.utterances[0], text=EVIL, speaker=EVIL, description=EVIL)
    return replace(report, utterances=(evil,), warnings=(EVIL,), source=f"/nowhere/{EVIL.replace('/', '')}.mp4")


def test_words_are_data_never_markup(report, evil_report):
    clean, evil = Page(to_html(report)), Page(to_html(evil_report))
    assert [tag for tag, _ in evil.elements] == [tag for tag, _ in clean.elements]
    assert len(evil.scripts) == 2
    assert evil.scripts[1] == clean.scripts[1]
    assert json.loads(evil.scripts[0])["utterances"][0]["text"] == EVIL


def test_the_script_sets_text_and_never_markup(report):
    script = Page(to_html(report)).scripts[1]
    assert "textContent" in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)


def test_the_page_needs_nothing_else(report):
    page = to_html(report)
    assert "{{" not in page.replace("${{", "")
    for tag, attributes in Page(page).elements:
        assert tag not in ("link", "iframe", "object")
        if tag == "script":
            assert "src" not in attributes
    assert not re.search(r"@import|url\(", page)


def media_of(page):
    """The address of the video in the page."""
    return next(attributes["data-media"] for tag, attributes in Page(page).elements if tag == "microemo-report")


def test_a_small_video_is_embedded(report, tmp_path):
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"not really a video")
    kind, _, content = media_of(to_html(replace(report, source=str(video)))).partition(";base64,")
    assert kind == "data:video/mp4" and base64.b64decode(content) == b"not really a video"


def test_a_large_video_is_referenced(report, tmp_path):
    video = tmp_path / "a clip.mp4"
    video.write_bytes(b"0123456789")
    page = to_html(replace(report, source=str(video)), largest_embedded_bytes=9)
    assert media_of(page) == video.as_uri()


def test_no_video_no_address(report):
    assert media_of(to_html(replace(report, source="array"))) == ""


def test_the_address_may_be_given(report, tmp_path):
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"not really a video")
    assert media_of(to_html(replace(report, source=str(video)), media="")) == ""
    assert media_of(to_html(report, media="https://example.org/a.mp4?b=1&c=2")) == "https://example.org/a.mp4?b=1&c=2"


def test_the_page_says_what_it_is_not_for(report):
    assert "prohibited in the EU" in to_html(report) and "Not for diagnosis" in to_html(report)
