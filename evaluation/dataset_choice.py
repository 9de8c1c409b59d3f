"""Parses the `--dataset READER:PATH[,name=value,...]` argument and reads the examples it selects."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from microemo.data.example import Example
from microemo.data.reader_registry import READERS, read_examples

SWITCHES = {"true": True, "false": False}


@dataclass(frozen=True)
class DatasetChoice:
    """A reader of `microemo.data` with its path and arguments. take: number of examples to use, from the first."""

    reader: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict)
    take: int | None = None

    @classmethod
    def parse(cls, text: str, *, take: int | None = None) -> DatasetChoice:
        """Parses a text such as "jsonl:clips/truth.jsonl" or "goemotions:data,split=dev,take=500".

        Args:
            take: default for a text without "take".
        """
        reader, _, rest = text.partition(":")
        path, *settings = rest.split(",")
        if reader not in READERS or not path:
            raise ValueError(
                f"dataset ({text!r}) must be READER:PATH[,name=value,...] with a reader of {', '.join(READERS)}"
            )
        arguments: dict[str, Any] = {}
        for setting in settings:
            name, separator, value = setting.partition("=")
            if not separator or not name or not value:
                raise ValueError(f"dataset ({text!r}): {setting!r} must be name=value")
            arguments[name] = int(value) if value.isdecimal() else SWITCHES.get(value, value)
        if "take" in arguments:
            take = _count(arguments.pop("take"), text=text)
        return cls(reader, path, arguments, take)

    def examples(self) -> tuple[Example, ...]:
        """Reads the examples; raises `ValueError` if there are none."""
        examples = tuple(islice(read_examples(self.reader, self.path, **self.arguments), self.take))
        if not examples:
            raise ValueError(f"dataset ({self}) must hold at least one example")
        return examples

    def __str__(self) -> str:
        arguments = {**self.arguments, **({} if self.take is None else {"take": self.take})}
        return ",".join([f"{self.reader}:{self.path}", *(f"{name}={value}" for name, value in arguments.items())])


def _count(value: object, *, text: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"dataset ({text!r}): take ({value}) must be a number of examples")
    return value
