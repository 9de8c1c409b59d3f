"""torchvision's MobileNetV2 becomes a `MobileNetV2Model`: same features, other names."""

from __future__ import annotations

import torch
from transformers import MobileNetV2Config

# torchvision pads symmetrically and keeps torch's epsilon; transformers' defaults follow TensorFlow in both.
TORCHVISION_PADDING = False
TORCHVISION_BATCH_NORM_EPS = 1e-5
FIRST_BLOCK, LAST_BLOCK = 2, 17  # inverted residuals in torchvision's `features`; 0 and 1 are the stem, 18 the end
CLASSIFIER = "classifier."


def mobilenet_config() -> MobileNetV2Config:
    """Returns the configuration under which `MobileNetV2Model` computes what torchvision's width 1.0 does."""
    return MobileNetV2Config(
        tf_padding=TORCHVISION_PADDING, layer_norm_eps=TORCHVISION_BATCH_NORM_EPS, dtype="float32"
    )


def convert_mobilenet_state_dict(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns the features under `MobileNetV2Model`'s names; the ImageNet classifier is left behind.

    Raises `ValueError` for a key that is not torchvision's. A missing one is found by the strict load.
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
    """Returns torchvision's name of every convolution and batch norm -> transformers' name.

    torchvision wraps a convolution that an activation follows, with its norm, in a Sequential of its own (`conv.0.0`,
    `conv.0.1`); the last one of a block, which has no activation, lies flat (`conv.2`, `conv.3`).
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
