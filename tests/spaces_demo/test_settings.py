import pytest

from microemo.spaces_demo.limits import Limits
from microemo.spaces_demo.settings import DemoSettings


def test_an_empty_environment_means_the_embedded_model():
    assert DemoSettings.from_environment({}) == DemoSettings(model=None, limits=Limits(), concurrency=1)
    assert DemoSettings.from_environment({"MICROEMO_MODEL": ""}).model is None


def test_the_environment_says_model_and_limits():
    settings = DemoSettings.from_environment(
        {"MICROEMO_MODEL": "me/mine", "MICROEMO_DEVICE": "cpu", "MICROEMO_MAX_SECONDS": "30",
         "MICROEMO_MAX_MEGABYTES": "10", "MICROEMO_CONCURRENCY": "2"}
    )  # fmt: skip
    assert settings == DemoSettings("me/mine", "cpu", Limits(max_seconds=30, max_megabytes=10), concurrency=2)


def test_what_is_no_number_is_named():
    with pytest.raises(ValueError, match="MICROEMO_MAX_SECONDS must be a number, got 'long'"):
        DemoSettings.from_environment({"MICROEMO_MAX_SECONDS": "long"})
