"""Training of the voice classifier. The slow tests need real weights and the corpora of MICROEMO_TEST_DATA."""

import json

import numpy as np
import pytest
import torch
from conftest import TEST_DATA
from safetensors.torch import load_file, save_file

from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder, read_checkpoint
from microemo.data.readers.public_corpora import VOICE_CORPORA
from microemo.data.voice_recordings import read_acted
from microemo.presets import preset_config
from microemo.training.perception.voice_classifier import LinearClassifier
from microemo.training.perception.voice_training import (
    WEIGHTS_FILE,
    audio_tower,
    person_folds,
    recording_statistics,
    voice_figures,
    write_classifier,
)

NAMES = ("neutral", "calm", "anger", "disgust", "fear", "sadness")


def test_figures_weigh_emotions_equally():
    probabilities = np.eye(6)[[0, 0, 0, 2, 2]] * 0.94 + 0.01
    labels = np.array([0, 0, 0, 0, 2])
    figures = voice_figures(probabilities, labels=labels, corpora=["ravdess"] * 5, names=NAMES)
    assert figures["ravdess"]["uar"] == pytest.approx((0.75 + 1) / 2)
    assert figures["ravdess"]["ece"] == pytest.approx(0.15, abs=1e-3)


def test_natural_voices_count_calm_and_negative_shares():
    probabilities = np.array([[0.8, 0.2, 0, 0, 0, 0], [0.3, 0.4, 0.3, 0, 0, 0], [0, 0, 0.6, 0.4, 0, 0], np.zeros(6)])
    labels = np.array([0, 0, 0, -1])
    figures = voice_figures(probabilities, labels=labels, corpora=["faces_in_motion"] * 4, names=NAMES)
    assert figures == {"faces_in_motion": {"recordings": 3, "neutral_or_calm": 0.6667, "negative_sure": 0.3333}}


def test_classifier_is_written_to_its_own_file(tmp_path):
    save_file({"model.emotion_head.x": torch.ones(3)}, tmp_path / "heads.safetensors")
    (tmp_path / RECORD).write_text(json.dumps({"trained_parts": ["emotion_head"]}))
    array = np.ones(2, np.float32)
    for bias in (array, 0 * array):  # the second replaces the first
        classifier = LinearClassifier(centre=array, scale=array, weight=np.eye(2, dtype=np.float32), bias=bias)
        write_classifier(tmp_path, classifier=classifier, entry={"file": WEIGHTS_FILE})
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.trained_parts == ("emotion_head", "voice_head")
    names = ("centre", "scale", "emotion.weight", "emotion.bias")
    assert set(checkpoint.state_dicts[WEIGHTS_FILE]) == {f"model.voice_head.{name}" for name in names}
    assert not checkpoint.state_dict["model.voice_head.emotion.bias"].any()


@pytest.mark.slow
def test_recall_on_held_out_people_matches_the_record():
    if not (TEST_DATA / "ravdess").is_dir():
        pytest.skip(f"no recordings in {TEST_DATA}; MICROEMO_TEST_DATA may name the folder above them")
    names = tuple(preset_config("mini").voice_id2label.values())
    recordings = [each for corpus in VOICE_CORPORA for each in read_acted(TEST_DATA, corpus=corpus, labels=names)]
    folds = person_folds(recordings)
    recordings = [each for each, fold in zip(recordings, folds.tolist(), strict=True) if fold == folds.max()]
    folder = mini_checkpoint_folder()
    weights = {key.rpartition("voice_head.")[2]: value for key, value in load_file(folder / WEIGHTS_FILE).items()}
    classifier = LinearClassifier(
        *(weights[name].float().numpy() for name in ("centre", "scale", "emotion.weight", "emotion.bias"))
    )
    logits = torch.from_numpy(classifier.logits(recording_statistics(audio_tower(), recordings, speed=1.0)))
    figures = voice_figures(
        logits.softmax(-1).numpy(),
        labels=np.array([names.index(each.emotion) for each in recordings]),
        corpora=[each.corpus for each in recordings],
        names=names,
    )
    recorded = json.loads((folder / RECORD).read_text())["voice_head"]["validation"]
    for corpus in VOICE_CORPORA:
        assert figures[corpus]["uar"] == pytest.approx(recorded[corpus]["uar"], abs=0.02)
    assert figures["ravdess"]["uar"] > 0.6 and figures["emodb"]["uar"] > 0.83
