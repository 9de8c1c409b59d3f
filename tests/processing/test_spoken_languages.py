"""Names of languages, the language of a clip, and that of a text."""

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.spoken_languages import (
    language_code,
    language_name,
    main_language,
    text_language,
    vote_for_language,
    with_text_languages,
)


@pytest.mark.parametrize(
    ("name", "code"),
    [(None, None), ("de", "de"), ("German", "de"), ("en-GB", "en"), ("zh_CN", "zh"), (" Mandarin", "zh")],
)
def test_codes_and_names_are_parsed(name, code):
    assert language_code(name) == code


def test_unknown_languages_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"language must be .*de \(german\).*zh \(chinese\).*got 'klingon'"):
        language_code("klingon")
    with pytest.raises(ValueError, match=r"of: en \(english\); got 'de'"):
        language_code("de", allowed=("en",))


def test_names_are_english():
    assert (language_name("zh"), language_name("xx")) == ("Chinese", "Xx")


def test_longer_segments_have_more_weight():
    short_and_long = [{"en": 0.9, "zh": 0.1}, {"en": 0.2, "zh": 0.8}]
    assert vote_for_language(short_and_long, seconds=[1.0, 7.0]) == ("zh", pytest.approx(0.7125))
    assert vote_for_language(short_and_long, seconds=[7.0, 1.0])[0] == "en"
    assert vote_for_language([], seconds=[]) is None


def test_the_main_language_is_the_one_spoken_longest():
    utterances = [
        Utterance(0, 1, "a", language="en", language_probability=0.9),
        Utterance(1, 4, "b", language="zh", language_probability=0.8),
        Utterance(4, 5, "c", language="zh", language_probability=0.4),
        Utterance(5, 50, "d"),
    ]
    assert main_language(utterances) == ("zh", pytest.approx(0.7))
    assert main_language([Utterance(0, 1, "a", language="de")]) == ("de", None)
    assert main_language(utterances[3:]) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I do not know where you are going tonight, my friend.", "en"),
        ("No puedo creer que hayas olvidado mi cumpleaños otra vez.", "es"),
        ("Ich kann nicht glauben, dass du meinen Geburtstag vergessen hast.", "de"),
        ("我不知道", "zh"),
        ("أنا سعيد جدا اليوم", "ar"),
        ("Hola", None),
        ("3.14 ...", None),
    ],
)
def test_the_language_of_a_text(text, language):
    assert text_language(text) == language


def test_short_lines_of_a_dialogue_are_identified_together():
    lines = ["Hola.", "¿Dónde estás?", "No puedo creer que hayas olvidado mi cumpleaños.", "你在哪里", "42"]
    utterances = [Utterance(place, place + 1, line) for place, line in enumerate(lines)]
    utterances.append(Utterance(9, 10, "Where?", language="en"))
    identified = [each.language for each in with_text_languages(utterances)]
    assert identified == ["es", "es", "es", "zh", None, "en"]
