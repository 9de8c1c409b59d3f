"""Readers of question-and-answer data: LLaVA / ShareGPT conversations, chat messages, and MERR."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example, LabelledUtterance, Turn
from microemo.data.readers.media_folders import MediaFolders, keep_sample
from microemo.data.readers.mer import VIDEO_FOLDERS, MerOptions, read_subtitles

ASKING_ROLES = ("human", "user")
ANSWERING_ROLES = ("gpt", "assistant", "bot")
# Placeholders of other models: <video>, <image>, <audio>, <ImageHere>, <video><VideoHere></video>, ...
PLACEHOLDER = re.compile(r"</?(?:video|image|audio|speech|\w*Here)>", re.IGNORECASE)
MERR_CAPTIONS = ("smp_reason_caption", "caption")
MERR_LABELS = ("MERR_fine_grained.txt", "MERR_coarse_grained.txt")


def read_conversations(path: Path, *, media_root: Path | None = None) -> Iterator[Example]:
    """Reads LLaVA / ShareGPT JSON or JSON lines; each pair of question and answer becomes one example.

    Entries have "conversations" ({"from", "value"}) or "messages" ({"role", "content"}), and "video" / "videos",
    "audio" / "audios". System messages and placeholders of other models are dropped, as this package's prompt contains
    the streams. Earlier turns are not part of the example.

    Args:
        media_root: folder to which media paths are relative; by default the folder of the file.
    """
    path = Path(path)
    root = path.parent if media_root is None else Path(media_root)
    for number, entry in enumerate(_json_entries(path)):
        example_id = str(entry.get("id", f"{path.stem}_{number}"))
        video = _media(entry, names=("video", "videos"), root=root, example_id=example_id)
        audio = _media(entry, names=("audio", "audios"), root=root, example_id=example_id)
        if video is None and audio is None:
            raise ValueError(f"{path}, entry {example_id!r} must have a video or audio")
        for turn_number, turn in enumerate(_turns(entry, example_id=example_id)):
            yield Example(example_id=f"{example_id}_{turn_number}", video=video, audio=audio, turn=turn)


def read_merr(root: Path, *, split: str = "MERR_fine_grained", options: MerOptions | None = None) -> Iterator[Example]:
    """Reads MERR of Emotion-LLaMA: `MERR_fine_grained.json` or `MERR_coarse_grained.json`, name -> captions.

    The classes come from `MERR_*.txt` ("name frames emotion ..."); missing words come from subtitle tables of MER2023.
    """
    options, root = options or MerOptions(), Path(root)
    entries = json.loads((root / f"{split}.json").read_text(encoding="utf-8"))
    if not isinstance(entries, dict):
        raise ValueError(f"{root / split}.json must map names to captions, got a {type(entries).__name__}")
    classes = _merr_classes(root)
    words = read_subtitles(root, language=options.language)
    media = MediaFolders(root, video=VIDEO_FOLDERS)
    for name, entry in entries.items():
        files = media.find(name)
        if not keep_sample(name, files=files, folders=media, missing=options.missing):
            continue
        description = next((entry[key] for key in MERR_CAPTIONS if entry.get(key)), "")
        targets = EmotionTargets(
            open_labels=(classes[name],) if name in classes else (),
            description=" ".join(description.split()),
            closed_label=classes.get(name),
        )
        yield Example(
            example_id=name,
            video=files.video,
            audio=files.audio,
            faces=files.faces,
            transcript=files.transcript,
            utterances=(LabelledUtterance(entry.get("text") or words.get(name, ""), targets=targets),),
            targets=targets,
        )


def _json_entries(path: Path) -> list[Mapping[str, Any]]:
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


def _turns(entry: Mapping[str, Any], *, example_id: str) -> list[Turn]:
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


def _merr_classes(root: Path) -> dict[str, str]:
    classes: dict[str, str] = {}
    for file in MERR_LABELS:
        if (root / file).is_file():
            rows = [line.split() for line in (root / file).read_text(encoding="utf-8").splitlines()]
            classes |= {row[0]: row[2] for row in rows if len(row) > 2}
    return classes
