"""LLaVA / ShareGPT conversations and chat messages."""

import json

import pytest

from microemo.data.example import Turn
from microemo.data.reader_registry import read_examples
from microemo.data.readers.emotion_llama import MERR_EMOTIONS


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_llava_conversations_become_one_example_a_round(tmp_path):
    entry = {
        "id": "c1",
        "video": "clips/a.mp4",
        "conversations": [
            {"from": "human", "value": "<video>\nHow does she feel?"},
            {"from": "gpt", "value": "Relieved."},
            {"from": "human", "value": "Why?"},
            {"from": "gpt", "value": "She smiles."},
        ],
    }
    first, second = read_examples("conversations", write_json(tmp_path / "train.json", [entry]))
    assert first.turn == Turn("How does she feel?", "Relieved.") and second.turn == Turn("Why?", "She smiles.")
    assert first.video == str(tmp_path / "clips" / "a.mp4") and first.example_id == "c1_0"


def test_chat_messages_with_lists_of_media(tmp_path):
    entry = {
        "videos": ["a.mp4"],
        "audios": ["a.wav"],
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "<audio>Emotion?"}]},
            {"role": "assistant", "content": "Anger."},
        ],
    }
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    (example,) = read_examples("conversations", path, media_root=tmp_path / "media")
    assert example.turn == Turn("Emotion?", "Anger.") and example.audio == str(tmp_path / "media" / "a.wav")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": ["a.mp4", "b.mp4"]}, "2 videos"),
        ({"videos": None}, "must have a video or audio"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "alternate"),
        ({"messages": None}, "conversations or messages"),
    ],
)
def test_invalid_conversations_are_refused(tmp_path, change, message):
    entry = {
        "videos": ["a.mp4"],
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    }
    with pytest.raises(ValueError, match=message):
        list(read_examples("conversations", write_json(tmp_path / "x.json", [{**entry, **change}])))


def test_instructions_of_emotion_llama_are_taken_apart(tmp_path):
    asked = "<video><VideoHere></video> <feature><FeatureHere></feature> {}[{}] What is it: happy, sad?"
    words = "The person in video says: I won. At last.. "
    rounds = [("emotion", words, "Happy"), ("reason", "", "The lips rise.")]
    entry = {
        "id": "c1",
        "video": "a.mp4",
        "conversations": [
            message
            for task, said, answer in rounds
            for message in ({"from": "human", "value": asked.format(said, task)}, {"from": "gpt", "value": answer})
        ],
    }
    first, second = read_examples("conversations", write_json(tmp_path / "x.json", [entry]))
    assert first.turn == Turn("What is it: happy, sad?", "happy", options=MERR_EMOTIONS, task="emotion")
    assert first.utterances[0].text == "I won. At last." and first.targets.closed_label == "happy"
    assert second.turn == Turn("What is it: happy, sad?", "The lips rise.", task="reason")
    assert second.utterances == () and second.targets.closed_label is None
