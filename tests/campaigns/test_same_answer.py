"""The same clip gives the same report with one thread and with two, with oneDNN and without.

pytest -m campaign tests/campaigns/test_same_answer.py      a tiny model
pytest -m slow tests/campaigns/test_same_answer.py          microemo-mini on the examples (downloads 324 MB once)
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_folder import write_tiny_folder

EXAMPLES = Path(__file__).parents[2] / "examples"
DEMO_EXAMPLES = Path(__file__).parents[2] / "spaces_demo" / "examples"
CLIPS = (EXAMPLES / "astronaut.mp4", DEMO_EXAMPLES / "three_moods.mp4", DEMO_EXAMPLES / "two_flickers.mp4")
TOLERANCE = 1e-3
SPOKEN = [{"start": 0.4, "end": 3.2, "text": "I am not nervous."}, {"start": 4.4, "end": 6.2, "text": "I love it!"}]
UNEQUAL = {"timings", "thumbnails"}  # how long it took; pictures, which differ by a level where crops do by 1e-6
SURROUNDINGS = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "without oneDNN": {"OMP_NUM_THREADS": "1", "MICROEMO_TEST_NO_ONEDNN": "1"},
}
COMMAND = """
import os, sys
import torch
torch.backends.mkldnn.enabled = not os.environ.get("MICROEMO_TEST_NO_ONEDNN")
from microemo.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def report_of(clip: Path, arguments: list[str], surroundings: dict[str, str]) -> dict:
    found = subprocess.run(
        [sys.executable, "-c", COMMAND, "analyze", str(clip), "--json", "--quiet", *arguments],
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout)


def differences(one, other, where: str = "report") -> list[str]:
    """Where two reports differ by more than rounding, each as a line."""
    if isinstance(one, float) and isinstance(other, float):
        return [] if math.isclose(one, other, abs_tol=TOLERANCE) else [f"{where}: {one} and {other}"]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        keys = [key for key in one if key not in UNEQUAL]
        return [line for key in keys for line in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for place, pair in pairs for line in differences(*pair, f"{where}[{place}]")]
    return [] if one == other else [f"{where}: {one!r} and {other!r}"]


def check(clip: Path, arguments: list[str]) -> None:
    reports = {name: report_of(clip, arguments, each) for name, each in SURROUNDINGS.items()}
    first, *others = reports
    assert {name: differences(reports[first], reports[name]) for name in others} == dict.fromkeys(others, [])


def test_differences_are_found():
    one = {"timings": [1.0], "labels": [{"label": "joy", "probability": 0.5}]}
    assert differences(one, {"timings": [2.0], "labels": [{"label": "joy", "probability": 0.5005}]}) == []
    assert differences(one, {"timings": [1.0], "labels": [{"label": "joy", "probability": 0.502}]})
    assert differences(one, {"timings": [1.0], "labels": [{"label": "fear", "probability": 0.5}]})
    assert differences(one, {"timings": [1.0], "labels": []})


@pytest.mark.campaign
def test_campaign_of_surroundings_with_a_tiny_model(tmp_path):
    model, words = write_tiny_folder(tmp_path / "tiny"), tmp_path / "words.json"
    words.write_text(json.dumps(SPOKEN))
    check(CLIPS[0], ["--model", str(model), "--transcript", str(words), "--mode", "scores"])


@pytest.mark.slow
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)
def test_microemo_mini_says_the_same_everywhere(clip, assembled_mini):
    check(clip, ["--model", str(assembled_mini)])
