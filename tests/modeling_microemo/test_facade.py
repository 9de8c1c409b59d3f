"""`import microemo`: registration, exports and lazy imports."""

import subprocess
import sys

import pytest
from tiny_model import tiny_model
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING

import microemo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(microemo.MicroEmoForConditionalGeneration).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("auto_class", "wanted"),
    [
        (AutoConfig, microemo.MicroEmoConfig),
        (AutoModel, microemo.MicroEmoModel),
        (AutoModelForImageTextToText, microemo.MicroEmoForConditionalGeneration),
        (AutoModelForMultimodalLM, microemo.MicroEmoForConditionalGeneration),
    ],
)
def test_auto_classes_know_the_model(folder, auto_class, wanted):
    assert type(auto_class.from_pretrained(folder)) is wanted


def test_auto_classes_know_the_processors():
    assert PROCESSOR_MAPPING[microemo.MicroEmoConfig] is microemo.MicroEmoProcessor
    assert microemo.MicroEmoVideoProcessor in VIDEO_PROCESSOR_MAPPING[microemo.MicroEmoConfig].values()


def test_every_public_name_is_there():
    assert set(microemo.__all__) <= set(dir(microemo))
    for name in microemo.__all__:
        assert getattr(microemo, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'EmotionOracle'"):
        microemo.EmotionOracle  # noqa: B018  # the access is the test


def test_importing_leaves_the_analyzer_for_later():
    heavy = ("gradio", "librosa", "silero_vad", "microemo.inference", "microemo.conversion")
    code = f"import sys, microemo; print([name for name in {heavy!r} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
