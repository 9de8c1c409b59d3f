"""Streams may be missing; tokens and features must match."""

import re

import pytest
import torch
from tiny_model import (
    AUDIO_TOKEN_ID,
    UTTERANCE_END_TOKEN_ID,
    VIDEO_TOKEN_ID,
    collate,
    tiny_clip,
    tiny_model,
)

from microemo import MicroEmoForConditionalGeneration

HEADS = ("emotion_logits", "valence_arousal", "micro_logits", "expression_logits", "action_unit_logits")
STREAMS = {
    "video": ("pixel_values_videos", "frame_times", "frame_mask"),
    "audio": ("input_features", "audio_mask"),
    "face": ("face_pixel_values", "face_times", "face_mask"),
}


@pytest.fixture(scope="module")
def model():
    return tiny_model(MicroEmoForConditionalGeneration)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def without(clip, stream):
    """The clip as returned by a processor for a missing stream: no tensors and no tokens."""
    clip = {name: value for name, value in clip.items() if name not in STREAMS[stream]}
    token = {"video": VIDEO_TOKEN_ID, "audio": AUDIO_TOKEN_ID, "face": -1}[stream]
    clip["input_ids"] = clip["input_ids"][clip["input_ids"] != token][None]
    clip["attention_mask"] = torch.ones_like(clip["input_ids"])
    return clip


def assert_same_clip(batch_output, row, output, *, length):
    torch.testing.assert_close(batch_output.logits[row, :length], output.logits[0], atol=1e-5, rtol=1e-5)
    for name in HEADS:
        if output.get(name) is not None:
            alone = output[name][0]
            torch.testing.assert_close(batch_output[name][row, : len(alone)], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "missing", [("video",), ("audio",), ("face",), ("video", "audio"), ("video", "audio", "face")]
)
def test_any_stream_may_be_missing(model, missing):
    clip = tiny_clip(2)
    for stream in missing:
        clip = without(clip, stream)
    output = model(**clip)
    assert output.logits.isfinite().all()
    assert output.emotion_logits.shape == (1, 2, 3)
    assert (output.micro_logits is None) == ("face" in missing)


@pytest.mark.parametrize("missing", ["video", "audio", "face"])
def test_a_stream_may_be_missing_in_one_clip_of_a_batch(model, missing):
    whole, other = tiny_clip(2, seed=1), tiny_clip(1, seed=2)
    lacking = without(other, missing)
    row = {**other, "input_ids": lacking["input_ids"], "attention_mask": lacking["attention_mask"]}
    for name in STREAMS[missing]:
        row[name] = torch.zeros_like(other[name])
    together = model(**collate([whole, row]))
    assert_same_clip(together, 0, model(**whole), length=whole["input_ids"].shape[1])
    alone = model(**lacking)
    length = lacking["input_ids"].shape[1]
    torch.testing.assert_close(together.logits[1, :length], alone.logits[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.emotion_logits[1, :1], alone.emotion_logits[0], atol=1e-5, rtol=1e-5)


def test_without_faces_frame_tokens_are_used_alone(model):
    clip = tiny_clip(2)
    blind = {**clip, "face_mask": torch.zeros_like(clip["face_mask"])}
    torch.testing.assert_close(model(**blind).logits, model(**without(clip, "face")).logits)


def test_faces_reach_the_answer(model):
    clip = tiny_clip(2)
    other = {**clip, "face_pixel_values": clip["face_pixel_values"].flip(1)}
    assert not torch.allclose(model(**clip).logits, model(**other).logits, atol=1e-4)


@pytest.mark.parametrize(
    ("stream", "token", "counts"),
    [("video", VIDEO_TOKEN_ID, "tokens per clip [8], features per clip [9]"),
     ("audio", AUDIO_TOKEN_ID, "tokens per clip [5], features per clip [6]")],
)  # fmt: skip
def test_mismatch_of_tokens_and_features_reports_both_counts(model, stream, token, counts):
    clip = tiny_clip(2)
    place = (clip["input_ids"][0] == token).nonzero()[0]
    clip["input_ids"][0, place] = 9
    with pytest.raises(ValueError, match=re.escape(f"{stream} features do not match: {counts}")):
        model(**clip)


def test_counts_are_checked_per_clip(model):
    batch = collate([tiny_clip(1, seed=1), tiny_clip(1, seed=2)])
    batch["input_ids"][0, (batch["input_ids"][0] == VIDEO_TOKEN_ID).nonzero()[0]] = 9
    batch["input_ids"][1, 0] = VIDEO_TOKEN_ID
    with pytest.raises(ValueError, match=re.escape("tokens per clip [5, 7], features per clip [6, 6]")):
        model(**batch)


def test_placeholders_without_features_are_refused(model):
    clip = tiny_clip(2)
    del clip["input_features"], clip["audio_mask"]
    with pytest.raises(ValueError, match=re.escape("tokens per clip [6], features per clip [0]")):
        model(**clip)


def test_mismatch_of_utterance_ends_reports_both_counts(model):
    clip = tiny_clip(2)
    place = (clip["input_ids"][0] == UTTERANCE_END_TOKEN_ID).nonzero()[0]
    clip["input_ids"][0, place] = 9
    with pytest.raises(ValueError, match=re.escape("tokens per clip [1], utterances per clip [2]")):
        model(**clip)


def test_times_in_half_precision_are_refused(model):
    clip = tiny_clip(2)
    with pytest.raises(ValueError, match="frame_times must be float32 or float64, got torch.bfloat16"):
        model(**{**clip, "frame_times": clip["frame_times"].bfloat16()})


def test_features_computed_before_give_the_same_answer(model):
    clip = tiny_clip(2)
    times = {name: clip[name] for name in ("utterance_times", "utterance_mask")}
    faces = model.get_face_features(clip["face_pixel_values"], clip["face_times"])
    video = model.get_video_features(
        clip["pixel_values_videos"], clip["frame_times"], face_features=faces, face_times=clip["face_times"], **times
    )
    audio = model.get_audio_features(clip["input_features"], **times)
    text = {name: clip[name] for name in ("input_ids", "attention_mask")}
    output = model(**text, **times, mm_encoder_outputs={"face": faces, "video": video, "audio": audio})
    torch.testing.assert_close(output.logits, model(**clip).logits)
    torch.testing.assert_close(output.micro_logits, model(**clip).micro_logits)
