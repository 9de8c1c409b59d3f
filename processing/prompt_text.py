"""Text of the prompt: sanitised utterances, conversations from clips, questions, and fitting them into the context.

Example of a prompt written by the chat template (V, A: the placeholders of one segment):

    Clip 0.0-12.3 s.VA
    [1] 0.4-2.9 s Anna: "Look at that!"
    face: happiness 0.97 from 1.4 s on (lip corners pulled up)      <- evidence, if given
    words: excitement 0.61 VA<|utterance_end|>
    [2] 3.1-4.0 s "Where?" VA<|utterance_end|>      <- the shared prefix ends here
    What emotions does Anna show in [1] (0.4-2.9 s), and what is the evidence?
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
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

MAX_SPEAKER_LENGTH = 40  # characters; longer speaker names are cut
ELLIPSIS = "..."
DEEPEST_NESTING = 8  # of control tokens in one another

# Control tokens of common chat formats, whatever the tokenizer: <|im_end|>, <s>, </s>, [INST], <<SYS>>, <eos>.
_CONTROL_TOKEN = re.compile(
    r"<\|[^<>|]*\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>", re.IGNORECASE
)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # Unicode categories: control, format, surrogate, private, unassigned


def sanitize_text(text: str, *, special_tokens: Iterable[str] = (), keep_newlines: bool = False) -> str:
    """Removes control tokens of common chat formats and all `special_tokens` from `text`.

    Each token is replaced by a space, so that the surrounding text cannot form a new one. Invisible characters are
    removed
    first. Text whose compatibility form (full-width brackets, say) contains a token is normalised to that form.
    """
    keep = "\n" if keep_newlines else ""
    visible = [_visible(character, keep=keep) for character in text]
    cleaned = _without_tokens("".join(visible), special_tokens)
    compatible = unicodedata.normalize("NFKC", cleaned)
    if _without_tokens(compatible, special_tokens) != compatible:
        cleaned = _without_tokens(compatible, special_tokens)
    lines = cleaned.split("\n") if keep_newlines else [cleaned]
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def holds_control_token(utterance: Utterance, *, special_tokens: Iterable[str] = ()) -> bool:
    """True if `sanitize_utterance` removes a control token from the words or the speaker's name."""
    tokens = tuple(special_tokens)
    for text in (utterance.text, utterance.english or "", utterance.speaker or ""):
        visible = "".join(_visible(character, keep="") for character in text)
        if any(_without_tokens(form, tokens) != form for form in (visible, unicodedata.normalize("NFKC", visible))):
            return True
    return False


def _visible(character: str, *, keep: str) -> str:
    if character in keep:
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
    raise AssertionError("each pass shortens the text")


def sanitize_utterance(utterance: Utterance, *, special_tokens: Iterable[str] = ()) -> Utterance:
    """Returns the utterance for a prompt: `prompt_words` as its text, text and speaker sanitised.

    Quotation marks in the words are replaced, so that they cannot end the prompt's own quotation.
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


def sanitize_clip(clip: Clip, *, special_tokens: Iterable[str] = ()) -> Clip:
    """Applies `sanitize_utterance` to all utterances; adds a warning if control tokens were removed."""
    tokens = tuple(special_tokens)
    count = sum(holds_control_token(utterance, special_tokens=tokens) for utterance in clip.utterances)
    warnings = clip.warnings
    if count:
        plural = "" if count == 1 else "s"
        warnings += (f"control tokens were removed from the words of {count} utterance{plural}",)
    utterances = tuple(sanitize_utterance(utterance, special_tokens=tokens) for utterance in clip.utterances)
    return replace(clip, utterances=utterances, warnings=warnings)


def shorten_words(utterance: Utterance, *, max_words: int) -> Utterance:
    """Keeps the first `max_words` words of an utterance; an ellipsis marks the cut."""
    words = utterance.text.split()
    if len(words) <= max_words:
        return utterance
    return replace(utterance, text=" ".join([*words[:max_words], ELLIPSIS]))


def fit_words(clip: Clip, *, prompt_length: Callable[[Clip], int], limit: int) -> Clip:
    """Shortens every utterance to its first N words, N the largest for which the prompt fits.

    Times, speakers and soft tokens are kept; a warning reports the cut.

    Args:
        clip: with sanitised words.
        prompt_length: returns the number of tokens of a clip's prompt.
        limit: maximum number of tokens.

    Raises:
        ValueError: the prompt is too long even without words.
    """
    length = prompt_length(clip)
    if length <= limit:
        return clip
    fitting, too_long = -1, max(len(utterance.text.split()) for utterance in clip.utterances)
    while too_long - fitting > 1:
        candidate = (fitting + too_long) // 2
        if prompt_length(_shortened(clip, max_words=candidate)) <= limit:
            fitting = candidate
        else:
            too_long = candidate
    if fitting < 0:
        raise ValueError(
            f"{len(clip.utterances)} utterances make a prompt of more than {limit} tokens even without their words; "
            "read the video in shorter chunks"
        )
    warning = (
        f"the prompt has {length} tokens and {limit} fit the model's context, so every utterance keeps "
        f"its first {fitting} words"
    )
    return replace(_shortened(clip, max_words=fitting), warnings=(*clip.warnings, warning))


def _shortened(clip: Clip, *, max_words: int) -> Clip:
    return replace(clip, utterances=tuple(shorten_words(u, max_words=max_words) for u in clip.utterances))


def with_utterances(clip: Clip) -> Clip:
    """Returns the clip; without utterances, the whole clip becomes one utterance without words."""
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
    """Returns a clip as chat messages: its streams, its utterances, then the question and the answer.

    Times in the text are relative to `clip.start_seconds`. The words must be sanitised already.

    Args:
        evidence: findings for each utterance; None leaves them out.
        soft_tokens: whether the streams have placeholders in the text.

    Raises `ValueError` if evidence and utterances differ in number.
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
    evidence_by_utterance: Sequence[Sequence[Evidence]] = [()] * len(clip.utterances) if evidence is None else evidence
    content += [
        utterance_block(utterance, offset=clip.start_seconds, evidence=findings)
        for utterance, findings in zip(clip.utterances, evidence_by_utterance, strict=True)
    ]
    if question is not None:
        content.append({"type": "text", "text": question})
    messages = [{"role": "user", "content": content}]
    if answer is not None:
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def conversation_text(conversation: Sequence[dict[str, Any]]) -> str:
    """Returns the words of a conversation in the chat template's layout, without control tokens and streams.

    A language model of another family is given them in its own chat template.
    """
    blocks = [block for message in conversation for block in message["content"]]
    lines: list[str] = []
    number = 0
    for block in blocks:
        if block["type"] == "text":
            lines.append(block["text"])
        elif block["type"] == "utterance":
            number += 1
            speaker = f"{block['speaker']}: " if block["speaker"] else ""
            words = f'"{block["text"]}"' if block["text"] else ""
            lines.append(f"[{number}] {block['start']:.1f}-{block['end']:.1f} s {speaker}{words}".rstrip())
            lines += block["evidence"]
    return "\n".join(lines)


def utterance_block(utterance: Utterance, *, offset: float = 0.0, evidence: Sequence[Evidence] = ()) -> dict[str, Any]:
    """Returns the content block of an utterance, with times `offset` seconds earlier.

    "evidence" holds the lines below the words.
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
    """Returns the messages with utterance blocks checked and sanitised; other blocks are unchanged."""
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
    """(start, end) in seconds of the utterance blocks of a conversation, in order."""
    return [
        (block["start"], block["end"])
        for message in conversation
        if not isinstance(message.get("content"), (str, type(None)))
        for block in message["content"]
        if block.get("type") == "utterance"
    ]


def default_questions(clip: Clip) -> tuple[str, ...]:
    """Returns the questions that the training targets answer: about the whole clip, then about each utterance."""
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
    """Returns the chat templates next to this file; None if only the code was copied (Hub remote code)."""
    names = {"default": "chat_template.jinja", "concatenated": "chat_template_concatenated.jinja"}
    paths = {name: Path(__file__).with_name(file) for name, file in names.items()}
    if not all(path.is_file() for path in paths.values()):
        return None
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
