"""Readers of MER2023, MER2024, MER2025, MER2026, MER-OV and OV-MERD+, as published and as prepared by MERTools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.label_tables import (
    first_column,
    parse_number,
    parse_openset,
    read_csv_rows,
    read_label_npz,
)
from microemo.data.readers.media_folders import MediaFolders, keep_sample

MER_EMOTIONS = ("neutral", "angry", "happy", "sad", "worried", "surprise")
VALENCE_LIMIT = 5.0  # MER annotates valence in -5..5
UNKNOWN_VALENCE = -10.0  # in the npz files
NO_LABEL = "neutral"  # meaning of an empty open set

SUBTITLE_FILES = (
    "subtitle_chieng.csv",
    "subtitle_eng.csv",
    "transcription-engchi-polish.csv",
    "transcription-merge.csv",
    "transcription_merge.csv",
    "label-transcription.csv",
    "transcription_en_all.csv",
)
LANGUAGE_COLUMNS = {
    "english": ("english", "sentence", "chinese"),
    "chinese": ("chinese", "sentence", "english"),
}
VIDEO_FOLDERS = ("video", "video-labeled", "video-unlabeled")
NAME_COLUMNS = ("name", "names", "filename")
REASON_COLUMNS = ("reason", "reasons", "english", "chinese")


@dataclass(frozen=True)
class MerOptions:
    """Options of all MER readers.

    language: preferred language of the subtitles. allow_pickle: allow reading `label-6way.npz`, which can run code.
    missing: "raise" an error for samples without media, "skip" them, or use only their "words".
    """

    language: str = "english"
    allow_pickle: bool = False
    missing: str = "raise"

    def __post_init__(self) -> None:
        if self.language not in LANGUAGE_COLUMNS:
            raise ValueError(f"language ({self.language!r}) must be one of {', '.join(LANGUAGE_COLUMNS)}")


def read_mer2023(root: Path, *, split: str = "train", options: MerOptions | None = None) -> Iterator[Example]:
    """Reads MER2023. split: "train", "test1", "test2" or "test3".

    Raw: `{split}-label.csv` with videos in `{split}/`. Prepared: `label-6way.npz`, `video/`, `audio/`,
    `openface_face/`.
    """
    return _closed_set(root, split=split, options=options, label_file=f"{split}-label.csv", folders=(split,))


def read_mer2024(root: Path, *, split: str = "train", options: MerOptions | None = None) -> Iterator[Example]:
    """Reads MER2024. split: "train"; for the prepared data also "test1" and "test2".

    Raw: `label-disdim.csv` with videos in `video-labeled/`. Prepared: `label-6way.npz`.
    """
    return _closed_set(root, split=split, options=options, label_file="label-disdim.csv", folders=())


def read_mer_tables(root: Path, *, split: str, options: MerOptions | None = None) -> Iterator[Example]:
    """Reads MER2025, MER2026, MER-OV and OV-MERD+: tables of names with classes, open sets or reasons.

    Args:
        root: contains `video/`, `audio/`, `openface_face/` and the tables.
        split: name of the table without ".csv", such as "track2_train_mercaptionplus". Several tables are joined by
            sample: "track2_train_ovmerd+track3_train_ovmerd".
    """
    options = options or MerOptions()
    root = Path(root)
    joined: dict[str, dict[str, str]] = {}
    for table in split.split("+"):
        for row in read_csv_rows(root / f"{table}.csv"):
            name = _name(row, path=root / f"{table}.csv")
            joined.setdefault(name, {}).update(row)
    targets = {name: _table_targets(row) for name, row in joined.items()}
    yield from _examples(root, targets, options=options, folders=())


def _closed_set(
    root: Path, *, split: str, options: MerOptions | None, label_file: str, folders: tuple[str, ...]
) -> Iterator[Example]:
    options = options or MerOptions()
    root = Path(root)
    table = root / label_file
    if table.is_file():
        rows = read_csv_rows(table, required=("name", "discrete"))
        targets = {row["name"]: _table_targets(row) for row in rows}
    else:
        corpora = read_label_npz(root / "label-6way.npz", allow_pickle=options.allow_pickle)
        if f"{split}_corpus" not in corpora:
            raise ValueError(f"split ({split!r}) must be one of {sorted(key[:-7] for key in corpora)}")
        targets = {name: npz_targets(entry) for name, entry in corpora[f"{split}_corpus"].items()}
    yield from _examples(root, targets, options=options, folders=folders)


def _examples(
    root: Path, targets: dict[str, EmotionTargets], *, options: MerOptions, folders: tuple[str, ...]
) -> Iterator[Example]:
    words = read_subtitles(root, language=options.language)
    media = MediaFolders(root, video=(*folders, *VIDEO_FOLDERS))
    for name, labels in targets.items():
        files = media.find(name)
        if keep_sample(name, files=files, folders=media, missing=options.missing):
            yield Example(
                example_id=name,
                video=files.video,
                audio=files.audio,
                faces=files.faces,
                transcript=files.transcript,
                utterances=(LabelledUtterance(words.get(name, ""), targets=labels),),
                targets=labels,
            )


def read_subtitles(root: Path, *, language: str) -> dict[str, str]:
    """Returns name -> text from all available subtitle tables."""
    words: dict[str, str] = {}
    for file in SUBTITLE_FILES:
        if (root / file).is_file():
            rows = read_csv_rows(root / file, required=("name",))
            words |= {row["name"]: first_column(row, LANGUAGE_COLUMNS[language]) for row in rows}
    return words


def npz_targets(entry: dict[str, Any], *, order: tuple[str, ...] = MER_EMOTIONS) -> EmotionTargets:
    """Returns the targets of an npz entry {emo, val}. Emotions are names, or indices in the data set's order."""
    emotion = entry.get("emo")
    if emotion is not None and not isinstance(emotion, str):
        emotion = order[int(emotion)]
    valence = parse_number(entry.get("val"), unknown=UNKNOWN_VALENCE)
    return EmotionTargets(closed_label=emotion, valence=None if valence is None else valence / VALENCE_LIMIT)


def _table_targets(row: dict[str, str]) -> EmotionTargets:
    valence = parse_number(row.get("valence"), unknown=UNKNOWN_VALENCE)
    labels = parse_openset(row["openset"]) or (NO_LABEL,) if "openset" in row else ()
    return EmotionTargets(
        open_labels=labels,
        description=first_column(row, REASON_COLUMNS),
        closed_label=first_column(row, ("discrete",)) or None,
        valence=None if valence is None else valence / VALENCE_LIMIT,
    )


def _name(row: dict[str, str], *, path: Path) -> str:
    name = first_column(row, NAME_COLUMNS)
    if not name:
        raise ValueError(f"{path} must have a column {' or '.join(NAME_COLUMNS)}, but has {list(row)}")
    return name
