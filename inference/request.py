"""What a caller asks of an analysis, beside the source: one value that every step is handed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from microemo.inference.array_json import to_plain
from microemo.inference.report.report import Settings
from microemo.processing.transcript_formats import TranscriptSource, parse_transcript, reusable_source

Mode = Literal["explain", "scores"]
PERSON_RULES = ("speaker", "largest")


@dataclass(frozen=True)
class AnalysisRequest:
    """The arguments of `EmotionAnalyzer`, checked.

    transcript: utterances as `parse_transcript` takes them; None has speech recognised. mode: "scores" leaves the
    explanations out. person: whose face is attended, a rule or a track id. language: of the speech, None detects it.
    audio_track: number of the track to hear, from 0; None takes the default one.

    Raises `ValueError` for a mode or person that does not exist.
    """

    transcript: TranscriptSource | None = None
    mode: Mode = "explain"
    person: str | int = "speaker"
    language: str | None = None
    audio_track: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {get_args(Mode)}, got {self.mode!r}")
        object.__setattr__(self, "person", parse_person(self.person))

    @property
    def settings(self) -> Settings:
        """As the report states them."""
        return Settings(self.mode, str(self.person), self.language, _transcript_name(self.transcript))

    def reusable(self) -> AnalysisRequest:
        """The same request with a transcript that can be read more than once."""
        return self if self.transcript is None else replace(self, transcript=reusable_source(self.transcript))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that are equal for requests that lead to the same findings; reads the transcript."""
        transcript = None if self.transcript is None else to_plain(parse_transcript(self.transcript))
        return {
            "transcript": transcript,
            "mode": self.mode,
            "person": str(self.person),
            "language": self.language,
            "audio_track": self.audio_track,
        }


def parse_person(person: str | int) -> str | int:
    """A rule or a track id; a track id may be given as digits, as from a command line or a form."""
    if isinstance(person, str) and person.isdecimal():
        return int(person)
    if person in PERSON_RULES or (isinstance(person, int) and not isinstance(person, bool) and person >= 0):
        return person
    raise ValueError(f"person must be {', '.join(PERSON_RULES)} or the number of a face track, got {person!r}")


def _transcript_name(transcript: object | None) -> str | None:
    if transcript is None:
        return None
    is_path = isinstance(transcript, Path) or (isinstance(transcript, str) and not set("\n\r") & set(transcript))
    return str(transcript) if is_path else "given"
