"""The voice readout's fit."""

import pytest
import torch
from tiny_model import tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.training.voice_fit import UNKNOWN, fit_statistics, fit_voice_readout
from microemo.voice_readout import VoiceReadout
from microemo.voice_statistics import VoiceStatistics


def readout():
    torch.manual_seed(0)
    return VoiceReadout(tiny_config(use_voice_readout=True))


def voices(readout: VoiceReadout, *, count: int, seed: int):
    """Statistics of large means, two of which tell three classes apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    values = 30 + 0.2 * torch.randn(count, len(readout.centre), generator=generator)
    values[:, 0] += 0.8 * (labels == 1)
    values[:, 1] += 0.8 * (labels == 2)
    return values, labels


def told(readout: VoiceReadout, values: torch.Tensor) -> torch.Tensor:
    statistics = VoiceStatistics(values[:, None], heard=torch.ones(len(values), 1, dtype=torch.bool))
    return readout.logits(statistics)[:, 0].argmax(-1)


def test_other_recordings_are_told_too():
    fitted = readout()
    values, labels = voices(fitted, count=300, seed=1)
    found = fit_statistics(fitted, values=values, labels=labels, weight_decay=0.05)
    assert found["accuracy"] > 0.9 and found["recordings"] == 300
    others, answers = voices(fitted, count=300, seed=2)
    assert (told(fitted, others) == answers).float().mean() > 0.9


def test_half_precision_files_keep_what_was_fitted():
    fitted = readout()
    values, labels = voices(fitted, count=300, seed=1)
    fit_statistics(fitted, values=values, labels=labels, weight_decay=0.05)
    before = fitted.logits(VoiceStatistics(values[:, None], heard=torch.ones(300, 1, dtype=torch.bool)))
    halved = readout()
    halved.load_state_dict({name: value.half().float() for name, value in fitted.state_dict().items()})
    after = halved.logits(VoiceStatistics(values[:, None], heard=torch.ones(300, 1, dtype=torch.bool)))
    torch.testing.assert_close(after, before, atol=0.02, rtol=0.01)


def test_more_weight_decay_says_less():
    losses = []
    for decay in (0.01, 0.1, 1.0):
        fitted = readout()
        values, labels = voices(fitted, count=100, seed=1)
        losses.append(fit_statistics(fitted, values=values, labels=labels, weight_decay=decay)["loss"])
    assert losses == sorted(losses) and losses[0] < losses[-1]


def batch(labels):
    torch.manual_seed(0)
    return {
        "input_features": torch.randn(2, 1, 8, 100),
        "audio_mask": torch.ones(2, 1, 100, dtype=torch.bool),
        "utterance_times": torch.tensor([[[0.0, 0.3], [0.3, 0.6]]] * 2),
        "utterance_mask": torch.ones(2, 2, dtype=torch.bool),
        "voice_labels": torch.tensor(labels),
    }


def test_utterances_whose_voice_is_not_known_are_left_out():
    model = tiny_model(MicroEmoModel, use_voice_readout=True)
    batches = [batch([[1, UNKNOWN], [2, 3]]), batch([[UNKNOWN, UNKNOWN]] * 2)]
    assert fit_voice_readout(model, batches=batches, weight_decay=0.01)["recordings"] == 3
    assert model.voice_readout.centre.any()


def test_data_without_any_known_voice_is_refused():
    model = tiny_model(MicroEmoModel, use_voice_readout=True)
    with pytest.raises(ValueError, match="none of the examples is a recording whose closed_label"):
        fit_voice_readout(model, batches=[batch([[UNKNOWN, UNKNOWN]] * 2)], weight_decay=0.01)
