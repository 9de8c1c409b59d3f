"""Reader of the package's format, written by `synthesize`: one JSON object per line with all or some of the labels.

{"video": "anna.mp4",
 "labels": ["relieved"], "explanation": "Emotions: relieved.\\nReason: ...", "goemotions": ["relief"],
 "valence": 0.4, "arousal": -0.1,
 "utterances": [{"start_seconds": 0.4, "end_seconds": 2.9, "speaker": "Anna", "text": "At last!",
                 "labels": ["relieved"], "emotion": "happiness"}],
 "events": [{"kind": "micro", "emotion": "fear", "onset_seconds": 1.1, "apex_seconds": 1.2,
             "offset_seconds": 1.3, "intensity": 0.4}],
 "action_unit_names": ["AU1", "AU2"], "frame_times": [0.0, 0.04], "action_units": [[0, 0], [0.2, 0]]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from microemo.data.example import EmotionTargets, Example, FaceEvent, FaceTimeline, LabelledUtterance
from microemo.data.readers.media_folders import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from microemo.processing.emotion_parsing import parse_emotions

EVENT_FIELDS = ("kind", "emotion", "onset_seconds", "apex_seconds", "offset_seconds", "intensity")


def read_jsonl(path: Path, *, media_root: Path | None = None) -> Iterator[Example]:
    """Reads the examples of a file, one per line.

    A line with a "clip_id" but without "video" and "audio" refers to the video (or audio) of that name in `media_root`
    or in its folder "clips".

    Args:
        media_root: folder to which media paths are relative; by default the folder of the file.
    """
    path = Path(path)
    root = path.parent if media_root is None else Path(media_root)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield example_of_record(json.loads(line), root=root, default_id=f"{path.stem}_{number}")
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error!r}") from error


def example_of_record(record: Mapping[str, Any], *, root: Path, default_id: str) -> Example:
    """Creates the example from the object of one line."""
    example_id = str(record.get("clip_id") or record.get("id") or default_id)
    video, audio = (_path(record.get(name), root=root) for name in ("video", "audio"))
    if video is None and audio is None and "clip_id" in record:
        video = _find_media(example_id, root=root, suffixes=VIDEO_SUFFIXES)
        audio = None if video else _find_media(example_id, root=root, suffixes=AUDIO_SUFFIXES)
        if video is None and audio is None:
            raise ValueError(f"there is no video or audio file named {example_id!r} in {root}")
    return Example(
        example_id=example_id,
        video=video,
        audio=audio,
        faces=_path(record.get("faces"), root=root),
        transcript=_path(record.get("transcript"), root=root),
        utterances=tuple(_utterance(entry) for entry in record.get("utterances", ())),
        targets=targets_of_record(record),
        timeline=_timeline(record) if "events" in record or "action_units" in record else None,
    )


def targets_of_record(record: Mapping[str, Any]) -> EmotionTargets:
    """Returns the labels of a clip or an utterance. An explanation in the answer format is parsed."""
    parsed = parse_emotions(record.get("explanation") or "")
    description = parsed.description if parsed.is_parsed else record.get("explanation") or ""
    return EmotionTargets(
        open_labels=tuple(record.get("labels") or parsed.labels),
        description=description,
        closed_label=record.get("emotion"),
        emotions=tuple(record.get("goemotions") or ()),
        valence=record.get("valence"),
        arousal=record.get("arousal"),
    )


def _utterance(entry: Mapping[str, Any]) -> LabelledUtterance:
    return LabelledUtterance(
        text=entry.get("text") or "",
        start_seconds=entry.get("start_seconds", entry.get("start")),
        end_seconds=entry.get("end_seconds", entry.get("end")),
        speaker=entry.get("speaker"),
        targets=targets_of_record(entry),
    )


def _timeline(record: Mapping[str, Any]) -> FaceTimeline:
    events = tuple(
        FaceEvent(**{name: event[name] for name in EVENT_FIELDS if name in event})
        for event in record.get("events", ())
    )
    names = tuple(record.get("action_unit_names", ()))
    times = np.asarray(record.get("frame_times", ()) if names else (), np.float32)
    values = np.asarray(record.get("action_units", ()), np.float32).reshape(len(times), len(names))
    return FaceTimeline(events=events, unit_names=names, unit_times=times, unit_values=values)


def _path(value: str | None, *, root: Path) -> str | None:
    return None if value is None else str(root / value)


def _find_media(name: str, *, root: Path, suffixes: tuple[str, ...]) -> str | None:
    """Returns the file of that name in `root` or in its folder "clips", used by `synthesize`."""
    paths = [folder / f"{name}{suffix}" for folder in (root, root / "clips") for suffix in suffixes]
    return next((str(path) for path in paths if path.is_file()), None)
