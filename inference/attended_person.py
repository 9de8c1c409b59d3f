"""Whose face is attended: a rule, or the number of one face track."""

from __future__ import annotations

RULES = ("speaker", "largest")


def parse_person(person: str | int) -> str | int:
    """A rule or a track id; a track id may come as digits, from a command line or a form."""
    if isinstance(person, str) and person.isdecimal():
        return int(person)
    if person in RULES or (isinstance(person, int) and not isinstance(person, bool) and person >= 0):
        return person
    raise ValueError(f"person must be {', '.join(RULES)} or the number of a face track, got {person!r}")
