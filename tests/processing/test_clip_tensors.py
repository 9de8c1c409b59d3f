"""Rows of different lengths are padded and masked; clips without a stream get zero rows."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from microemo.processing.clip_tensors import audio_windows, scatter_rows, split_windows, time_sentences, time_tensors

RATE = 16_000


@pytest.mark.parametrize(("samples", "lengths"), [(1, [1]), (10, [10]), (11, [10, 1]), (30, [10, 10, 10])])
def test_windows_cover_the_waveform(samples, lengths):
    windows = split_windows(np.arange(samples), window_samples=10)
    assert [len(window) for window in windows] == lengths
    np.testing.assert_array_equal(np.concatenate(windows), np.arange(samples))


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_invalid_waveforms_are_refused(shape):
    with pytest.raises(ValueError, match="mono waveform"):
        split_windows(np.zeros(shape), window_samples=10)


def test_audio_mask_marks_real_samples():
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=2)
    generator = np.random.default_rng(0)
    waveforms = [generator.normal(size=size).astype(np.float32) for size in (RATE, 5 * RATE // 2)]
    tensors = audio_windows(waveforms, feature_extractor=extractor, sampling_rate=RATE)
    assert tensors["input_features"].shape == (2, 2, 16, 200)
    assert tensors["audio_mask"].sum(-1).tolist() == [[100, 0], [200, 50]]
    expected = extractor(waveforms[1][: 2 * RATE], sampling_rate=RATE, return_tensors="pt")["input_features"][0]
    torch.testing.assert_close(tensors["input_features"][1, 0], expected)


def test_another_sampling_rate_is_refused():
    with pytest.raises(ValueError, match="sampling_rate is 8000, the audio tower needs 16000"):
        audio_windows([np.zeros(9)], feature_extractor=WhisperFeatureExtractor(), sampling_rate=8000)


def test_utterances_are_padded_and_masked():
    tensors = time_tensors([[(0.0, 1.0), (1.5, 2.0)], [], [(0.5, 3.0)]])
    assert tensors["utterance_mask"].tolist() == [[True, True], [False, False], [True, False]]
    assert tensors["utterance_times"][2].tolist() == [[0.5, 3.0], [0.0, 0.0]]
    assert tensors["utterance_times"].dtype == torch.float32


def test_missing_streams_get_zero_rows():
    rows = torch.ones(2, 3)
    assert scatter_rows(rows, present=[True, True]) is rows
    assert scatter_rows(rows, present=[True, False, True]).sum(1).tolist() == [3, 0, 3]
    with pytest.raises(ValueError, match="2 rows for 1 clips"):
        scatter_rows(rows, present=[True, False])


def test_time_sentences():
    seen = []

    def tokenizer(sentences, **settings):
        seen.extend(sentences)
        return {name: torch.arange(len(sentences) * 3).reshape(-1, 3) for name in ("input_ids", "attention_mask")}

    tensors = time_sentences(torch.tensor([[0.0, 1.26], [3.0, 0.0]]), tokenizer=tokenizer)
    assert seen[1] == "This frame is sampled at 1.3 second."
    assert tensors["qformer_input_ids"].shape == (2, 2, 3)
