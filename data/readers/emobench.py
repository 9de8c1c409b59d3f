"""EmoBench, the benchmark of EmoLLM: five tasks in six files of questions about pictures and videos.

    emo_c.json     emotion, from options            hate.json      yes or no
    emo_o.json     emotion, named freely            humor.json     yes or no
    intent.json    intent, from options             sarcasm.json   yes or no

The authors have published the form (a picture or video, an instruction, an answer; options in square brackets), not
the files. Read are lists (.json) or lines (.jsonl) of entries with "image" or "video", and "instruction" and "answer"
or a conversation of one round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example, Turn
from microemo.data.readers.conversations import PLACEHOLDER, conversation_turns, json_entries

OPEN_TASK = "emo_o"
YES_NO_TASKS = ("hate", "humor", "sarcasm")
TASKS = ("emo_c", OPEN_TASK, "intent", *YES_NO_TASKS)
EMOTION_TASKS = ("emo_c", OPEN_TASK)
YES_NO = ("yes", "no")
BRACKETS = re.compile(r"\[([^\[\]]+)\]")


def read_emobench(root: Path, *, task: str = "all", media_root: Path | None = None) -> Iterator[Example]:
    """The questions of the tasks whose files are there.

    Args:
        task: one of `TASKS`, several joined by "+", or "all" that have a file.
        media_root: what pictures and videos are relative to; `root` by default.
    """
    root = Path(root)
    chosen = TASKS if task == "all" else tuple(task.split("+"))
    unknown = [name for name in chosen if name not in TASKS]
    if unknown or len(set(chosen)) < len(chosen):
        raise ValueError(f"task ({task!r}) must be all or different ones of {', '.join(TASKS)}, joined by +")
    files = {name: _file(root, name) for name in chosen}
    absent = [name for name, path in files.items() if path is None]
    if len(absent) == len(files) or (absent and task != "all"):
        raise ValueError(f"{root} must hold {' and '.join(f'{name}.json' for name in absent)} (or .jsonl)")
    for name, path in files.items():
        if path is not None:
            yield from _examples(path, task=name, root=root if media_root is None else Path(media_root))


def _file(root: Path, task: str) -> Path | None:
    return next((path for suffix in (".json", ".jsonl") if (path := root / f"{task}{suffix}").is_file()), None)


def _examples(path: Path, *, task: str, root: Path) -> Iterator[Example]:
    rounds = []
    for number, entry in enumerate(json_entries(path)):
        example_id = str(entry.get("id", f"{task}_{number}"))
        question, answer = _round(entry, example_id=example_id, path=path)
        media = entry.get("video") or entry.get("image")
        if not isinstance(media, str):
            raise ValueError(f"{path}, entry {example_id!r} must have an image or a video, got {sorted(entry)}")
        rounds.append((example_id, str(root / media), question, answer.strip().rstrip(".").lower(), entry))
    # Asked freely, an answer is still one of the classes that the file has.
    classes = tuple(sorted({answer for *_, answer, _ in rounds}))
    for example_id, media, question, answer, entry in rounds:
        options = classes if task == OPEN_TASK else _options(entry, question=question, task=task)
        if answer not in options:
            raise ValueError(
                f"{path}, entry {example_id!r}: the answer ({answer!r}) must be one of {', '.join(options) or 'none'}"
            )
        label = answer if task in EMOTION_TASKS else None
        yield Example(
            example_id=example_id,
            video=media,
            targets=EmotionTargets(closed_label=label, open_labels=(label,) if label else ()),
            turn=Turn(question, answer, options=options, task=task),
        )


def _round(entry: Mapping[str, Any], *, example_id: str, path: Path) -> tuple[str, str]:
    """Question and answer without other models' placeholders."""
    if "instruction" in entry and "answer" in entry:
        return PLACEHOLDER.sub(" ", str(entry["instruction"])).strip(), str(entry["answer"])
    turns = conversation_turns(entry, example_id=example_id)
    if len(turns) != 1:
        raise ValueError(f"{path}, entry {example_id!r} must be one round of question and answer, got {len(turns)}")
    return turns[0].question, turns[0].answer


def _options(entry: Mapping[str, Any], *, question: str, task: str) -> tuple[str, ...]:
    """Those of the entry, else those in the last brackets of the question; yes and no where that is the task."""
    listed = entry.get("options")
    if isinstance(listed, list):
        return tuple(str(option).strip().lower() for option in listed)
    if task in YES_NO_TASKS:
        return YES_NO
    found = BRACKETS.findall(question)
    return tuple(option.strip(" '\"").lower() for option in found[-1].split(",")) if found else ()
