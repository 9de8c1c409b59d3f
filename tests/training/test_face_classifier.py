import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_faces import tiny_classifier
from torch import nn
from transformers import MobileNetV2Model

from microemo.training.face_tower import classifier
from microemo.training.face_tower.classifier import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FullPrecisionConv2d,
    classify_faces,
    fold_batch_norms,
    load_face_classifier,
    make_colour_blind,
    normalise_grey,
    save_face_classifier,
    widen_strided_convolutions,
)


def normalise_colour(crops: np.ndarray) -> torch.Tensor:
    """(B, h, w, 3) uint8 -> (B, 3, h, w), as in the processor."""
    levels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (levels - mean) / std


@pytest.fixture
def coloured() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(2, 32, 32, 3), dtype=np.uint8)


def first_features(tower: MobileNetV2Model, pixels: torch.Tensor) -> torch.Tensor:
    return tower.eval().conv_stem.first_conv(pixels)


def test_colour_blind_tower_ignores_colour(coloured):
    tower = tiny_classifier().face_tower
    make_colour_blind(tower)
    grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in coloured])
    from_colour = first_features(tower, normalise_colour(coloured))
    torch.testing.assert_close(from_colour, first_features(tower, normalise_grey(grey)), atol=0.06, rtol=0)


def test_colour_blind_tower_is_unchanged_on_grey_except_at_the_border(coloured):
    tower = tiny_classifier().face_tower
    pixels = normalise_grey(coloured[..., 0])
    before = first_features(tower, pixels)
    make_colour_blind(tower)
    after = first_features(tower, pixels)
    torch.testing.assert_close(before[..., 1:-1, 1:-1], after[..., 1:-1, 1:-1], atol=1e-4, rtol=0)


def test_normalised_grey_equals_the_processors(coloured):
    grey = np.repeat(coloured[..., :1], 3, axis=3)
    torch.testing.assert_close(normalise_grey(grey[..., 0]), normalise_colour(grey))


def test_save_and_load_give_the_same_logits(tmp_path, monkeypatch):
    model = tiny_classifier().eval()
    monkeypatch.setattr(classifier, "mobilenet_config", lambda: model.face_tower.config)
    crops = np.random.default_rng(1).integers(0, 256, size=(3, 64, 64), dtype=np.uint8)
    path = tmp_path / "face_tower.safetensors"
    save_face_classifier(model, path)
    loaded = load_face_classifier(path)
    np.testing.assert_allclose(classify_faces(loaded, crops), classify_faces(model, crops), atol=1e-2)
    weights = load_file(path)
    weights.pop("model.face_head.static_expression.bias")
    save_file(weights, path)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_face_classifier(path)


def test_logits_are_a_linear_layer_over_mean_pooled_regions():
    model = tiny_classifier().eval()
    pixels = torch.randn(2, 3, 64, 64)
    regions = model.face_tower(pixels).last_hidden_state
    expected = nn.functional.linear(
        regions.flatten(2).mean(dim=2), model.static_expression.weight, model.static_expression.bias
    )
    torch.testing.assert_close(model(pixels), expected)


def test_frozen_and_trained_parts_make_the_whole_tower():
    model = tiny_classifier().eval()
    pixels = torch.randn(2, 3, 64, 64)
    features = model.forward_trained(model.forward_frozen(pixels, blocks=5), blocks=5)
    torch.testing.assert_close(model.static_expression(features), model(pixels))


def test_folding_batch_norms_keeps_the_logits():
    model = tiny_classifier().train()
    pixels = torch.randn(4, 3, 64, 64)
    model(pixels)  # so that the statistics are not those of a new layer
    model.eval()
    torch.testing.assert_close(fold_batch_norms(model)(pixels), model(pixels), atol=1e-4, rtol=1e-4)


def test_only_strided_depthwise_convolutions_run_in_float32():
    model = tiny_classifier().eval()
    pixels = torch.randn(2, 3, 64, 64)
    before = model(pixels)
    widen_strided_convolutions(model.face_tower)
    wide = [module for module in model.modules() if isinstance(module, FullPrecisionConv2d)]
    assert len(wide) == 4  # 64 px -> 2 px in five halvings, the first one not depthwise
    torch.testing.assert_close(model(pixels), before)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert wide[0](torch.randn(1, wide[0].in_channels, 8, 8, dtype=torch.bfloat16)).dtype == torch.float32


def test_frozen_blocks_keep_weights_and_batch_statistics():
    model = tiny_classifier().train()
    model.freeze_first(2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model(torch.randn(4, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is None for part in model.frozen_parts(2) for parameter in part.parameters())
    after = model.state_dict()
    mean = "normalization.running_mean"
    assert torch.equal(before[f"face_tower.layer.1.reduce_1x1.{mean}"], after[f"face_tower.layer.1.reduce_1x1.{mean}"])
    assert not torch.equal(
        before[f"face_tower.layer.2.reduce_1x1.{mean}"], after[f"face_tower.layer.2.reduce_1x1.{mean}"]
    )


def test_empty_batch_gives_empty_logits():
    assert classify_faces(tiny_classifier(), np.zeros((0, 64, 64), dtype=np.uint8)).shape == (0, 8)
