"""Transcripts in another language: English asked of the recogniser on the same sound, or said to be missing."""

import numpy as np
import pytest
from synthetic_media import moving_squares, tone, write_video

from microemo.processing.clip import Utterance
from microemo.processing.clip_reading import ClipReader
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.transcript_english import unused_words_notes, with_english

GERMAN = (
    Utterance(1.0, 2.0, "Ich kann nicht glauben, dass du es vergessen hast."),
    Utterance(400.0, 402.0, "Wo warst du gestern Abend?"),
)


class Translator:
    """Translates every span into a text that tells where it was asked; a span of 2 s cannot be understood."""

    def __init__(self):
        self.asked = []

    def translate(self, waveform, spans, *, language=None):
        self.asked.append((len(waveform), spans, language))
        return [None if end - start == 2.0 else f"at {start:g}" for start, end in spans]


def noise(start, end):
    return np.full(round((end - start) * 16_000), 0.1, dtype=np.float32)


def test_english_is_asked_on_the_same_sound_block_by_block():
    translator = Translator()
    first, second = with_english(GERMAN, read=noise, recognizer=translator, block_seconds=300.0)
    assert (first.text, first.language, first.english) == (GERMAN[0].text, "de", "at 0")
    assert (second.language, second.english) == ("de", None)
    assert [(length, language) for length, _, language in translator.asked] == [(16_000, None), (32_000, None)]


def test_english_transcripts_ask_nothing():
    translator = Translator()
    given = (Utterance(0, 1, "I can not believe that you have forgotten it."), Utterance(1, 2, "Why?"))
    found = with_english(given, read=noise, recognizer=translator, block_seconds=300.0)
    assert [each.language for each in found] == ["en", "en"]
    assert translator.asked == []


def test_english_that_is_given_is_kept():
    translator = Translator()
    given = (Utterance(0, 1, "Wo?", language="de", english="Where?"),)
    assert with_english(given, read=noise, recognizer=translator, block_seconds=300.0) == given
    assert translator.asked == []


def test_the_given_language_is_that_of_the_text_and_of_the_speech():
    translator = Translator()
    (found,) = with_english(
        [Utterance(0, 1, "Hola")], read=noise, recognizer=translator, block_seconds=300.0, language="spanish"
    )
    assert (found.language, found.english) == ("es", "at 0")
    assert translator.asked[0][2] == "es"


@pytest.mark.parametrize("read", [None, lambda start, end: None, lambda start, end: np.zeros(16_000, np.float32)])
def test_without_sound_the_words_are_reported_as_unused(read):
    found = with_english(GERMAN, read=read, recognizer=Translator(), block_seconds=300.0)
    assert [each.english for each in found] == [None, None]
    assert unused_words_notes(found) == (
        "German words at 1.0-2.0 s, 400.0-402.0 s are not used: there is no English text of them",
    )


def test_a_clip_says_which_words_are_not_used(tmp_path):
    path = write_video(tmp_path / "talk.mp4", moving_squares(count=75), waveform=tone(seconds=3.0))
    reader = ClipReader(ReadingSettings(num_frames=4), detector=None, recognizer=Translator())
    transcript = [Utterance(0.0, 1.0, "你好吗"), Utterance(1.0, 3.0, "再见")]
    (clip,) = reader.read(path, transcript=transcript)
    assert [(each.text, each.english) for each in clip.utterances] == [("你好吗", "at 0"), ("再见", None)]
    assert "Chinese words at 1.0-3.0 s are not used: there is no English text of them" in clip.warnings
    with pytest.raises(ValueError, match="language must be .*got 'klingon'"):
        next(reader.read(path, transcript=transcript, language="klingon"))
