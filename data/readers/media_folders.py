"""Finds the files of a sample by name in the video, audio and face folders of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".flv")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg")
TRANSCRIPT_SUFFIXES = (".tsv", ".txt", ".srt", ".vtt", ".json")
MISSING_POLICIES = ("raise", "skip", "words")


@dataclass(frozen=True)
class SampleFiles:
    """The files of one sample; None if missing."""

    video: str | None
    audio: str | None
    faces: str | None
    transcript: str | None


@dataclass(frozen=True)
class MediaFolders:
    """Folders below `root`. Each folder is listed only once.

    faces: with `{name}.npy` or `{name}/{name}.npy`. transcripts: with the utterances' times.
    """

    root: Path
    video: Sequence[str] = ("video",)
    audio: Sequence[str] = ("audio",)
    faces: Sequence[str] = ("openface_face",)
    transcripts: Sequence[str] = ("segments",)

    def find(self, name: str) -> SampleFiles:
        """Returns the files of the sample `name`."""
        return SampleFiles(
            video=self._videos.get(name),
            audio=self._audio.get(name),
            faces=self._faces.get(name),
            transcript=self._transcripts.get(name),
        )

    def describe(self) -> str:
        """Returns the searched video folders, for error messages."""
        return f"{', '.join(self.video)} below {self.root}"

    @cached_property
    def _videos(self) -> dict[str, str]:
        return self._listing(self.video, suffixes=VIDEO_SUFFIXES)

    @cached_property
    def _audio(self) -> dict[str, str]:
        return self._listing(self.audio, suffixes=AUDIO_SUFFIXES)

    @cached_property
    def _faces(self) -> dict[str, str]:
        nested = {
            inner.stem: str(inner)
            for folder in self.faces
            for inner in sorted((self.root / folder).glob("*/*.npy"))
            if inner.stem == inner.parent.name
        }
        return nested | self._listing(self.faces, suffixes=(".npy",))

    @cached_property
    def _transcripts(self) -> dict[str, str]:
        return self._listing(self.transcripts, suffixes=TRANSCRIPT_SUFFIXES)

    def _listing(self, folders: Sequence[str], *, suffixes: Sequence[str]) -> dict[str, str]:
        """Returns file stem -> path. The first folder and the first suffix take precedence."""
        paths_by_stem: dict[str, str] = {}
        for folder in folders:
            paths = (self.root / folder).iterdir() if (self.root / folder).is_dir() else ()
            known = [path for path in paths if path.suffix.lower() in suffixes]
            for path in sorted(known, key=lambda path: (suffixes.index(path.suffix.lower()), path.name)):
                paths_by_stem.setdefault(path.stem, str(path))
        return paths_by_stem


def keep_sample(name: str, *, files: SampleFiles, folders: MediaFolders, missing: str) -> bool:
    """Whether a labelled sample can be used: it has video or audio, or `missing` is "words".

    Raises `ValueError` for a sample without both if `missing` is "raise".
    """
    if missing not in MISSING_POLICIES:
        raise ValueError(f"missing ({missing!r}) must be one of {', '.join(MISSING_POLICIES)}")
    if files.video or files.audio or missing == "words":
        return True
    if missing == "raise":
        raise ValueError(
            f'{name} has a label, but no file in {folders.describe()}; missing="skip" skips such samples, '
            'missing="words" uses only their words'
        )
    return False
