"""The review page: what each of its events does to page and files."""

import json

import gradio as gr
import pytest
from labelled_clips import place_file

from microemo.evaluation.labelling.label_files import read_records
from microemo.evaluation.labelling.review_queue import ReviewQueue
from microemo.spaces_demo.review_page import KEYS_SCRIPT, build_review


@pytest.fixture
def queue(tmp_path):
    records = [
        {
            "clip_id": name,
            "video" if suffix == "mp4" else "audio": f"{name}.{suffix}",
            "labels": labels,
            "utterances": [{"text": "Oh.", "start_seconds": 0.0, "end_seconds": 1.0, "speaker": None}],
            "votes": [{"judge": "one", "labels": ["sad"]}, {"judge": "two", "labels": [], "error": "not read"}],
            "reason": "no family of emotions has a majority",
            "verdict": None,
        }
        for name, suffix, labels in (("a", "mp4", []), ("b", "wav", ["happy"]))
    ]
    for name in ("a.mp4", "b.wav"):
        place_file(tmp_path / name)
    (tmp_path / "l.review.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    return ReviewQueue(tmp_path / "l.jsonl")


def events(page):
    """Label of a button, or "labels" and "load" -> the function behind it."""
    blocks, found = page.blocks, {}
    for function in page.fns.values():
        for block_id, event in function.targets:
            block = blocks.get(block_id)
            name = block.value if isinstance(block, gr.Button) else event
            found[name] = function.fn
    return found


def test_every_key_has_its_button_and_every_button_its_effect(queue, tmp_path):
    page = build_review(queue)
    buttons = {block.elem_id for block in page.blocks.values() if isinstance(block, gr.Button)}
    assert buttons == {f"review-{name}" for name in ("accept", "reject", "skip", "back")}
    assert all(f'"{name}"' in KEYS_SCRIPT for name in buttons)
    act = events(page)
    state, video, sound, votes, labels = act["load"]()
    assert "1 of 2" in state and video["value"].endswith("a.mp4") and sound["value"] is None and labels == "sad"
    assert "no family of emotions has a majority" in votes and "| two | not read |" in votes and "> Oh." in votes
    _, video, sound, _, labels = act["Accept (A)"]("sad, tired")
    assert video["value"] is None and sound["value"].endswith("b.wav") and labels == "happy"
    assert [record["labels"] for record in read_records(tmp_path / "l.jsonl")] == [["sad", "tired"]]
    assert "2 of 2 decided" in act["Reject (R)"]()[0]
    assert "2 of 2; 1 decided" in act["Back (B)"]()[0]
    assert "1 of 2 decided" in act["Skip (S)"]()[0]


def test_an_empty_answer_is_said_and_the_clip_stays(queue):
    act = events(build_review(queue))
    with pytest.raises(gr.Error, match="labels of a must be one or more words"):
        act["submit"]("")
    assert queue.item.name == "a"
