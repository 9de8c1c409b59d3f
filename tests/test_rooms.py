"""Rooms import one way: who may know whom, and that no two folders need each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODELING, METRICS = "modeling_microemo", "evaluation.metrics"
# Room -> the rooms that it may import. `inference` assembles microemo-mini when no other model is named, and training
# loads models as strictly as inference does; the command line and the demo may know everybody, and nobody knows them.
ALLOWED = {
    MODELING: set(),
    "processing": set(),
    "data": {"processing"},
    METRICS: {"data"},
    "checkpoints": set(),
    "conversion": {MODELING, "processing", "data", "checkpoints"},
    "inference": {MODELING, "processing", "data", "conversion"},
    "synthesis": {"processing", "data"},
    "training": {MODELING, "processing", "data", METRICS, "conversion", "inference"},
    "evaluation": {MODELING, "processing", "data", METRICS, "inference"},
}
EVERYBODY = {*ALLOWED}
ALLOWED["spaces_demo"] = EVERYBODY
ALLOWED["cli"] = EVERYBODY | {"spaces_demo"}
FILES = sorted(file for room in ALLOWED if "." not in room for file in (ROOT / room).rglob("*.py"))


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module below `microemo`, or of a file below the repository."""
    if not parts or parts[0] not in ALLOWED:
        return MODELING
    return METRICS if parts[:2] == ("evaluation", "metrics") else parts[0]


def imported_rooms(file: Path) -> dict[str, int]:
    """Room -> line of the first import of it."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top == "microemo":
                found.setdefault(room_of(tuple(rest)), node.lineno)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_go_one_way(file):
    room = room_of(file.relative_to(ROOT).with_suffix("").parts)
    # The facade lets people write `from microemo import ...`; the rooms behind it are loaded when they are asked for.
    if room == MODELING and file.name == "__init__.py":
        return
    wrong = {other: line for other, line in imported_rooms(file).items() if other not in {room, *ALLOWED[room]}}
    assert not wrong, f"{room} must not import {wrong}"


def test_no_two_rooms_need_each_other():
    pairs = [(a, b) for a, known in ALLOWED.items() for b in known if a in ALLOWED[b]]
    assert pairs == []
