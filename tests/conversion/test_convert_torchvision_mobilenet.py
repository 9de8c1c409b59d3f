from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from transformers import MobileNetV2Model

from microemo.conversion.mini.convert_torchvision_mobilenet_to_hf import convert_mobilenet_state_dict, mobilenet_config
from microemo.conversion.mini.mini_packages import MOBILENET


@pytest.fixture(scope="module")
def random_mobilenet() -> nn.Module:
    """torchvision's model with random batch norms."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.01, 0.05)  # small, so that another epsilon shows
    return model


@pytest.mark.parametrize(("size", "regions"), [(224, 7), (112, 4), (97, 4)])
def test_features_equal_torchvision(random_mobilenet: nn.Module, size: int, regions: int) -> None:
    _assert_same_features(random_mobilenet, size=size, regions=regions)


def test_unknown_key_is_refused(random_mobilenet: nn.Module) -> None:
    weights = random_mobilenet.state_dict()
    weights["features.19.0.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"features\.19\.0\.weight"):
        convert_mobilenet_state_dict(weights)


@pytest.mark.slow
def test_real_features_equal_torchvision(mini_sources: Path) -> None:
    original = torchvision.models.mobilenet_v2().eval()
    file = mini_sources / MOBILENET.name / Path(MOBILENET.files[0].path).name
    original.load_state_dict(torch.load(file, weights_only=True))
    _assert_same_features(original, size=224, regions=7)


def _assert_same_features(original: nn.Module, *, size: int, regions: int) -> None:
    converted = MobileNetV2Model(mobilenet_config()).eval()
    converted.load_state_dict(convert_mobilenet_state_dict(original.state_dict()), strict=True)
    pictures = torch.randn(2, 3, size, size)
    with torch.no_grad():
        features = converted(pictures).last_hidden_state  # (2, 1280, regions, regions)
        expected = original.features(pictures)
    assert features.shape == (2, 1280, regions, regions)
    assert expected.std() > 0.01
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
