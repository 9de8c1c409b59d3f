"""Reader of EMER: explained emotions of MER2023 clips (v1, 100 clips; v2 = EMER-Fine = OV-MERD, 332 clips)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.label_tables import first_column, parse_openset, read_csv_rows
from microemo.data.readers.media_folders import MediaFolders, keep_sample
from microemo.data.readers.mer import NO_LABEL, VIDEO_FOLDERS, MerOptions, read_subtitles

V1_FILES = {"english": "gt-eng.csv", "chinese": "gt-chi.csv"}
V2_FILE = "final-EMER-reason.csv"
OPENSET_FILES = ("check-openset.csv", "ov_store/check-openset.csv")
V1_VIDEO_FOLDERS = (*VIDEO_FOLDERS, "train", "test1", "test2", "test3")  # the clips are MER2023's


def read_emer_v1(root: Path, *, options: MerOptions | None = None) -> Iterator[Example]:
    """Reads EMER v1: `gt-eng.csv` or `gt-chi.csv` (names, emotions, subtitles, reasons) and the videos of MER2023."""
    options, root = options or MerOptions(), Path(root)
    rows = read_csv_rows(root / V1_FILES[options.language], required=("names", "emotions", "subtitles", "reasons"))
    targets = {
        row["names"]: EmotionTargets(open_labels=parse_openset(row["emotions"]), description=row["reasons"])
        for row in rows
    }
    words = {row["names"]: first_column(row, ("subtitles",)) for row in rows}
    return _examples(root, targets, words=words, missing=options.missing)


def read_emer_v2(root: Path, *, options: MerOptions | None = None) -> Iterator[Example]:
    """Reads EMER v2: `final-EMER-reason.csv` (name, chinese, english) and, if present, labels in `check-openset.csv`.

    Without the labels, the examples only have descriptions.
    """
    options, root = options or MerOptions(), Path(root)
    rows = read_csv_rows(root / V2_FILE)
    labels: dict[str, tuple[str, ...]] = {}
    for file in OPENSET_FILES:
        if (root / file).is_file():
            table = read_csv_rows(root / file, required=("name", "openset"))
            labels |= {row["name"]: parse_openset(row["openset"]) or (NO_LABEL,) for row in table}
    order = ("english", "chinese") if options.language == "english" else ("chinese", "english")
    targets = {}
    for row in rows:
        name = first_column(row, ("name", "names"))
        targets[name] = EmotionTargets(open_labels=labels.get(name, ()), description=first_column(row, order))
    words = read_subtitles(root, language=options.language)
    return _examples(root, targets, words=words, missing=options.missing)


def _examples(
    root: Path, targets: dict[str, EmotionTargets], *, words: dict[str, str], missing: str
) -> Iterator[Example]:
    media = MediaFolders(root, video=V1_VIDEO_FOLDERS)
    for name, labels in targets.items():
        files = media.find(name)
        if keep_sample(name, files=files, folders=media, missing=missing):
            yield Example(
                example_id=name,
                video=files.video,
                audio=files.audio,
                faces=files.faces,
                transcript=files.transcript,
                utterances=(LabelledUtterance(words.get(name, ""), targets=labels),),
                targets=labels,
            )
