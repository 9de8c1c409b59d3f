from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from microemo.processing.speaker_embedding import SAMPLING_RATE, SpeakerEmbedder


def buzz(*, seconds=4.0):
    """A square wave of 120 Hz, amplitude-modulated at 3 Hz."""
    times = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    swing = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * times)
    return (0.1 * np.sign(np.sin(2 * np.pi * 120 * times)) * swing).astype(np.float32)


@pytest.fixture(scope="module")
def embedder():
    torch.manual_seed(0)
    return SpeakerEmbedder()


def test_embeddings_have_unit_length_for_any_duration(embedder):
    vectors = embedder.embed([buzz(), buzz(seconds=0.05), np.zeros(8000, dtype=np.float32)])
    assert vectors.shape == (3, 192) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 192)


def test_embeddings_do_not_depend_on_loudness(embedder):
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLING_RATE).astype(np.float32)
    torch.testing.assert_close(embedder.features(noise), embedder.features(0.1 * noise), atol=1e-2, rtol=0)


def test_features_are_mean_normalised_mel_bands(embedder):
    features = embedder.features(buzz(seconds=1.0))
    assert features.shape == (98, 80)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(80), atol=1e-4, rtol=0)


def test_audio_must_be_mono(embedder):
    with pytest.raises(ValueError, match=r"waveform must be mono sound \(S,\), got shape \(2, 100\)"):
        embedder.embed([np.zeros((2, 100), dtype=np.float32)])


def test_round_trip_and_wrong_weights(embedder, tmp_path):
    save_file(embedder.net.state_dict(), tmp_path / "model.safetensors")
    loaded = SpeakerEmbedder.from_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded.embed([buzz()]), embedder.embed([buzz()]))
    weights = embedder.net.state_dict()
    weights.pop("head.conv1.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"does not hold the weights of the speaker embedder[\s\S]*head\.conv1\.weight"
    ):
        SpeakerEmbedder.from_pretrained(tmp_path)


@pytest.mark.slow
def test_real_weights_equal_the_original_implementation(assembled_mini: Path):
    """Expected values from 3D-Speaker's CAM++ code with the same weights."""
    (vector,) = SpeakerEmbedder.from_pretrained(assembled_mini / "speaker_embedding").embed([buzz()])
    expected = [-0.0735, -0.0020, 0.0491, -0.0772, -0.0733, 0.0701, -0.0101, -0.0300]
    np.testing.assert_allclose(vector[:8], expected, atol=2e-4)
