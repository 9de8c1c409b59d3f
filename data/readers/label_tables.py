"""Reads the CSV tables and `label*.npz` files of the MER data sets."""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

EMPTY_WORDS = ("", "nan", "none", "null")


def read_csv_rows(path: Path, *, required: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Reads the rows of a CSV file in UTF-8, with or without byte-order mark. Column names are stripped.

    Raises `ValueError` if a required column is missing.
    """
    if not path.is_file():
        raise ValueError(f"path ({path}) must be a CSV file; there is none")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        missing = [name for name in required if name not in columns]
        if missing:
            raise ValueError(f"{path} must have the columns {list(required)}, but has {columns}")
        return [{name: (value or "").strip() for name, value in row.items() if name is not None} for row in reader]


def first_column(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    """Returns the first non-empty value of the named columns, or "". NaN counts as empty."""
    for name in names:
        value = row.get(name, "")
        if value.lower() not in EMPTY_WORDS:
            return value
    return ""


def parse_openset(text: str) -> tuple[str, ...]:
    """Parses the labels of an `openset` cell: a Python list ("['sad', 'helpless']") or comma-separated words."""
    text = text.strip()
    if text.lower() in EMPTY_WORDS:
        return ()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text.strip("[]").split(",")
    entries = value if isinstance(value, (list, tuple, set)) else [value]
    words = [str(entry).strip().strip("'\"").strip() for entry in entries]
    return tuple(word for word in words if word.lower() not in EMPTY_WORDS)


def parse_number(value: Any, *, unknown: float | None = None) -> float | None:
    """Returns a finite number, or None for blanks, NaN and the value `unknown`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if not math.isfinite(number) or number == unknown else number


def read_label_npz(path: Path, *, allow_pickle: bool) -> dict[str, dict[str, dict[str, Any]]]:
    """Reads a `label*.npz`: corpus ("train_corpus", ...) -> name -> {"emo": ..., "val": ...}.

    These files contain pickled dictionaries, and unpickling can run arbitrary code.

    Raises:
        ValueError: if `allow_pickle` is False or the file has other contents.
    """
    if not path.is_file():
        raise ValueError(f"path ({path}) must be an npz file; there is none")
    if not allow_pickle:
        raise ValueError(
            f"{path} holds pickled dictionaries, which can run code when they are read; pass allow_pickle=True if you "
            "trust its source"
        )
    with np.load(path, allow_pickle=True) as stored:
        corpora = {key: stored[key] for key in stored.files}
    tables = {key: value.item() for key, value in corpora.items() if value.shape == () and value.dtype == object}
    invalid = [key for key in corpora if not isinstance(tables.get(key), dict)]
    if invalid:
        raise ValueError(f"{path} must hold only dictionaries, but {invalid} are none")
    return tables
