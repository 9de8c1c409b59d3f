"""Streams that learn words, without the language model."""

import pytest
import torch
from tiny_model import AUDIO_TOKENS, VIDEO_TOKENS, tiny_clip, tiny_model

from microemo.losses import UNKNOWN
from microemo.training.word_alignment import MicroEmoForWordAlignment


def batch(**changes):
    clip = tiny_clip(num_utterances=2)
    clip["video_word_labels"] = torch.randint(10, 90, (1, 3, VIDEO_TOKENS))
    clip["audio_word_labels"] = torch.randint(10, 90, (1, 3, AUDIO_TOKENS))
    return {**clip, **changes}


@pytest.fixture
def model():
    return tiny_model(MicroEmoForWordAlignment)


def test_a_few_steps_teach_the_words(model):
    clip = batch()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(40):
        loss = model(**clip).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_word_embeddings_and_language_model_are_not_taught(model):
    model(**batch()).loss.backward()
    assert all(parameter.grad is None for parameter in model.model.language_model.parameters())
    assert model.model.global_local_attention.time_embedding.dense.weight.grad is not None


def test_unknown_words_cost_nothing(model):
    clip = batch()
    unknown = {name: torch.full_like(clip[name], UNKNOWN) for name in ("video_word_labels", "audio_word_labels")}
    loss = model(**{**clip, **unknown}).loss
    assert loss.item() == 0.0 and loss.requires_grad


def test_a_stream_that_is_missing_is_left_out(model):
    clip = batch()
    both = model(**clip).loss
    video = model(**{**clip, "input_features": None}).loss
    audio = model(**{**clip, "pixel_values_videos": None}).loss
    torch.testing.assert_close(video + audio, both)


def test_a_shift_moves_the_pictures_and_not_the_sound(model):
    clip = batch()
    shifted = {**clip, "time_shifts": torch.tensor([5.0])}
    no_sound, no_pictures = {"input_features": None}, {"pixel_values_videos": None}
    assert model(**{**shifted, **no_sound}).loss != model(**{**clip, **no_sound}).loss
    assert torch.equal(model(**{**shifted, **no_pictures}).loss, model(**{**clip, **no_pictures}).loss)
