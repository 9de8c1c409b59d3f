"""What is said of real clips, held to a file: a change of weights or rules that changes a text has to show it.

python -m pytest -m slow tests/inference/test_golden_explanations.py    (MICROEMO_WRITE_GOLDEN=1 writes it anew)
"""

import json
import os
from pathlib import Path

import pytest

from microemo.evaluation.explanation_figures import findings
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.explanation.check import check_explanation

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden") / "explanations.json"
CLIPS = Path(os.environ.get("MICROEMO_REAL_CLIPS", ROOT.parent / "shared" / "data" / "faces_in_motion"))
OWN_CLIP = ROOT / "examples" / "astronaut.mp4"


@pytest.fixture(autouse=True)
def short_answers():
    """Real answers are as long as they are, other than in the tests beside this one."""


@pytest.fixture(scope="module")
def analyzer():
    return EmotionAnalyzer.from_pretrained()


def told(report):
    return [
        {
            "emotions": [score.label for score in (utterance.emotions or ())[:2]],
            "open_emotions": list(utterance.open_emotions or ()),
            "description": utterance.description,
            "evidence": [found.text for found in utterance.evidence],
        }
        for utterance in report.utterances
    ]


@pytest.mark.parametrize("name", list(json.loads(GOLDEN.read_text(encoding="utf-8"))))
def test_the_texts_are_those_that_were_read(analyzer, name):
    path = OWN_CLIP if name == OWN_CLIP.name else CLIPS / name
    if not path.is_file():
        pytest.skip(f"{name} is not on this machine")
    report = analyzer(path)
    if os.environ.get("MICROEMO_WRITE_GOLDEN"):
        golden = json.loads(GOLDEN.read_text(encoding="utf-8")) | {name: told(report)}
        GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert told(report) == json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    for utterance in report.utterances:
        span = (utterance.start_seconds, utterance.end_seconds)
        checked = check_explanation(utterance.description or "", evidence=findings(utterance), spans=[span])
        assert checked.unsupported == ()
