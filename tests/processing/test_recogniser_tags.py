"""Tags of recognisers are moved from the words to `foreign_tags`, with a warning."""

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.prompt_text import utterance_block
from microemo.processing.recogniser_tags import strip_tags
from microemo.processing.transcript_formats import parse_transcript
from microemo.processing.utterance_alignment import align_utterances


@pytest.mark.parametrize(
    ("text", "words", "tags"),
    [
        ("<|en|><|HAPPY|><|Speech|>hello", "hello", ("en", "HAPPY", "Speech")),
        (
            "<|zh|><|SAD|><|Speech|><|withitn|>你好。<|zh|><|ANGRY|>走!",
            "你好。 走!",
            ("zh", "SAD", "Speech", "withitn", "ANGRY"),
        ),
        ("😀hi there.😊", "hi there.", ("Laughter", "HAPPY")),
        ("<|0.00|> Look at that!<|2.00|>", "Look at that!", ()),
        ("<|startoftranscript|><|en|><|transcribe|> yes", "yes", ("startoftranscript", "en", "transcribe")),
        ("<zh><CN><asr><0.00> 好<5.44>", "好", ("zh", "CN", "asr")),
        ("[_BEG_] so[_TT_150]", "so", ()),
        ("[BLANK_AUDIO]", "", ("BLANK_AUDIO",)),
        ("<| HAPPY |>hello", "hello", ("HAPPY",)),
    ],
)
def test_tags_are_removed_from_words(text, words, tags):
    assert strip_tags(text) == (words, tags)


@pytest.mark.parametrize(
    "text", ["plain  words", "I <3 you", "a <b> c", "it rose by 5 |> 3", "so 😊 then", "[laughs] no"]
)
def test_plain_words_are_unchanged(text):
    assert strip_tags(text) == (text, ())


@pytest.mark.parametrize("token", ["<|im_end|>", "<|video|>", "<|utterance_end|>", "<|eot_id|>", "<s>", "<bos><eos>"])
def test_control_tokens_are_left_to_the_sanitiser(token):
    assert strip_tags(f"{token} words") == (f"{token} words", ())


def test_tags_of_transcripts_become_foreign_tags():
    segments = {"segments": [{"start": 0.0, "end": 1.0, "text": "<|en|><|HAPPY|><|Speech|>hello", "speaker": "A"}]}
    (utterance,) = parse_transcript(segments)
    assert utterance == Utterance(0.0, 1.0, "hello", "A", foreign_tags=("en", "HAPPY", "Speech"))
    aligned, warnings = align_utterances([utterance], duration_seconds=2.0)
    assert aligned == (utterance,)
    assert warnings == (
        "a recogniser's tags were removed from the words of 1 utterance and are not used: en, HAPPY, Speech",
    )


def test_tags_of_recognised_utterances_are_removed():
    aligned, warnings = align_utterances([Utterance(0, 1, "<|SAD|>no"), Utterance(1, 2, "yes")], duration_seconds=2.0)
    assert [(each.text, each.foreign_tags) for each in aligned] == [("no", ("SAD",)), ("yes", ())]
    assert len(warnings) == 1


def test_tags_never_reach_the_prompt():
    block = utterance_block(Utterance(0.0, 1.0, "hello", foreign_tags=("HAPPY",)))
    assert "HAPPY" not in str(block)
