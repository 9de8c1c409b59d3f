"""Evidence as phrases, lines of the prompt and sentences."""

import pytest

from microemo.processing.evidence import Evidence
from microemo.processing.evidence_text import (
    evidence_lines,
    evidence_phrase,
    evidence_sentence,
    relation_sentence,
)

SPAN = (4.0, 8.0)
SMILE = Evidence("face", "happiness", 5.4, 8.0, 0.97, signs=("AU12", "AU6"))
FLASH = Evidence("micro_expression", "fear", 4.8, 5.1, 0.71, apex_seconds=4.9, signs=("AU1",))
VOICE = Evidence("voice", "joy", *SPAN, 0.61, signs=("high", "loud"), pitch_semitones=4.2)
WORDS = (Evidence("words", "joy", *SPAN, 0.81), Evidence("words", "excitement", *SPAN, 0.4))
AWAY = Evidence("scene", "no face", 6.0, 7.0)


def test_lines_of_a_prompt():
    assert evidence_lines((SMILE, FLASH, AWAY, VOICE, *WORDS), span=SPAN, offset=4.0) == (
        "face: happiness 0.97 from 1.4 s on (lip corners pulled up, cheeks raised); "
        "flash of fear 0.71 at 0.9 s (inner brows raised); not seen from 2.0 to 3.0 s",
        "voice: joy 0.61; high, loud, +4 semitones",
        "words: joy 0.81, excitement 0.40",
    )
    assert evidence_lines((), span=SPAN) == ()
    assert evidence_lines(WORDS[:1], span=SPAN) == ("words: joy 0.81",)


@pytest.mark.parametrize(
    ("times", "phrase"),
    [
        ((4.0, 8.0), "fear 0.80"),
        ((3.0, 9.0), "fear 0.80"),
        ((4.1, 7.9), "fear 0.80"),
        ((4.0, 6.0), "fear 0.80 until 6.0 s"),
        ((5.0, 8.2), "fear 0.80 from 5.0 s on"),
        ((5.0, 6.0), "fear 0.80 from 5.0 to 6.0 s"),
    ],
)
def test_findings_that_fill_the_utterance_have_no_times(times, phrase):
    assert evidence_phrase(Evidence("face", "fear", *times, 0.8), span=SPAN) == phrase
    assert "from" in evidence_phrase(Evidence("face", "fear", *times, 0.8)), "without an utterance it always does"


@pytest.mark.parametrize(
    ("finding", "sentence"),
    [
        (SMILE, "The face shows happiness from 5.4 s on, with lip corners pulled up and cheeks raised."),
        (FLASH, "A flash of fear crosses the face at 4.9 s, with inner brows raised."),
        (VOICE, "The voice sounds of joy (high, loud)."),
        (WORDS[0], "The words express joy."),
        (Evidence("words", "neutral", *SPAN, 0.9), "The words are neutral."),
        (Evidence("face", "neutral", *SPAN, 0.9), "The face stays neutral."),
        (Evidence("face", "sadness", *SPAN, 0.3), "The face shows sadness faintly."),
        (Evidence("voice", "calm", *SPAN, 0.9), "The voice is calm."),
        (Evidence("voice", "", *SPAN, signs=("slow",)), "The voice is slow."),
        (Evidence("scene", "no face", *SPAN), "The speaker's face is not seen."),
        (AWAY, "The speaker's face is not seen from 6.0 to 7.0 s."),
        (Evidence("micro_expression", "", 4.8, 5.1, 0.7, 4.9), "A flash of something crosses the face at 4.9 s."),
    ],
)
def test_sentences(finding, sentence):
    assert evidence_sentence(finding, span=SPAN) == sentence


@pytest.mark.parametrize("finding", [SMILE, FLASH, VOICE, WORDS[0], AWAY])
def test_every_form_is_a_complete_sentence(finding):
    sentences = {evidence_sentence(finding, span=SPAN, form=form) for form in range(6)}
    assert len(sentences) >= 2
    for sentence in sentences:
        assert sentence[0].isupper() and sentence.endswith(".") and "{" not in sentence and "  " not in sentence


def test_relations():
    assert relation_sentence(SMILE, WORDS[0], agree=True) == "The face and the words agree."
    assert relation_sentence(SMILE, VOICE, agree=False, form=1) == "The face contradicts the voice."
