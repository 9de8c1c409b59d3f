"""LLaVA / ShareGPT conversations, chat messages and MERR."""

import json

import pytest
from labelled_clips import place_file, write_csv

from microemo.data.example import Turn
from microemo.data.reader_registry import read_examples


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


@pytest.mark.parametrize(
    ("split", "caption"), [("MERR_fine_grained", "smp_reason_caption"), ("MERR_coarse_grained", "caption")]
)
def test_merr_has_captions_classes_and_words(tmp_path, split, caption):
    place_file(tmp_path / "video" / "sample_1.mp4")
    write_json(tmp_path / f"{split}.json", {"sample_1": {caption: "The brows\nrise.", "AU_list": ["AU01"]}})
    (tmp_path / f"{split}.txt").write_text("sample_1 42 surprise\n", encoding="utf-8")
    write_csv(tmp_path / "transcription-engchi-polish.csv", ("name", "chinese", "english"), ("sample_1", "", "Oh"))
    (example,) = read_examples("merr", tmp_path, split=split)
    assert example.targets.description == "The brows rise." and example.targets.closed_label == "surprise"
    assert example.targets.open_labels == ("surprise",) and example.utterances[0].text == "Oh"
