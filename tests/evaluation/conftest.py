"""Tiny wheel files in the layout of the challenges' releases."""

import csv

import pytest

openpyxl = pytest.importorskip("openpyxl", reason="the official wheel files are .xlsx")

# Rows of wheel1.xlsx ... wheel5.xlsx; None is an empty cell, which repeats the one above.
WHEELS = [
    [
        ("Happy", "Playful", "Cheeky"),
        (None, None, " Aroused "),
        (None, "Content", "Joyful"),
        ("Sad", "Lonely", "Isolated"),
        (None, "Guilty", "Ashamed"),
    ],
    [("happy", "confident", "fearless"), ("sad", "guilty", "ashamed"), ("fearful", "scared", "helpless")],
    [("joyful", "cheerful", "fearless"), ("sad", "lonely", "ashamed")],
    [("joy", "content", "pleased"), ("anger", "rage", "furious")],
    [("scared", "anxious", "worried"), ("joyful", "hopeful", "cheerful")],
]

# Wheel word -> synonyms found in run 1; run 2 knows one more for "happy"; the other runs repeat run 1.
SYNONYMS = {
    "happy": "['Glad', 'cheery']",
    "cheerful": "['cheery']",
    "sad": "['unhappy', 'down']",
    "lonely": "['alone', 'down']",
    "scared": "['fear', 'afraid']",
    "fearless": "['bold']",
    "worried": "['concerned']",
    "furious": "['enraged']",
    "ashamed": None,
}

FORMS_2026 = {
    "happy": "happily,happiness,Happy",
    "glad": "gladly,gladness",
    "cheery": "cheer",
    "cheerful": "cheer,cheerfully",
    "sad": "sadly,sadness",
    "down": "downs",
    "alone": "",
    "lonely": "loneliness",
    "fear": "fears,feared",
    "fearless": "fearlessly",
    "worried": "worry,worries",
    "furious": "fury",
    "ashamed": "ashamed",
    "afraid": "afraid",
    "stray": "strays",
}
FORMS_2025 = {**FORMS_2026, "fearless": "fearlessly,fear"}


def write_sheet(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def write_release(folder, *, forms):
    for number, rows in enumerate(WHEELS, start=1):
        write_sheet(folder / f"wheel{number}.xlsx", [("level1", "level2", "level3"), *rows])
    header = [f"{kind}_run{run}" for run in range(1, 9) for kind in ("word", "synonym")]
    rows = [header]
    for word, synonyms in SYNONYMS.items():
        cells = [cell for _ in range(8) for cell in (word.title(), synonyms)]
        if word == "happy":
            cells[3] = "['merry']"
        rows.append(cells)
    write_sheet(folder / "synonym.xlsx", rows)
    with (folder / "format.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "format"), *forms.items()])
    return folder


@pytest.fixture
def folder_2026(tmp_path):
    folder = tmp_path / "mer2026"
    folder.mkdir()
    return write_release(folder, forms=FORMS_2026)


@pytest.fixture
def folder_2025(tmp_path):
    folder = tmp_path / "mer2025"
    folder.mkdir()
    return write_release(folder, forms=FORMS_2025)
