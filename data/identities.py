"""Groups photographs by person and assigns people to splits."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test")
SPLIT_SHARES = (0.8, 0.1, 0.1)
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Identity:
    """A person. stills: photographs. sex: of the synthetic voice, pseudo-random from the name, as photographs have no
    such label."""

    name: str
    stills: tuple[Path, ...]

    @property
    def sex(self) -> str:
        return ("female", "male")[_number(f"voice {self.name}") % 2]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def split_of(name: str) -> str:
    """Returns the split of a person. It depends only on the name, not on a seed or on other photographs."""
    position = _number(f"split {name}") / 2**64
    for split, end in zip(SPLITS[:-1], (SPLIT_SHARES[0], SPLIT_SHARES[0] + SPLIT_SHARES[1]), strict=True):
        if position < end:
            return split
    return SPLITS[-1]


def read_identities(folder: str | Path, *, split: str | None = None) -> tuple[Identity, ...]:
    """Returns the people in a folder of photographs, sorted by name.

    Args:
        folder: may contain `labels.csv` (file, emotion, identity), of which only neutral photographs are used, as
            synthetic expressions start from a neutral face. Without it every photograph is a separate person.
        split: "train", "validation" or "test"; None: all people.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f'split ("{split}") must be one of {", ".join(SPLITS)}')
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"stills ({folder}) must be a folder of photographs")
    people = _labelled(folder) if (folder / "labels.csv").is_file() else _unlabelled(folder)
    selected = [identity for identity in people if split is None or split_of(identity.name) == split]
    if not selected:
        raise ValueError(f"stills ({folder}) has no photographs" + (f' in split "{split}"' if split else ""))
    return tuple(sorted(selected, key=lambda identity: identity.name))


def _labelled(folder: Path) -> list[Identity]:
    stills: dict[str, list[Path]] = {}
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["emotion"] == "neutral":
                stills.setdefault(row["identity"], []).append(folder / row["file"])
    return [Identity(name, tuple(sorted(files))) for name, files in stills.items()]


def _unlabelled(folder: Path) -> list[Identity]:
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    return [Identity(path.stem, (path,)) for path in pictures]
