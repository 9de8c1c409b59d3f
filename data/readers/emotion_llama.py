"""MERR, the instruction data of Emotion-LLaMA: coarse and fine captions, nine classes, and its instructions.

MERR_coarse_grained.json    {"sample_1": {"caption": ..., "text": ...}, ...}
MERR_fine_grained.json      {"sample_1": {"smp_reason_caption": ..., ...}, ...}
MERR_*.txt                  a sample a line: "name class", or "name frames class [valence]"
transcription_en_all.csv    name, sentence
video/                      sample_1.mp4 or .avi, of MER2023
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example, LabelledUtterance, Turn
from microemo.data.readers.media_folders import MediaFolders, keep_sample
from microemo.data.readers.mer import VIDEO_FOLDERS, MerOptions, read_subtitles

MERR_EMOTIONS = ("neutral", "angry", "happy", "sad", "worried", "surprise", "fear", "contempt", "doubt")
CAPTIONS = ("smp_reason_caption", "caption")  # of the fine JSON, of the coarse one
LABEL_FILES = ("MERR_fine_grained.txt", "MERR_coarse_grained.txt")
# labels: no question of its own, the package asks. emotion: one of the nine classes. reason: caption, then class.
TASKS = ("labels", "emotion", "reason")
EMOTION_QUESTION = f"[emotion] Which one of these does the person in the video show: {', '.join(MERR_EMOTIONS)}?"
REASON_QUESTION = "[reason] Reason from face, voice and words: which emotion does the person in the video show?"
CONCLUSION = "So the emotional state is: {label}."
INSTRUCTION = re.compile(
    r"\s*(?:The person in (?:the )?video says: (?P<words>.*?)\.?\s*)?"
    r"\[(?P<task>emotion|reason|reason_v2|infer|caption)\]\s*(?P<question>.*?)\s*",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Instruction:
    """An instruction of Emotion-LLaMA without its placeholders: what is said, which task, what is asked."""

    words: str
    task: str
    question: str


def parse_instruction(text: str) -> Instruction | None:
    """The parts of "The person in video says: WORDS. [TASK] QUESTION"; None for text that is no such instruction."""
    match = INSTRUCTION.fullmatch(text)
    if match is None:
        return None
    return Instruction((match["words"] or "").strip(), match["task"].lower(), match["question"])


def read_merr(
    root: Path, *, split: str = "MERR_fine_grained", tasks: str = "labels", options: MerOptions | None = None
) -> Iterator[Example]:
    """The samples of a split, once for each task.

    Args:
        split: name of the JSON and of the list of classes without ending. A list alone, such as one of MER2023's
            tests, does for the tasks "labels" and "emotion".
        tasks: of `TASKS`, joined by "+".
    """
    options, root = options or MerOptions(), Path(root)
    chosen = tasks.split("+")
    unknown = [task for task in chosen if task not in TASKS]
    if unknown or len(set(chosen)) < len(chosen):
        raise ValueError(f"tasks ({tasks!r}) must be different ones of {', '.join(TASKS)}, joined by +")
    classes = _classes(root, files=(*LABEL_FILES, f"{split}.txt"))
    entries = _entries(root, split=split, chosen=chosen)
    words = read_subtitles(root, language=options.language)
    media = MediaFolders(root, video=VIDEO_FOLDERS)
    for name, entry in entries.items():
        files = media.find(name)
        if not keep_sample(name, files=files, folders=media, missing=options.missing):
            continue
        caption = next((entry[key] for key in CAPTIONS if entry.get(key)), "")
        targets = EmotionTargets(
            open_labels=(classes[name],) if name in classes else (),
            description=" ".join(caption.split()),
            closed_label=classes.get(name),
        )
        for task in chosen:
            yield Example(
                example_id=name if len(chosen) == 1 else f"{name}_{task}",
                video=files.video,
                audio=files.audio,
                faces=files.faces,
                transcript=files.transcript,
                utterances=(LabelledUtterance(entry.get("text") or words.get(name, ""), targets=targets),),
                targets=targets,
                turn=_turn(task, targets, name=name),
            )


def _turn(task: str, targets: EmotionTargets, *, name: str) -> Turn | None:
    label = targets.closed_label
    if task == "labels":
        return None
    if label is None:
        raise ValueError(f"{name} has no class in {', '.join(LABEL_FILES)}, which the task {task!r} needs")
    if task == "emotion":
        return Turn(EMOTION_QUESTION, label, options=MERR_EMOTIONS, task=task)
    if not targets.description:
        raise ValueError(f"{name} has no caption ({' or '.join(CAPTIONS)}), which the task {task!r} needs")
    return Turn(REASON_QUESTION, f"{targets.description} {CONCLUSION.format(label=label)}", task=task)


def _entries(root: Path, *, split: str, chosen: list[str]) -> Mapping[str, Mapping[str, Any]]:
    """Name -> entry of the JSON; of the list of classes where there is no JSON and no caption is needed."""
    captions, labels = root / f"{split}.json", root / f"{split}.txt"
    if captions.is_file():
        entries = json.loads(captions.read_text(encoding="utf-8"))
        if not isinstance(entries, dict):
            raise ValueError(f"{captions} must map names to captions, got a {type(entries).__name__}")
        return entries
    if labels.is_file() and "reason" not in chosen:
        return {name: {} for name in _classes(root, files=(labels.name,))}
    needed = captions if "reason" in chosen else f"{captions} or {labels}"
    raise ValueError(f"split ({split!r}) of {root} needs {needed}; there is none")


def _classes(root: Path, *, files: tuple[str, ...]) -> dict[str, str]:
    """Name -> class of those of the lists that are there."""
    classes: dict[str, str] = {}
    for file in files:
        lines = (root / file).read_text(encoding="utf-8").splitlines() if (root / file).is_file() else []
        for number, line in enumerate(lines, start=1):
            columns = line.split()
            if not columns:
                continue
            label = columns[1 if len(columns) == 2 else 2].lower() if len(columns) > 1 else ""
            if label not in MERR_EMOTIONS:
                raise ValueError(
                    f"{root / file}, line {number} ({line!r}) must be 'name class' or 'name frames class [valence]' "
                    f"with a class of {', '.join(MERR_EMOTIONS)}"
                )
            classes[columns[0]] = label
    return classes
