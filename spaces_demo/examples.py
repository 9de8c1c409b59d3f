"""The clips that a visitor can try at once. All were made from NASA's photograph of Eileen Collins (public domain)
with synthetic voices, so everybody may share them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXAMPLES_FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A clip, its name on the page, and a picture of it."""

    name: str
    title: str

    @property
    def video(self) -> Path:
        """The clip; the real place of a linked one, which is what a web server may be asked for."""
        return (EXAMPLES_FOLDER / f"{self.name}.mp4").resolve()

    @property
    def picture(self) -> Path:
        """A small still of it."""
        return EXAMPLES_FOLDER / f"{self.name}.jpg"


EXAMPLES = (
    Example("astronaut", "“I am not nervous”"),
    Example("three_moods", "Three moods in seven seconds"),
    Example("two_flickers", "Two flickers of half a second"),
)
