"""The words of the prompt: harmless utterance text, conversations made of clips, questions.

A prompt, as the chat template writes it (V, A: the placeholders of one segment):

    Clip 0.0-12.3 s.VA
    [1] 0.4-2.9 s Anna: "Look at that!"
    face: happiness 0.97 from 1.4 s on (lip corners pulled up)      <- evidence, where it is given
    words: excitement 0.61 VA<|utterance_end|>
    [2] 3.1-4.0 s "Where?" VA<|utterance_end|>      <- the shared prefix ends here
    What emotions does Anna show in [1] (0.4-2.9 s), and what is the evidence?
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from .clip import Clip, Utterance, prompt_words
from .evidence import Evidence
from .evidence_text import evidence_lines

VIDEO_TOKEN = "<|video|>"
AUDIO_TOKEN = "<|audio|>"
UTTERANCE_END_TOKEN = "<|utterance_end|>"
SPECIAL_TOKENS = (VIDEO_TOKEN, AUDIO_TOKEN, UTTERANCE_END_TOKEN)

MAX_SPEAKER_LENGTH = 40  # characters; a longer "name" is not a name
ELLIPSIS = "..."
DEEPEST_NESTING = 8  # of control tokens in one another

# Control tokens of chat formats, known or not to the tokenizer in use: <|im_end|>, <s>, </s>, [INST], <<SYS>>, <eos>.
_CONTROL_TOKEN = re.compile(
    r"<\|[^<>|]*\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>", re.IGNORECASE
)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # Unicode categories: control, format, surrogate, private, unassigned


def sanitize_text(text: str, *, special_tokens: Iterable[str] = (), keep_newlines: bool = False) -> str:
    """Returns `text` in which no control token of any chat format, nor any of `special_tokens`, is left.

    Every token becomes a space, so that what stood around it cannot close up into another one. Invisible characters
    go first, and text whose compatibility form (full-width brackets, say) holds a token is brought to that form.
    """
    kept = "\n" if keep_newlines else ""
    visible = [_visible(character, kept=kept) for character in text]
    cleaned = _without_tokens("".join(visible), special_tokens)
    compatible = unicodedata.normalize("NFKC", cleaned)
    if _without_tokens(compatible, special_tokens) != compatible:
        cleaned = _without_tokens(compatible, special_tokens)
    lines = cleaned.split("\n") if keep_newlines else [cleaned]
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def holds_control_token(utterance: Utterance, *, special_tokens: Iterable[str] = ()) -> bool:
    """True where `sanitize_utterance` takes a control token out of the words or the speaker's name."""
    tokens = tuple(special_tokens)
    for text in (utterance.text, utterance.english or "", utterance.speaker or ""):
        visible = "".join(_visible(character, kept="") for character in text)
        if any(_without_tokens(form, tokens) != form for form in (visible, unicodedata.normalize("NFKC", visible))):
            return True
    return False


def _visible(character: str, *, kept: str) -> str:
    if character in kept:
        return character
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _INVISIBLE else character


def _without_tokens(text: str, special_tokens: Iterable[str]) -> str:
    literal = [token for token in special_tokens if token.strip()]
    for nesting in count():
        if nesting == DEEPEST_NESTING:  # each pass takes one level out: a thousand levels are an attack, no words
            text = text.replace("<|", " ").replace("|>", " ")
        cleaned = _CONTROL_TOKEN.sub(" ", text)
        for token in literal:
            cleaned = cleaned.replace(token, " ")
        if cleaned == text:
            return cleaned
        text = cleaned


def sanitize_utterance(utterance: Utterance, *, special_tokens: Iterable[str] = ()) -> Utterance:
    """Returns the utterance as it stands in a prompt: `prompt_words` as its text, harmless, and a harmless speaker.

    Quotes in the words cannot close the prompt's own.
    """
    text = sanitize_text(prompt_words(utterance), special_tokens=special_tokens).replace('"', "'")
    speaker = sanitize_text(utterance.speaker or "", special_tokens=special_tokens).replace('"', "'").strip(": ")
    return replace(
        utterance,
        text=text,
        speaker=speaker[:MAX_SPEAKER_LENGTH] or None,
        language=None,
        language_probability=None,
        english=None,
    )


def harmless_clip(clip: Clip, *, special_tokens: Iterable[str] = ()) -> Clip:
    """Returns the clip with `sanitize_utterance` done to all it says, and a warning where that found tokens."""
    tokens = tuple(special_tokens)
    count = sum(holds_control_token(utterance, special_tokens=tokens) for utterance in clip.utterances)
    warnings = clip.warnings
    if count:
        plural = "" if count == 1 else "s"
        warnings += (f"words that act as control tokens were made harmless in {count} utterance{plural}",)
    utterances = tuple(sanitize_utterance(utterance, special_tokens=tokens) for utterance in clip.utterances)
    return replace(clip, utterances=utterances, warnings=warnings)


def shorten_words(utterance: Utterance, *, max_words: int) -> Utterance:
    """Returns the utterance with no more than its first `max_words` words, an ellipsis where words were cut."""
    words = utterance.text.split()
    if len(words) <= max_words:
        return utterance
    return replace(utterance, text=" ".join([*words[:max_words], ELLIPSIS]))


def with_utterances(clip: Clip) -> Clip:
    """Returns the clip itself, or, where nobody speaks, the clip as one utterance without words."""
    if clip.utterances:
        return clip
    return replace(clip, utterances=(Utterance(clip.start_seconds, clip.end_seconds),))


def clip_conversation(
    clip: Clip,
    *,
    evidence: Sequence[Sequence[Evidence]] | None = None,
    soft_tokens: bool = True,
    question: str | None = None,
    answer: str | None = None,
) -> list[dict[str, Any]]:
    """Returns a clip as the messages of a chat: its streams, its utterances, then the question and the answer.

    Times in the text are relative to `clip.start_seconds`. The words must be sanitised already.

    Args:
        evidence: what was found of each utterance; None writes nothing of it.
        soft_tokens: whether the streams have places in the text.

    Raises `ValueError` where evidence and utterances differ in number.
    """
    if evidence is not None and len(evidence) != len(clip.utterances):
        raise ValueError(f"evidence has {len(evidence)} entries for {len(clip.utterances)} utterances")
    content: list[dict[str, Any]] = [
        {"type": "text", "text": f"Clip 0.0-{clip.end_seconds - clip.start_seconds:.1f} s."}
    ]
    if soft_tokens and clip.frames is not None and len(clip.frames) > 0:
        content.append({"type": "video", "video": clip.frames})
    if soft_tokens and clip.waveform is not None and len(clip.waveform) > 0:
        content.append({"type": "audio", "audio": clip.waveform})
    found: Sequence[Sequence[Evidence]] = [()] * len(clip.utterances) if evidence is None else evidence
    content += [
        utterance_block(utterance, offset=clip.start_seconds, evidence=own)
        for utterance, own in zip(clip.utterances, found, strict=True)
    ]
    if question is not None:
        content.append({"type": "text", "text": question})
    messages = [{"role": "user", "content": content}]
    if answer is not None:
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def utterance_block(utterance: Utterance, *, offset: float = 0.0, evidence: Sequence[Evidence] = ()) -> dict[str, Any]:
    """Returns the content block of a chat message that stands for an utterance, `offset` seconds earlier.

    Its "evidence" are the lines that stand under the words.
    """
    span = utterance.start_seconds, utterance.end_seconds
    return {
        "type": "utterance",
        "start": max(utterance.start_seconds - offset, 0.0),
        "end": utterance.end_seconds - offset,
        "speaker": utterance.speaker,
        "text": utterance.text,
        "evidence": list(evidence_lines(evidence, span=span, offset=offset)),
    }


def sanitize_conversation(
    conversation: Sequence[dict[str, Any]], *, special_tokens: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Returns the messages with checked and harmless utterance blocks; all other blocks are left as they are."""
    return [
        message
        if isinstance(message.get("content"), (str, type(None)))
        else {**message, "content": [_sanitize_block(block, special_tokens) for block in message["content"]]}
        for message in conversation
    ]


def _sanitize_block(block: dict[str, Any], special_tokens: Iterable[str]) -> dict[str, Any]:
    if block.get("type") != "utterance":
        return block
    missing = {"start", "end"} - set(block)
    if missing:
        raise ValueError(f"an utterance block needs start and end in seconds, {sorted(missing)} missing in {block}")
    utterance = Utterance(block["start"], block["end"], block.get("text") or "", block.get("speaker"))
    lines = [sanitize_text(line, special_tokens=special_tokens) for line in block.get("evidence") or ()]
    return {**utterance_block(sanitize_utterance(utterance, special_tokens=special_tokens)), "evidence": lines}


def conversation_utterance_times(conversation: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Returns start and end, in seconds, of the utterance blocks of a conversation in their order."""
    return [
        (block["start"], block["end"])
        for message in conversation
        if not isinstance(message.get("content"), (str, type(None)))
        for block in message["content"]
        if block.get("type") == "utterance"
    ]


def default_questions(clip: Clip) -> tuple[str, ...]:
    """Returns the question about the whole clip, then one about each utterance: what the targets answer."""
    questions = ["What emotions does the whole clip show, and what is the evidence?"]
    for number, utterance in enumerate(clip.utterances, start=1):
        start, end = utterance.start_seconds - clip.start_seconds, utterance.end_seconds - clip.start_seconds
        who = sanitize_utterance(utterance).speaker or "the speaker"
        questions.append(
            f"What emotions does {who} show in [{number}] ({start:.1f}-{end:.1f} s), and what is the evidence?"
        )
    return tuple(questions)


def one_text_per_clip(value: str | Sequence[str] | None, *, name: str, count: int) -> list[str | None]:
    """Returns one text, or None, for each of `count` clips."""
    values: list[str | None] = [value] * count if value is None or isinstance(value, str) else list(value)
    if len(values) != count or (value is not None and any(entry is None for entry in values)):
        raise ValueError(f"{name} must be one text for all clips or one per clip, got {len(values)} for {count} clips")
    return values


def packaged_templates() -> dict[str, str] | None:
    """Returns the chat templates beside this file, None where only the code was copied (Hub remote code)."""
    names = {"default": "chat_template.jinja", "concatenated": "chat_template_concatenated.jinja"}
    paths = {name: Path(__file__).with_name(file) for name, file in names.items()}
    if not all(path.is_file() for path in paths.values()):
        return None
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
