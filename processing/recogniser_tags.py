"""Removes tags that speech recognisers write into the words: language, emotion and event tags.

    "<|en|><|HAPPY|><|Speech|><|withitn|>Hello."  ->  "Hello.", tags en, HAPPY, Speech, withitn
    "😀Hello.😊"  (the same, as FunASR prints it)  ->  "Hello.", tags Laughter, HAPPY

Such tags are predictions of another model. In the words they would be read as speech and leak an answer, so they are
moved to `Utterance.foreign_tags` and never shown to the language model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .clip import Utterance

# SenseVoice's tags after FunASR's `rich_transcription_postprocess`, at both ends of a sentence.
EMOJI_TAGS = {
    "😊": "HAPPY",
    "😔": "SAD",
    "😡": "ANGRY",
    "😰": "FEARFUL",
    "🤢": "DISGUSTED",
    "😮": "SURPRISED",
    "🎼": "BGM",
    "👏": "Applause",
    "😀": "Laughter",
    "😭": "Cry",
    "🤧": "Sneeze",
    "😷": "Cough",
    "❓": "Event_UNK",
}
# Tokens of chat formats are left to the sanitiser, which removes them and warns; no recogniser writes them.
_CHAT_TOKEN = (
    r"(?:im_\w+|end\w*|eo[tm]\w*|begin\w*|start_header\w*|system|user|assistant|tool\w*|video|audio|image|utt\w*)\|"
)
_PIPED = re.compile(rf"<\|(?!{_CHAT_TOKEN})\s*([^<>|]{{1,40}}?)\s*\|>", re.IGNORECASE)
# Dolphin's <zh><CN><asr><0.00>...<5.44>; one such tag alone may be markup, and <s>, <eos> are control tokens.
_LEADING = re.compile(r"^\s*(?:<(?!(?:bos|eos|pad|unk)>)(?:[A-Za-z]{2,12}|\d+\.\d+)>\s*){2,}")
_TRAILING = re.compile(r"\s*<\d+\.\d+>\s*$")
_WHISPER_CPP = re.compile(r"\[(_BEG_|_TT_\d+|_SOT_|_EOT_|BLANK_AUDIO)\]")
_ANGLED = re.compile(r"<([^<>]+)>")
_TIME = re.compile(r"\d+\.\d+|_TT_\d+|_BEG_")  # a timestamp, redundant with the utterance's times
MAX_NAMED_TAGS = 8  # in the warning


def strip_tags(text: str) -> tuple[str, tuple[str, ...]]:
    """Returns the words without tags, and the tags in order, each once."""
    tags: list[str] = []

    def piped(match: re.Match[str]) -> str:
        tags.append(match[1])
        return " "

    def angled(match: re.Match[str]) -> str:
        tags.extend(_ANGLED.findall(match[0]))
        return " "

    stripped = _WHISPER_CPP.sub(piped, _PIPED.sub(piped, text))
    stripped = _TRAILING.sub("", _LEADING.sub(angled, stripped))
    start, end = _emoji_ends(stripped)
    tags += [EMOJI_TAGS[sign] for sign in stripped[:start] + stripped[end:] if sign in EMOJI_TAGS]
    stripped = stripped[start:end]
    if stripped == text:
        return text, ()
    return " ".join(stripped.split()), tuple(dict.fromkeys(tag for tag in tags if not _TIME.fullmatch(tag)))


def _emoji_ends(text: str) -> tuple[int, int]:
    """Where the words begin and end between the emoji at both ends; blanks are left where no emoji stands there."""
    start, end = 0, len(text)
    while start < end and (text[start].isspace() or text[start] in EMOJI_TAGS):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in EMOJI_TAGS):
        end -= 1
    return (
        start if not text[:start].isspace() else 0,
        end if not text[end:].isspace() else len(text),
    )


def without_tags(utterance: Utterance) -> Utterance:
    """Returns the utterance with tags moved from its words to `foreign_tags`."""
    text, tags = strip_tags(utterance.text)
    if text == utterance.text:
        return utterance
    return replace(utterance, text=text, foreign_tags=tuple(dict.fromkeys((*utterance.foreign_tags, *tags))))


def tags_warning(utterances: Sequence[Utterance]) -> str | None:
    """Returns a warning about the tags of all utterances, None without any."""
    tagged = [utterance for utterance in utterances if utterance.foreign_tags]
    if not tagged:
        return None
    names = list(dict.fromkeys(tag for utterance in tagged for tag in utterance.foreign_tags))
    more = f" and {len(names) - MAX_NAMED_TAGS} more" if len(names) > MAX_NAMED_TAGS else ""
    plural = "" if len(tagged) == 1 else "s"
    return (
        f"a recogniser's tags were removed from the words of {len(tagged)} utterance{plural} and are not used: "
        f"{', '.join(names[:MAX_NAMED_TAGS])}{more}"
    )
