"""The page in a real browser; skipped where there is no Chromium."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def drawn_page(path, *, profile):
    """The page's elements after its script ran."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_script_draws_everything(report, tmp_path):
    page = drawn_page(report.save(tmp_path / "clip.html"), profile=tmp_path / "profile")
    assert page.count("<article") == 3 and "<title>clip.mp4 - MicroEmo</title>" in page
    assert "“Of course.”" in page and "happiness rises from 0.10 to 0.91" in page
    assert 'aria-valuenow="0.4"' in page  # the cursor stands at the first utterance
    assert page.count('class="plot"') == 1 and page.count('<img src="data:image/jpeg') == 1
    assert "Micro-expression 0.90 – 1.20 s, apex 1.00 s, score 0.83" in page
    assert re.search(r'<label id="pick">', page)  # there is no clip.mp4: the page offers to choose the file


def test_words_stay_words(report, tmp_path):
    evil = replace(report.utterances[0], text=EVIL, speaker=EVIL, description=EVIL)
    page = drawn_page(
        replace(report, utterances=(evil,), warnings=(EVIL,)).save(tmp_path / "clip.html"),
        profile=tmp_path / "profile",
    )
    assert "<title>clip.mp4 - MicroEmo</title>" in page and page.count("<article") == 1
    assert "&lt;img src=x onerror" in page and "<img src=" not in page.replace('<img src="data:image/jpeg', "")
