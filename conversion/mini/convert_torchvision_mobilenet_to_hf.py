"""Converts torchvision's MobileNetV2 to `MobileNetV2Model` of transformers."""

from __future__ import annotations

import torch
from transformers import MobileNetV2Config

# Symmetric padding and epsilon of torchvision; the defaults of transformers are those of TensorFlow.
TORCHVISION_PADDING = False
TORCHVISION_BATCH_NORM_EPS = 1e-5
FIRST_BLOCK, LAST_BLOCK = 2, 17  # inverted residuals in torchvision's `features`; 0-1: stem, 18: last convolution
CLASSIFIER = "classifier."


def mobilenet_config() -> MobileNetV2Config:
    """Returns the config with which `MobileNetV2Model` equals torchvision's model of width 1.0."""
    return MobileNetV2Config(
        tf_padding=TORCHVISION_PADDING, layer_norm_eps=TORCHVISION_BATCH_NORM_EPS, dtype="float32"
    )


def convert_mobilenet_state_dict(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the weights under the names of `MobileNetV2Model`, without the ImageNet classifier.

    Raises:
        ValueError: unknown key. Missing keys are found by the strict load.
    """
    names = module_names()
    converted = {}
    for key, value in state_dict.items():
        if key.startswith(CLASSIFIER):
            continue
        module, _, parameter = key.rpartition(".")
        if module not in names:
            raise ValueError(f"state_dict has the key {key}, which torchvision's MobileNetV2 does not know")
        converted[f"{names[module]}.{parameter}"] = value
    return converted


def module_names() -> dict[str, str]:
    """Maps torchvision's name of every convolution and batch norm to the name in transformers.

    In torchvision a convolution with an activation is in a Sequential with its norm (`conv.0.0`, `conv.0.1`); the last
    one of a block, without activation, is not (`conv.2`, `conv.3`).
    """
    names = {}
    names.update(_pair("features.0", 0, "conv_stem.first_conv"))
    names.update(_pair("features.1.conv.0", 0, "conv_stem.conv_3x3"))
    names.update(_pair("features.1.conv", 1, "conv_stem.reduce_1x1"))
    for block in range(FIRST_BLOCK, LAST_BLOCK + 1):
        old, new = f"features.{block}.conv", f"layer.{block - FIRST_BLOCK}"
        names.update(_pair(f"{old}.0", 0, f"{new}.expand_1x1"))
        names.update(_pair(f"{old}.1", 0, f"{new}.conv_3x3"))
        names.update(_pair(old, 2, f"{new}.reduce_1x1"))
    names.update(_pair(f"features.{LAST_BLOCK + 1}", 0, "conv_1x1"))
    return names


def _pair(old: str, position: int, new: str) -> dict[str, str]:
    return {f"{old}.{position}": f"{new}.convolution", f"{old}.{position + 1}": f"{new}.normalization"}
