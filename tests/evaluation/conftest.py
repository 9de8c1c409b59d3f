"""Fixtures: small wheel files in the layout of the challenges, a tiny model and labelled clips."""

import csv

import pytest
from labelled_clips import write_labelled_clips
from tiny_folder import tiny_parts

from microemo.configuration_microemo import TRAINABLE_PARTS
from microemo.data.reader_registry import read_examples
from microemo.inference import chunk_analysis
from microemo.inference.analyzer import EmotionAnalyzer

openpyxl = pytest.importorskip("openpyxl", reason="the official wheel files are .xlsx")

READING = {"num_frames": 4, "min_frames_per_utterance": 1, "face_size": 16, "face_fps": 8.0, "detection_fps": 5.0}

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


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """A random model never ends an answer by itself."""
    monkeypatch.setattr(chunk_analysis, "ANSWER_TOKENS", 4)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A folder of a random model that counts as trained in every part."""
    model, processor = tiny_parts()
    model.config.trained_parts = list(TRAINABLE_PARTS)
    processor.reading_settings = {**processor.reading_settings, **READING}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clips_file(tmp_path_factory):
    """Three clips of squares with every label, and their file of JSON lines."""
    return write_labelled_clips(tmp_path_factory.mktemp("clips"), count=3)


@pytest.fixture(scope="session")
def analyzer(tiny_folder):
    """The analyzer of that folder, which finds no face by itself: the clips bring theirs."""
    return EmotionAnalyzer.from_pretrained(tiny_folder, detector=None)


@pytest.fixture
def examples(clips_file):
    """The clips' examples."""
    return tuple(read_examples("jsonl", clips_file))
