"""Reads the emotion-wheel files of the MER challenges: wheel1.xlsx ... wheel5.xlsx, synonym.xlsx, format.csv.

There are two releases of `format.csv`. In that of MER2025 "fear" is a form of "fearless", so that "fear" counts as
joyful; that of MER2026 corrects this row and sixteen others. Published MER2025 and MER-UniBench figures use the
former. Both are read unchanged; a folder with the wrong row is read with a warning.
"""

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

from microemo.data.emotion_wheel import EmotionWheels, WheelRow, wheel_from_rows
from microemo.evaluation.metrics.label_parsing import parse_labels

try:
    import openpyxl
except ImportError:
    openpyxl = None  # type: ignore[assignment]

WHEEL_COUNT = 5
SYNONYM_RUNS = 8  # runs of a language model: columns word_run1, synonym_run1, ...
JOYFUL_NODES = frozenset({"happy", "joy", "joyful"})  # names of that family on the wheels

# Cells that pandas, used by the challenges' scripts, reads as missing.
MISSING_CELLS = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
)


def read_official_wheels(folder: str | Path) -> EmotionWheels:
    """Returns the wheels of a folder with the challenges' files.

    Raises:
        ValueError: if a file or a column is missing, or a synonym row has a word that is on no wheel.
    """
    folder = Path(folder)
    tables = [list(_wheel_rows(folder / f"wheel{number}.xlsx")) for number in range(1, WHEEL_COUNT + 1)]
    wheel_vocabulary = {word for rows in tables for row in rows for word in row}
    wheels = EmotionWheels(
        name=f"official files in {folder.name}",
        bases=_read_forms(folder / "format.csv"),
        wheel_words=_read_synonyms(folder / "synonym.xlsx", wheel_vocabulary=wheel_vocabulary),
        wheels=tuple(wheel_from_rows(rows) for rows in tables),
    )
    joyful = wheels_where_fear_is_joyful(wheels)
    if joyful:
        numbers = ", ".join(str(number) for number in joyful)
        warnings.warn(
            f"{folder / 'format.csv'} is of the 2025 release: it maps 'fear' to joyful (wheels {numbers}). "
            "Use it to reproduce published figures, and MER2026's format.csv for new ones.",
            stacklevel=2,
        )
    return wheels


def wheels_where_fear_is_joyful(wheels: EmotionWheels) -> tuple[int, ...]:
    """Returns the numbers of the wheels that map "fear" to the joyful family; none for a correct word list."""
    nodes = {rule.wheel or 0: wheels.map_label("fear", rule=rule) for rule in wheels.wheel_rules(level=1)}
    return tuple(number for number, node in nodes.items() if node in JOYFUL_NODES)


def _wheel_rows(path: Path) -> Iterator[WheelRow]:
    """Yields the rows of one wheel. An empty cell repeats the cell above it, at every level."""
    current = ["", "", ""]
    for row in _read_sheet(path, columns=["level1", "level2", "level3"]):
        current = [above if cell is None else cell.lower().strip() for above, cell in zip(current, row, strict=True)]
        yield current[0], current[1], current[2]


def _read_synonyms(path: Path, *, wheel_vocabulary: set[str]) -> dict[str, tuple[str, ...]]:
    """Returns base word -> wheel words, the union of all runs."""
    columns = [f"{kind}_run{run}" for run in range(1, SYNONYM_RUNS + 1) for kind in ("word", "synonym")]
    collected: dict[str, set[str]] = {}
    for row in _read_sheet(path, columns=columns):
        for word, synonyms in zip(row[::2], row[1::2], strict=True):
            if word is None:
                continue
            wheel_word = word.strip().lower()
            if wheel_word not in wheel_vocabulary:
                raise ValueError(f"{path}: {wheel_word!r} must be a word of one of the wheels beside it")
            for synonym in (wheel_word, *parse_labels(synonyms)):
                collected.setdefault(synonym.strip().lower(), set()).add(wheel_word)
    return {base: tuple(sorted(words)) for base, words in collected.items()}


def _read_forms(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns surface form -> base words. Each base word is also a surface form."""
    _require(path)
    collected: dict[str, set[str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        absent = {"name", "format"} - set(reader.fieldnames or ())
        if absent:
            raise ValueError(f"{path} must have the columns name and format, got {reader.fieldnames}")
        for row in reader:
            base, forms = row["name"], row["format"]
            if base in MISSING_CELLS:
                continue
            for form in (base, *([] if forms in MISSING_CELLS else parse_labels(forms))):
                collected.setdefault(form, set()).add(base)
    return {form: tuple(sorted(bases)) for form, bases in collected.items()}


def _read_sheet(path: Path, *, columns: list[str]) -> Iterator[list[str | None]]:
    """Yields the named columns of the first sheet, row by row; an empty cell is None."""
    if openpyxl is None:
        raise ImportError("reading emotion wheels from .xlsx files needs openpyxl: pip install microemo[eval]")
    _require(path)
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [str(cell).strip() for cell in next(rows, ())]
        absent = [column for column in columns if column not in header]
        if absent:
            raise ValueError(f"{path} must have the columns {columns}, got {header}")
        positions = [header.index(column) for column in columns]
        for row in rows:
            yield [_text(row[position]) for position in positions]
    finally:
        book.close()


def _text(cell: object) -> str | None:
    return None if cell is None or str(cell) in MISSING_CELLS else str(cell)


def _require(path: Path) -> None:
    if not path.is_file():
        names = f"wheel1.xlsx to wheel{WHEEL_COUNT}.xlsx, synonym.xlsx and format.csv"
        raise ValueError(f"folder ({path.parent}) must hold {names}; {path.name} is missing")
