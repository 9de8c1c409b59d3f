"""Readers of MELD as published, and of MELD, IEMOCAP, MOSI, MOSEI and SIMS as prepared by MERTools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.label_tables import parse_number, read_csv_rows, read_label_npz
from microemo.data.readers.media_folders import MediaFolders, keep_sample
from microemo.data.readers.mer import MerOptions, npz_targets, read_subtitles
from microemo.data.readers.public_corpora import in_turn

MELD_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
MELD_EMOTIONS = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
IEMOCAP_EMOTIONS = ("happy", "sad", "neutral", "anger")
# Split in the tables -> video folders in the published archives.
MELD_FOLDERS = {
    "train": ("train_splits",),
    "dev": ("dev_splits_complete",),
    "test": ("output_repeated_splits_test",),
}
PREPARED_FOLDERS = {"video": ("subvideo", "subvideo-tgt", "video"), "audio": ("subaudio", "audio")}


@dataclass(frozen=True)
class PreparedCorpus:
    """Label format of a prepared data set. order: of numbered emotions. val_limit: "val" is in -limit..limit."""

    label_file: str = "label.npz"
    order: tuple[str, ...] = ()
    val_limit: float = 1.0


PREPARED = {
    "meld": PreparedCorpus(order=MELD_EMOTIONS),
    "iemocap": PreparedCorpus("label_4way.npz", order=IEMOCAP_EMOTIONS),
    "mosi": PreparedCorpus(val_limit=3.0),
    "mosei": PreparedCorpus(val_limit=3.0),
    "sims": PreparedCorpus(),
    "simsv2": PreparedCorpus(),
}


def read_meld(
    root: Path, *, split: str = "train", dialogues: bool = False, options: MerOptions | None = None
) -> Iterator[Example]:
    """Reads MELD as published: `{split}_sent_emo.csv` and `dia{D}_utt{U}.mp4`.

    Args:
        split: "train", "dev" or "test".
        dialogues: whether an example is a whole dialogue instead of one utterance. Dialogues have only words, as the
            videos are cut by utterance.
        options: `missing="words"` reads the tables without videos.
    """
    options, root = options or MerOptions(), Path(root)
    if split not in MELD_FOLDERS:
        raise ValueError(f"split ({split!r}) must be one of {', '.join(MELD_FOLDERS)}")
    rows = read_csv_rows(root / f"{split}_sent_emo.csv", required=MELD_COLUMNS)
    if dialogues:
        for number, dialogue in groupby(rows, key=lambda row: row["Dialogue_ID"]):
            utterances = tuple(in_turn([_utterance(row) for row in dialogue]))
            yield Example(example_id=f"{split}_dia{number}", utterances=utterances)
        return
    media = MediaFolders(root, video=(*MELD_FOLDERS[split], split, "video"))
    for row in rows:
        name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
        files = media.find(name)
        if not keep_sample(name, files=files, folders=media, missing=options.missing):
            continue
        utterance = _utterance(row)
        yield Example(
            example_id=f"{split}_{name}",
            video=files.video,
            audio=files.audio,
            faces=files.faces,
            utterances=(utterance,),
            targets=utterance.targets,
        )


def _utterance(row: Mapping[str, str]) -> LabelledUtterance:
    # Typographic characters in the tables are in the Windows code page.
    words = row["Utterance"].replace("\x92", "'").replace("\x85", "...").replace("\x97", "-")
    targets = EmotionTargets(closed_label=row["Emotion"].lower())
    return LabelledUtterance(words, speaker=row["Speaker"] or None, targets=targets)


def read_prepared(
    root: Path, *, corpus: str, split: str = "train", options: MerOptions | None = None
) -> Iterator[Example]:
    """Reads prepared data: `label.npz`, `subvideo/`, `subaudio/`, `openface_face/`, `transcription-engchi-polish.csv`.

    Args:
        corpus: "meld", "iemocap", "mosi", "mosei", "sims" or "simsv2".
        split: "train", "test", ... as named in the npz; "whole" for IEMOCAP.
    """
    options, root = options or MerOptions(), Path(root)
    if corpus not in PREPARED:
        raise ValueError(f"corpus ({corpus!r}) must be one of {', '.join(PREPARED)}")
    layout = PREPARED[corpus]
    corpora = read_label_npz(root / layout.label_file, allow_pickle=options.allow_pickle)
    if f"{split}_corpus" not in corpora:
        raise ValueError(f"split ({split!r}) must be one of {sorted(key[:-7] for key in corpora)}")
    words = read_subtitles(root, language=options.language)
    media = MediaFolders(root, **PREPARED_FOLDERS)
    for name, entry in corpora[f"{split}_corpus"].items():
        files = media.find(name)
        if not keep_sample(name, files=files, folders=media, missing=options.missing):
            continue
        valence = parse_number(entry.get("val"))
        labels = npz_targets({"emo": entry.get("emo")}, order=layout.order)
        targets = EmotionTargets(
            closed_label=labels.closed_label, valence=None if valence is None else valence / layout.val_limit
        )
        yield Example(
            example_id=name,
            video=files.video,
            audio=files.audio,
            faces=files.faces,
            utterances=(LabelledUtterance(words.get(name, ""), targets=targets),),
            targets=targets,
        )
