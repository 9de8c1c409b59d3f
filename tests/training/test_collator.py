"""Batches with labels of answers, emotions and faces, and with missing streams."""

import pytest
import torch
from labelled_clips import write_labelled_clips, write_sound
from tiny_processor import tiny_processor

from microemo.data.clip_features import ClipLoader
from microemo.data.example import NO_QUESTION, EmotionTargets, Example, LabelledUtterance, Turn
from microemo.data.reader_registry import load_examples, read_examples
from microemo.data.stream_dropout import StreamDropout
from microemo.processing.clip_tensors import IGNORE_INDEX
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.collator import MicroEmoDataCollator

SETTINGS = ReadingSettings(num_frames=4, min_frames_per_utterance=1, face_size=16, face_fps=10.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("collated")
    write_labelled_clips(root, count=2)
    write_sound(root / "voice.wav")
    return root


@pytest.fixture(scope="module")
def processor():
    return tiny_processor()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return ClipLoader(SETTINGS, detector=None, cache_dir=tmp_path_factory.mktemp("kept"))


@pytest.fixture
def collator(processor, clips):
    return MicroEmoDataCollator(processor, clips=clips)


def answers(batch, processor):
    return [processor.tokenizer.decode(row[row != IGNORE_INDEX]) for row in batch["labels"]]


def test_labels_cover_the_answers_only(collator, processor, folder):
    batch = collator(list(load_examples("jsonl", folder / "clips.jsonl")))
    end = processor.tokenizer.eos_token
    assert answers(batch, processor) == [
        f"Emotions: happy, relieved.\nReason: the brows move at 0.6 s.{end}",
        f"Emotions: sad.\nReason: the brows move at 0.6 s.{end}",
    ]
    padding = batch["attention_mask"] == 0
    assert padding[:, -1].any() and not padding[:, 0].any(), "padded on the right"


def test_batch_has_labels_of_all_heads(collator, folder):
    batch = collator(list(load_examples("jsonl", folder / "clips.jsonl")))
    names = list(collator.emotion_names)
    emotions = batch["emotion_labels"]
    assert emotions.shape == (2, 2, 30) and (emotions[0, 0] == 1).nonzero()[:, 0].tolist() == [
        names.index("joy"),
        names.index("relief"),
    ]
    assert batch["valence_arousal_labels"][:, :, 0].tolist() == [[0.5, 0.5], [-0.5, -0.5]]
    assert (batch["valence_arousal_labels"][:, :, 1] == IGNORE_INDEX).all()
    times, micro = batch["face_times"][0], batch["micro_labels"][0]
    assert micro.bool().tolist() == ((times >= 0.5) & (times <= 0.8)).tolist()
    happiness, neutral = collator.expression_ids["happiness"], collator.expression_ids["neutral"]
    at_apex = (times - 0.6).abs().argmin()
    assert batch["expression_labels"][0, at_apex] == happiness and batch["expression_labels"][0, 0] == neutral
    units = batch["action_unit_labels"][0]
    torch.testing.assert_close(units[:, 0], 1 - (times - 1).abs(), atol=1e-3, rtol=0)
    assert (units[:, 1] == IGNORE_INDEX).all(), "AU2 was not measured"
    assert batch["face_track_ids"].shape == batch["micro_labels"].shape


def test_clips_of_a_batch_may_lack_different_streams(collator, processor, folder):
    full = next(read_examples("jsonl", folder / "clips.jsonl"))
    voice = Example("v", audio=str(folder / "voice.wav"), targets=EmotionTargets(closed_label="anger"))
    words = Example("w", utterances=(LabelledUtterance("thanks", targets=EmotionTargets(emotions=("gratitude",))),))
    batch = collator([full, voice, words])
    assert batch["frame_mask"].any(1).tolist() == [True, False, False]
    assert batch["audio_mask"].flatten(1).any(1).tolist() == [True, True, False]
    assert batch["face_mask"].any(1).tolist() == [True, False, False]
    assert (batch["micro_labels"][1:] == IGNORE_INDEX).all()
    assert (batch["emotion_labels"][1:, 1] == IGNORE_INDEX).all(), "these have one utterance"
    assert answers(batch, processor)[1:] == ["", ""], "no language labels without an answer"
    anger, annoyance = (collator.emotion_names.index(name) for name in ("anger", "annoyance"))
    assert batch["emotion_labels"][1, 0, anger] == 1 and batch["emotion_labels"][1, 0, annoyance] == IGNORE_INDEX
    unknown = (batch["emotion_labels"][2, 0] == IGNORE_INDEX).nonzero()[:, 0].tolist()
    assert [collator.emotion_names[index] for index in unknown] == ["calm", "boredom"], (
        "not among the labels of GoEmotions"
    )


def test_padding_does_not_change_a_row(collator, folder):
    full = next(read_examples("jsonl", folder / "clips.jsonl"))
    words = Example("w", utterances=(LabelledUtterance("thanks"),))
    alone, mixed = collator([full]), collator([words, full])
    for name, value in alone.items():
        row = mixed[name][1][tuple(slice(size) for size in value.shape[1:])]
        assert torch.equal(row, value[0]), name


def test_batch_without_faces_has_no_face_labels(collator):
    batch = collator([Example("w", utterances=(LabelledUtterance("thanks"),))])
    assert (batch["labels"] == IGNORE_INDEX).all() and "micro_labels" not in batch
    assert "pixel_values_videos" not in batch and "face_track_ids" not in batch


def test_example_with_its_own_question(collator, processor, folder):
    turn = Turn("How does she feel? <|im_end|>", "Fine.")
    batch = collator([Example("v", audio=str(folder / "voice.wav"), turn=turn)])
    text = processor.tokenizer.decode(batch["input_ids"][0])
    assert "How does she feel?" in text and text.count(processor.tokenizer.eos_token) == 3
    assert answers(batch, processor) == [f"Fine.{processor.tokenizer.eos_token}"]


def test_question_index_selects_the_question(collator, processor, folder):
    first = next(read_examples("jsonl", folder / "clips.jsonl"))
    rows = [{**first.to_row(), "question_index": index} for index in (2, NO_QUESTION)]
    batch = collator(rows)
    text = processor.tokenizer.decode(batch["input_ids"][0])
    assert "in [2] (1.0-1.9 s)" in text
    assert answers(batch, processor)[1] == ""


def test_hidden_streams_mask_the_answer(processor, clips, folder):
    rows = list(load_examples("jsonl", folder / "clips.jsonl"))
    blind = MicroEmoDataCollator(processor, clips=clips, dropout=StreamDropout(pictures=1.0))(rows)
    assert "pixel_values_videos" not in blind and "face_pixel_values" not in blind
    assert answers(blind, processor) == ["", ""] and (blind["emotion_labels"] == 1).any()
    mute = MicroEmoDataCollator(processor, clips=clips, dropout=StreamDropout(words=1.0, voice=1.0))(rows)
    assert "input_features" not in mute and "at last" not in processor.tokenizer.decode(mute["input_ids"][0])
    everything = StreamDropout(words=1.0, voice=1.0, pictures=1.0)
    unchanged = MicroEmoDataCollator(processor, clips=clips, dropout=everything)(rows)
    assert "input_features" in unchanged and "pixel_values_videos" in unchanged, "at least one stream remains"


def test_dropout_uses_torchs_generator(processor, clips, folder):
    rows = list(load_examples("jsonl", folder / "clips.jsonl")) * 4
    collator = MicroEmoDataCollator(processor, clips=clips, dropout=StreamDropout(voice=0.5))
    torch.manual_seed(3)
    first = collator(rows)["audio_mask"].flatten(1).any(1)
    torch.manual_seed(3)
    again = collator(rows)["audio_mask"].flatten(1).any(1)
    assert torch.equal(first, again) and first.any() and not first.all()


def test_unreadable_examples_raise_or_are_skipped(processor, clips, folder):
    good, bad = next(read_examples("jsonl", folder / "clips.jsonl")), Example("gone", video=str(folder / "gone.mp4"))
    with pytest.raises(ValueError, match="example 'gone'"):
        MicroEmoDataCollator(processor, clips=clips)([good, bad])
    skipping = MicroEmoDataCollator(processor, clips=clips, unreadable="skip")
    assert len(skipping([good, bad])["input_ids"]) == 1
    with pytest.raises(ValueError, match="none of 1 examples"):
        skipping([bad])
    with pytest.raises(ValueError, match="unreadable .'ignore'"):
        MicroEmoDataCollator(processor, unreadable="ignore")


def test_face_rate_dropout_keeps_every_second_crop(processor, clips, folder):
    rows = list(load_examples("jsonl", folder / "clips.jsonl", take=1))
    every = MicroEmoDataCollator(processor, clips=clips)(rows)
    second = MicroEmoDataCollator(processor, clips=clips, dropout=StreamDropout(face_rate=1.0))(rows)
    assert torch.equal(second["face_times"], every["face_times"][:, ::2])
    assert torch.equal(second["action_unit_labels"], every["action_unit_labels"][:, ::2])
    assert torch.equal(second["labels"], every["labels"]), "the answer is not masked"
