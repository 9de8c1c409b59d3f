"""What the demo accepts, stated to the visitor and checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microemo.inference.request import parse_person
from microemo.processing.media_index import index_media
from microemo.processing.transcript_formats import FORMATS, parse_transcript

MEGABYTE = 1 << 20
VIDEO_ENDINGS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi")
TRANSCRIPT_ENDINGS = (".srt", ".vtt", ".ass", ".tsv", ".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class Limits:
    """How long and how large a clip may be."""

    max_seconds: float = 90.0
    max_megabytes: int = 50
    max_transcript_megabytes: int = 1

    def __post_init__(self) -> None:
        for name in ("max_seconds", "max_megabytes", "max_transcript_megabytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    def in_words(self) -> str:
        """Such as "up to 90 s and 50 MB; mp4, mov, ..."."""
        endings = ", ".join(ending.removeprefix(".") for ending in VIDEO_ENDINGS)
        return f"up to {self.max_seconds:g} s and {self.max_megabytes} MB; {endings}"


def check_video(path: Path, *, limits: Limits) -> None:
    """Raises `ValueError`, in words for the visitor, for a file that the demo does not take. Cheap checks first."""
    if path.suffix.lower() not in VIDEO_ENDINGS:
        raise ValueError(f"{path.name} is no video that this demo takes: {limits.in_words()}.")
    _check_size(path, megabytes=limits.max_megabytes)
    index = index_media(path)
    if index.end_seconds > limits.max_seconds:
        raise ValueError(
            f"{path.name} lasts {index.end_seconds:.0f} s; this demo takes up to {limits.max_seconds:g} s. "
            "Please cut it, or run microemo on your own machine, where there is no limit."
        )


def check_transcript(path: Path, *, limits: Limits) -> None:
    """Raises `ValueError`, in words for the visitor, for a transcript that cannot be used."""
    if path.suffix.lower() not in TRANSCRIPT_ENDINGS:
        raise ValueError(f"{path.name} is no transcript that this demo takes: {FORMATS}.")
    _check_size(path, megabytes=limits.max_transcript_megabytes)
    parse_transcript(path)


def check_person(person: str) -> None:
    """Raises `ValueError` for what is neither a rule nor the number of a face."""
    parse_person(person.strip())


def _check_size(path: Path, *, megabytes: int) -> None:
    size = path.stat().st_size
    if size > megabytes * MEGABYTE:
        raise ValueError(f"{path.name} has {size / MEGABYTE:.1f} MB; this demo takes up to {megabytes} MB.")
    if size == 0:
        raise ValueError(f"{path.name} is empty.")
