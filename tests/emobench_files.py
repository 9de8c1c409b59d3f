"""A made-up EmoBench of six files, with two media."""

from __future__ import annotations

import json
from pathlib import Path

CHOICE = "Which one emotion does the picture show? Options: [anger, fear, joy]"


def write_emobench(folder: Path) -> Path:
    """Questions about a.jpg and b.mp4, which are not written; one file is JSON lines, one holds conversations."""
    intent = "What does he want? [ask, praise]"
    entries = {
        "emo_c": [
            {"id": "c0", "image": "a.jpg", "instruction": CHOICE, "answer": "Joy."},
            {"id": "c1", "video": "b.mp4", "instruction": CHOICE, "answer": "fear"},
        ],
        "emo_o": [
            {"id": "o0", "image": "a.jpg", "instruction": "Name the emotion.", "answer": "joy"},
            {"id": "o1", "image": "a.jpg", "instruction": "Name the emotion.", "answer": "anger"},
        ],
        "intent": [
            {
                "id": "i0",
                "video": "b.mp4",
                "conversations": [
                    {"from": "human", "value": f"<video>\n{intent}"},
                    {"from": "gpt", "value": "praise"},
                ],
            }
        ],
        "humor": [{"id": "h0", "video": "b.mp4", "instruction": "Is it funny?", "answer": "Yes"}],
        "sarcasm": [{"id": "s0", "image": "a.jpg", "instruction": "Is it sarcastic?", "answer": "Yes"}],
    }
    for task, rows in entries.items():
        (folder / f"{task}.json").write_text(json.dumps(rows), encoding="utf-8")
    hate = {"image": "a.jpg", "instruction": "Is it hateful?", "answer": "No"}
    (folder / "hate.jsonl").write_text(json.dumps(hate) + "\n", encoding="utf-8")
    return folder
