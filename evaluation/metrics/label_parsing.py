"""Parses label lists as the MER challenges write them: Python-like text in one cell of a table."""

import math
import re
from collections.abc import Iterable, Mapping

import numpy as np

LabelCell = str | float | Iterable[str] | None  # a text, a missing cell (None or NaN), or a list of labels


def parse_labels(cell: LabelCell) -> list[str]:
    """Returns the labels of one cell, stripped, in their order, with repetitions and letter case.

    The rules are those of the challenges' reader: one leading `[` and one trailing `]` are removed, the rest is split
    at every `'`, `"` and comma, and blank pieces are dropped. An apostrophe inside a word therefore splits it.

        "['happy', 'at ease']"  -> ["happy", "at ease"]
        "happy, sad"            -> ["happy", "sad"]
        "[\"don't believe\"]"   -> ["don", "t believe"]
        "", None, NaN           -> []
    """
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return []
    if isinstance(cell, str):
        text = cell.removeprefix("[").removesuffix("]")
        return [piece.strip() for piece in re.split("['\",]", text) if piece.strip()]
    if isinstance(cell, Iterable) and not isinstance(cell, bytes | Mapping):
        return [str(label).strip() for label in cell if str(label).strip()]
    raise ValueError(f"cell ({cell!r}) must be a text, an iterable of labels, None or NaN")


def parse_label_groups(text: str) -> list[list[str]]:
    """Returns the groups of a list of lists written as text, as answered by a language model.

    The text is split at every bracket, each piece at every quote; blank pieces and commas are dropped.

        "[['happy', 'glad'], ['sad']]" -> [["happy", "glad"], ["sad"]]
    """
    pieces = [piece for piece in re.split(r"[\[\]]", text) if piece.strip() not in ("", ",")]
    return [[word for word in re.split("['\"]", piece) if word.strip() not in ("", ",")] for piece in pieces]


def group_mapping(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Returns word -> first word of its group. A word in several groups belongs to the last of them."""
    mapping = {}
    for group in groups:
        words = list(group)
        mapping.update(dict.fromkeys(words, words[0]))
    return mapping
