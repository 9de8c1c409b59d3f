"""Question-and-answer data: LLaVA / ShareGPT conversations and chat messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example, LabelledUtterance, Turn
from microemo.data.readers.emotion_llama import MERR_EMOTIONS, Instruction, parse_instruction

ASKING_ROLES = ("human", "user")
ANSWERING_ROLES = ("gpt", "assistant", "bot")
# Placeholders of other models: <video>, <image>, <audio>, <ImageHere>, <video><VideoHere></video>, ...
PLACEHOLDER = re.compile(r"</?(?:video|image|audio|speech|feature|\w*Here)>", re.IGNORECASE)


def read_conversations(path: Path, *, media_root: Path | None = None) -> Iterator[Example]:
    """Reads LLaVA / ShareGPT JSON or JSON lines; each pair of question and answer becomes one example.

    Entries have "conversations" ({"from", "value"}) or "messages" ({"role", "content"}), and "video" / "videos",
    "audio" / "audios". System messages and placeholders of other models are dropped, as this package's prompt contains
    the streams. Earlier turns are not part of the example. Instructions of
    Emotion-LLaMA are split into words, task and question (see `emotion_llama`).

    Args:
        media_root: folder to which media paths are relative; by default the folder of the file.
    """
    path = Path(path)
    root = path.parent if media_root is None else Path(media_root)
    for number, entry in enumerate(json_entries(path)):
        example_id = str(entry.get("id", f"{path.stem}_{number}"))
        video = _media(entry, names=("video", "videos"), root=root, example_id=example_id)
        audio = _media(entry, names=("audio", "audios"), root=root, example_id=example_id)
        if video is None and audio is None:
            raise ValueError(f"{path}, entry {example_id!r} must have a video or audio")
        for turn_number, turn in enumerate(conversation_turns(entry, example_id=example_id)):
            instruction = parse_instruction(turn.question)
            fields: dict[str, Any] = {"turn": turn} if instruction is None else _instructed(turn, instruction)
            yield Example(example_id=f"{example_id}_{turn_number}", video=video, audio=audio, **fields)


def _instructed(turn: Turn, instruction: Instruction) -> dict[str, Any]:
    """Fields of an example whose question is an instruction of Emotion-LLaMA; a class is asked for among all."""
    label = turn.answer.strip().lower()
    is_class = instruction.task == "emotion" and label in MERR_EMOTIONS
    answer, options = (label, MERR_EMOTIONS) if is_class else (turn.answer, ())
    return {
        "turn": Turn(instruction.question, answer, options=options, task=instruction.task),
        "utterances": (LabelledUtterance(instruction.words),) if instruction.words else (),
        "targets": EmotionTargets(closed_label=label if is_class else None),
    }


def json_entries(path: Path) -> list[Mapping[str, Any]]:
    """The entries of a JSON list or of JSON lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    entries = json.loads(text)
    if not isinstance(entries, list):
        raise ValueError(f"{path} must be a list of conversations, got a {type(entries).__name__}")
    return entries


def _media(entry: Mapping[str, Any], *, names: Sequence[str], root: Path, example_id: str) -> str | None:
    """Returns the media file of an entry; raises `ValueError` if there are several."""
    value = next((entry[name] for name in names if entry.get(name)), None)
    if isinstance(value, list):
        if len(value) > 1:
            raise ValueError(f"entry {example_id!r} has {len(value)} {names[1]}, only one per conversation is allowed")
        value = value[0]
    return None if value is None else str(root / value)


def conversation_turns(entry: Mapping[str, Any], *, example_id: str) -> list[Turn]:
    """The rounds of one conversation, without system messages and placeholders."""
    messages = entry.get("conversations") or entry.get("messages")
    if not isinstance(messages, list):
        raise ValueError(f"entry {example_id!r} must have conversations or messages, but has {sorted(entry)}")
    dialogue = [(_role(message), _content(message)) for message in messages]
    dialogue = [(role, text) for role, text in dialogue if role != "system"]
    turns = []
    for (asker, question), (answerer, answer) in zip(dialogue[::2], dialogue[1::2], strict=False):
        if asker not in ASKING_ROLES or answerer not in ANSWERING_ROLES:
            raise ValueError(
                f"entry {example_id!r} must alternate between user and assistant, got {asker}, {answerer}"
            )
        turns.append(Turn(question, answer))
    return turns


def _role(message: Mapping[str, Any]) -> str:
    return str(message.get("from") or message.get("role"))


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("value", message.get("content", ""))
    if isinstance(content, list):
        content = " ".join(block.get("text", "") for block in content if block.get("type") == "text")
    return PLACEHOLDER.sub(" ", content).strip()
