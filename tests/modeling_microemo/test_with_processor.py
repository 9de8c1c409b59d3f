"""Processor and model together, in every mode and with any stream missing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import LLAMA, PART, WHISPER, tiny_model
from tiny_processor import VOCAB_SIZE, tiny_processor

from microemo import MicroEmoForConditionalGeneration
from microemo.processing.clip import Clip, Utterance

SECONDS, SAMPLING_RATE = 5.0, 16_000
MODES = {
    "utterance": {},
    "clip": {"utterance_mode": "clip"},
    "window": {"utterance_mode": "window", "window_frames": 4, "window_stride": 3},
}
MISSING = {
    "video": {"frames": None, "frame_times": None},
    "audio": {"waveform": None},
    "face": {"face_crops": None, "face_times": None, "face_track_ids": None},
}


def clip_of(num_frames=8, num_faces=20, *, seed=0):
    generator = np.random.default_rng(seed)
    return Clip(
        source="synthetic",
        start_seconds=10.0,  # tensors are relative to it
        end_seconds=10.0 + SECONDS,
        utterances=(Utterance(10.5, 12.0, "well", "Anna"), Utterance(13.0, 14.5, "no", None)),
        frames=generator.integers(0, 256, (num_frames, 32, 32, 3), dtype=np.uint8),
        frame_times=10.0 + np.linspace(0, SECONDS, num_frames, endpoint=False),
        face_crops=generator.integers(0, 256, (num_faces, 16, 16, 3), dtype=np.uint8),
        face_times=10.5 + np.linspace(0, 4, num_faces),
        face_track_ids=np.zeros(num_faces, dtype=np.int64),
        utterance_track_ids=(0, 0),
        waveform=generator.standard_normal(int(SECONDS * SAMPLING_RATE)).astype(np.float32) * 0.1,
        sampling_rate=SAMPLING_RATE,
    )


def measured(clip, *, absent=(), seed=3):
    """The clip with facial measurements for all faces but those with indices in `absent`."""
    generator, count = np.random.default_rng(seed), len(clip.face_times)
    mask = ~np.isin(np.arange(count), absent)
    values = {"face_actions": (0.0, 1.0, 52), "head_pose": (-20.0, 20.0, 3), "gaze": (-20.0, 20.0, 2)}
    arrays = {
        name: (generator.uniform(low, high, (count, size)) * mask[:, None]).astype(np.float32)
        for name, (low, high, size) in values.items()
    }
    return replace(clip, face_actions_mask=mask, **arrays)


def pair(**settings):
    """A tiny processor, and a tiny model for its tokens."""
    processor = tiny_processor(video_tokens_per_segment=3, audio_tokens_per_segment=2, **settings)
    token_id = processor.tokenizer.convert_tokens_to_ids
    model = tiny_model(
        MicroEmoForConditionalGeneration,
        audio_config={**WHISPER, "num_mel_bins": 16, "max_source_positions": 100},
        text_config={**LLAMA, "vocab_size": VOCAB_SIZE, "max_position_embeddings": 4096},
        qformer_config={**PART, "num_query_tokens": 4, "vocab_size": VOCAB_SIZE},
        video_token_id=token_id("<|video|>"),
        audio_token_id=token_id("<|audio|>"),
        utterance_end_token_id=token_id("<|utterance_end|>"),
        **settings,
    )
    return processor, model


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("missing", [None, *MISSING])
def test_a_clip_is_read_in_every_mode(mode, missing):
    processor, model = pair(**MODES[mode])
    clip = (
        clip_of()
        if missing is None
        else replace(clip_of(), **MISSING[missing], missing_reasons={missing: "for the test"})
    )
    with torch.no_grad():
        output = model(**processor.from_clip(clip, question="How does Anna feel?"))
    assert output.logits.isfinite().all()
    assert output.emotion_logits.shape == (1, 2, 3)
    assert (output.micro_logits is None) == (missing == "face")


@pytest.mark.parametrize("mode", MODES)
def test_clips_of_different_lengths_in_one_batch(mode):
    processor, model = pair(**MODES[mode])
    clips = [clip_of(), replace(clip_of(5, 7, seed=1), utterances=(), utterance_track_ids=())]
    with torch.no_grad():
        together = model(**processor.from_clip(clips, question="How?")).emotion_logits
        alone = model(**processor.from_clip(clips[0], question="How?")).emotion_logits
    torch.testing.assert_close(together[:1, :2], alone, atol=1e-4, rtol=1e-4)


def test_time_as_a_sentence_is_read():
    processor, model = pair(timestamp="text")
    with torch.no_grad():
        output = model(**processor.from_clip(clip_of(), question="How?"))
    assert output.logits.isfinite().all()


def test_an_answer_is_trained_and_written():
    processor, model = pair()
    inputs = processor.from_clip(clip_of(), question="How?", answer="Emotions: joy.")
    assert model(**inputs).language_loss.isfinite()
    answers = model.generate(**processor.from_clip(clip_of(), question="How?"), max_new_tokens=3, do_sample=False)
    assert len(answers) == 1


@pytest.mark.parametrize("settings", [{"num_beams": 3, "num_return_sequences": 2}, {"num_beams": 2}, {}])
def test_clips_with_different_numbers_of_utterances_are_answered_as_each_alone(settings):
    processor, model = pair()
    one = replace(clip_of(), utterances=(Utterance(10.5, 12.0, "well", "Anna"),), utterance_track_ids=(0,))
    spoken = tuple(Utterance(start, start + 0.8, f"no {start}", "Ben") for start in (10.5, 12.0, 13.5))
    three = replace(clip_of(5, 7, seed=1), utterances=spoken, utterance_track_ids=(0,) * 3)
    settings = {**settings, "max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}

    def answers(*clips):
        inputs = processor.from_clip(list(clips), question="How does she feel?")
        return model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]

    together = answers(one, three)
    assert torch.equal(together, torch.cat([answers(one), answers(three)]))
    assert len(together) == 2 * settings.get("num_return_sequences", 1)
    with torch.no_grad():  # the clips count, even where a random model's likeliest words are the same
        one_next, three_next = (
            model(**processor.from_clip(clip, question="How does she feel?")).logits[0, -1] for clip in (one, three)
        )
    assert not torch.allclose(one_next, three_next, atol=1e-3)
    assert len(together.unique(dim=0)) > 1 or "num_beams" not in settings


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_times_keep_their_precision_wherever_the_inputs_are_sent(dtype):
    processor, model = pair()
    inputs = processor.from_clip([clip_of(), clip_of(5, 7, seed=1)], question="How?")
    times = {name: value.clone() for name, value in inputs.items() if name.endswith("_times")}
    assert times.keys() == {"frame_times", "face_times", "utterance_times"}
    for moved in (inputs.to("cpu", dtype), inputs.to(dtype), inputs.to(device="cpu", dtype=dtype)):
        assert moved["pixel_values_videos"].dtype == moved["input_features"].dtype == dtype
        assert moved["input_ids"].dtype == torch.long
        assert all(torch.equal(moved[name], value) for name, value in times.items())
    if dtype == torch.bfloat16:
        with torch.no_grad():
            assert model.to(dtype)(**inputs).logits.isfinite().all()


def test_inputs_moved_with_to_keep_time_precision():
    processor, _ = pair()
    clip = clip_of()
    videos = processor.video_processor([clip.frames], return_tensors="pt").to("cpu", torch.bfloat16)
    called = processor(text="<|video|>", videos=[clip.frames], return_tensors="pt").to("cpu", torch.bfloat16)
    for inputs in (videos, called):
        assert inputs["pixel_values_videos"].dtype == torch.bfloat16
        assert inputs["frame_times"].dtype == torch.float32


class TestMeasuredFaces:
    def test_actions_are_used_where_measured(self):
        processor, model = pair()
        with torch.no_grad():
            plain, read = (
                model(**processor.from_clip(clip, question="How?")).expression_logits[0]
                for clip in (clip_of(), measured(clip_of(), absent=(0, 7)))
            )
        changed = (read - plain).abs().sum(-1) > 1e-3
        assert (~changed).nonzero().flatten().tolist() == [0, 7]

    def test_batch_of_measured_and_unmeasured_clips(self):
        processor, model = pair()
        clips = [clip_of(seed=1), measured(clip_of(num_faces=9))]
        with torch.no_grad():
            together = model(**processor.from_clip(clips, question="How?")).expression_logits
            alone = [model(**processor.from_clip(clip, question="How?")).expression_logits[0] for clip in clips]
        torch.testing.assert_close(together[0], alone[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together[1, :9], alone[1], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize(("count", "beams"), [(1, 1), (2, 1), (2, 2)])
    def test_an_answer_is_written(self, count, beams):
        processor, model = pair()
        clips = [measured(clip_of(seed=seed)) for seed in range(count)]
        inputs = processor.from_clip(clips if count > 1 else clips[0], question="How does Anna feel?")
        assert {"face_actions", "relative_face_actions", "face_actions_mask", "head_pose", "gaze"} <= set(inputs)
        answers = model.generate(**inputs, max_new_tokens=4, num_beams=beams, do_sample=False)
        assert answers.shape == (count, inputs["input_ids"].shape[1] + 4)
