"""MERR in its published layout, and the instructions of Emotion-LLaMA."""

import pytest
from merr_files import write_merr

from microemo.data.example import Turn
from microemo.data.reader_registry import read_examples
from microemo.data.readers.emotion_llama import (
    EMOTION_QUESTION,
    MERR_EMOTIONS,
    REASON_QUESTION,
    Instruction,
    parse_instruction,
)


def test_coarse_and_fine_have_their_captions_classes_and_words(tmp_path):
    write_merr(tmp_path)
    coarse = list(read_examples("merr", tmp_path, split="MERR_coarse_grained"))
    fine = list(read_examples("merr", tmp_path))
    assert len(coarse) == 10 and len(fine) == 5
    first, second = coarse[:2]
    assert first.targets.description == "Brow sample_00000000 rises. A low voice."
    assert first.targets.closed_label == "happy" and first.targets.open_labels == ("happy",)
    assert second.targets.closed_label == "angry" and second.utterances[0].text == "Word sample_00000001."
    assert fine[1].targets.description == "All clues of sample_00000002 agree." and fine[1].turn is None
    assert fine[1].utterances[0].text == "Oh." and fine[1].video.endswith("sample_00000002.mp4")


def test_each_task_asks_its_question(tmp_path):
    write_merr(tmp_path)
    emotion, reason, *_ = read_examples("merr", tmp_path, tasks="emotion+reason")
    assert emotion.turn == Turn(EMOTION_QUESTION, "happy", options=MERR_EMOTIONS, task="emotion")
    answer = "All clues of sample_00000000 agree. So the emotional state is: happy."
    assert reason.turn == Turn(REASON_QUESTION, answer, task="reason")
    assert (emotion.example_id, reason.example_id) == ("sample_00000000_emotion", "sample_00000000_reason")
    assert all(parse_instruction(asked) is not None for asked in (EMOTION_QUESTION, REASON_QUESTION))


def test_a_list_of_classes_alone_does_for_the_classes(tmp_path):
    write_merr(tmp_path)
    (tmp_path / "test3.txt").write_text("sample_00000003 35 worried -1.0\n", encoding="utf-8")
    (example,) = read_examples("merr", tmp_path, split="test3", tasks="emotion")
    assert example.turn.answer == "worried" and example.utterances[0].text == "Word sample_00000003."
    with pytest.raises(ValueError, match=r"needs .*test3.json; there is none"):
        list(read_examples("merr", tmp_path, split="test3", tasks="reason"))


@pytest.mark.parametrize(
    ("line", "message"), [("s 35 bored 0", "with a class of neutral, angry"), ("s", "must be 'name class'")]
)
def test_a_class_that_is_none_is_named(tmp_path, line, message):
    write_merr(tmp_path)
    (tmp_path / "MERR_fine_grained.txt").write_text(f"sample_00000000 sad\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"MERR_fine_grained.txt, line 2 .*{message}"):
        list(read_examples("merr", tmp_path))


@pytest.mark.parametrize("tasks", ["emotions", "emotion+emotion", ""])
def test_tasks_are_checked(tmp_path, tasks):
    write_merr(tmp_path)
    with pytest.raises(ValueError, match="must be different ones of labels, emotion, reason"):
        list(read_examples("merr", tmp_path, tasks=tasks))


def test_a_sample_without_class_or_caption_cannot_be_asked(tmp_path):
    write_merr(tmp_path)
    (tmp_path / "MERR_fine_grained.json").write_text('{"sample_00000000": {}, "other": {}}', encoding="utf-8")
    with pytest.raises(ValueError, match="sample_00000000 has no caption"):
        list(read_examples("merr", tmp_path, tasks="reason"))
    with pytest.raises(ValueError, match="other has no class"):
        list(read_examples("merr", tmp_path, tasks="emotion", missing="words"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("The person in video says: No. Never!. [reason] Why?", Instruction("No. Never!", "reason", "Why?")),
        ("[emotion] Which?", Instruction("", "emotion", "Which?")),
        ("How does she feel?", None),
        ("She says [emotion] Which?", None),
    ],
)
def test_instructions(text, parts):
    assert parse_instruction(text) == parts
