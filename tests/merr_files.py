"""Made-up samples in MERR's layout."""

from __future__ import annotations

import json
from pathlib import Path

from labelled_clips import place_file, write_clip, write_csv

CLASSES = ("happy", "angry", "sad", "worried", "surprise", "neutral", "fear", "contempt", "doubt", "happy")


def write_merr(folder: Path, *, count: int = 10, playable: bool = False) -> Path:
    """Samples 0, 1, ... with classes in the order of `CLASSES`; the fine captions are of the even ones alone."""
    names = [f"sample_{number:08d}" for number in range(count)]
    coarse = {name: {"caption": f"Brow {name} rises.\nA low voice.", "AU_list": ["AU01"]} for name in names}
    fine = {name: {"smp_reason_caption": f"All clues of {name} agree.", "text": "Oh."} for name in names[::2]}
    for name in names:
        path = folder / "video" / f"{name}.mp4"
        (write_clip if playable else place_file)(path)
    for split, captions in (("MERR_coarse_grained", coarse), ("MERR_fine_grained", fine)):
        (folder / f"{split}.json").write_text(json.dumps(captions), encoding="utf-8")
    long = [f"{name} 35 {label} -1.2" for name, label in zip(names, CLASSES, strict=False)]
    short = [f"{name} {label}" for name, label in zip(names, CLASSES, strict=False)]
    (folder / "MERR_coarse_grained.txt").write_text("\n".join(long) + "\n\n", encoding="utf-8")
    (folder / "MERR_fine_grained.txt").write_text("\n".join(short[::2]), encoding="utf-8")
    write_csv(folder / "transcription_en_all.csv", ("name", "sentence"), *((name, f"Word {name}.") for name in names))
    return folder
