"""The package's JSON lines and the labels of synthetic clips."""

import json

import numpy as np
import pytest
from labelled_clips import labelled_record, place_file

from microemo.data.action_units import LABELS
from microemo.data.reader_registry import read_examples
from microemo.processing.clip import Utterance
from microemo.synthesis.script.truth import ClipTruth, FaceEvent, Feeling, UtteranceTruth


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "\n", encoding="utf-8")
    return path


def test_every_label_is_read(tmp_path):
    (example,) = read_examples("jsonl", write_lines(tmp_path / "a.jsonl", labelled_record("a.mp4", faces="a.npy")))
    assert example.video == str(tmp_path / "a.mp4") and example.faces == str(tmp_path / "a.npy")
    assert example.targets.open_labels == ("happy", "relieved")
    assert example.targets.description == "the brows move at 0.6 s." and example.targets.valence == 0.5
    assert [each.start_seconds for each in example.utterances] == [0.1, 1.0]
    assert example.utterances[0].speaker == "Anna" and example.utterances[0].targets.emotions == ("joy", "relief")
    assert example.timeline.events[0].apex_seconds == 0.6
    assert example.timeline.unit_values.tolist() == [[0.0, 0.0], [1.0, 0.5], [0.0, 0.0]]


def test_records_with_only_words_or_only_audio(tmp_path):
    lines = write_lines(
        tmp_path / "a.jsonl",
        {"utterances": [{"text": "thanks", "goemotions": ["gratitude"]}]},
        {"audio": "a.wav", "emotion": "anger"},
    )
    words, sound = read_examples("jsonl", lines)
    assert words.video is None and words.timeline is None and words.utterances[0].text == "thanks"
    assert sound.audio == str(tmp_path / "a.wav") and sound.targets.closed_label == "anger"


def test_labels_of_a_synthetic_clip_are_read(tmp_path):
    place_file(tmp_path / "clips" / "clip_1_000002.mp4")
    feeling = Feeling(("calm",), "neutral", ("neutral",), 0.1, -0.2, "Emotions: calm.\nReason: the face is at rest.")
    units = np.zeros((3, len(LABELS)), np.float32)
    units[1, 2] = 0.5
    truth = ClipTruth(
        clip_id="clip_1_000002",
        seed=1,
        index=2,
        identity="x",
        width=64,
        height=48,
        duration_seconds=2.0,
        frame_times=np.array([0.0, 0.5, 1.0]),
        action_units=units,
        events=(FaceEvent("micro", "anger", ("AU4",), 0.3, 0.4, 0.6, 0.5),),
        utterances=(
            UtteranceTruth(Utterance(0.1, 1.5, "well", "Anna"), feeling, "neutral", "neutral", "", "espeak-ng"),
        ),
        feeling=feeling,
    )
    (tmp_path / "truth.jsonl").write_text(truth.to_json() + "\n", encoding="utf-8")
    (example,) = read_examples("jsonl", tmp_path / "truth.jsonl")
    assert example.video == str(tmp_path / "clips" / "clip_1_000002.mp4")
    assert example.targets.description == "the face is at rest." and example.targets.arousal == -0.2
    assert example.timeline.unit_names == LABELS and example.timeline.unit_values[1, 2] == 0.5
    assert example.timeline.events[0].kind == "micro" and example.utterances[0].end_seconds == 1.5


def test_a_clip_id_means_the_file_of_its_name(tmp_path):
    place_file(tmp_path / "media" / "voice.wav")
    lines = write_lines(tmp_path / "a.jsonl", {"clip_id": "voice", "emotion": "joy"})
    (example,) = read_examples("jsonl", lines, media_root=tmp_path / "media")
    assert example.audio == str(tmp_path / "media" / "voice.wav") and example.video is None
    with pytest.raises(ValueError, match=r"a.jsonl, line 1.*'voice'"):
        list(read_examples("jsonl", lines))


@pytest.mark.parametrize(
    "record", [{"emotion": "joy"}, {"video": "a.mp4", "valence": 3}, {"video": "a.mp4", "utterances": [{"start": 1}]}]
)
def test_an_impossible_line_is_named(tmp_path, record):
    good = labelled_record("a.mp4", faces=None)
    with pytest.raises(ValueError, match=r"a.jsonl, line 2"):
        list(read_examples("jsonl", write_lines(tmp_path / "a.jsonl", good, record)))
