"""Presets: switches and parameter counts, on the meta device."""

import json
from pathlib import Path

import pytest

from microemo import MicroEmoConfig
from microemo.presets import PRESETS, meta_model, parameter_counts, parameter_table, preset_config

FOLDER = Path(__file__).parents[2] / "modeling_microemo"

LLAMA_PARAMETERS = 6_738_415_616  # of LLaMA-2-7B
PLACEHOLDERS = 3 * 4096  # rows of our tokens, in the embeddings and again in the head


def test_every_file_is_a_preset():
    assert {path.stem.removeprefix("preset_") for path in FOLDER.glob("preset_*.json")} == set(PRESETS)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset is '13b', allowed are mini, 7b"):
        preset_config("13b")


@pytest.mark.parametrize("name", PRESETS)
def test_preset_keys_are_config_fields(name):
    """The config accepts misspelt keys silently."""
    settings = json.loads((FOLDER / f"preset_{name}.json").read_text())
    known = MicroEmoConfig().to_dict()
    assert set(settings) <= set(known)
    config = preset_config(name)
    for part, values in settings.items():
        if isinstance(values, dict):
            assert set(values) <= set(type(getattr(config, part))().to_dict()), part


def test_published_sizes():
    counts = parameter_counts(preset_config("timechat"))
    assert counts["language_model"] + counts["lm_head"] == LLAMA_PARAMETERS + 2 * PLACEHOLDERS
    # EVA's ViT-g of 39 blocks: patches, class and positions, blocks (norms, attention, MLP), last norm.
    width, mlp = 1408, 6144
    block = 4 * width + (4 * width**2 + 3 * width + width) + (2 * width * mlp + mlp + width)
    assert counts["frame_tower"] == (3 * 14**2 * width + width) + width + 257 * width + 39 * block + 2 * width
    # Whisper medium's encoder: two convolutions, positions, blocks (keys without bias), last norm.
    width, mlp = 1024, 4096
    block = 4 * width + (4 * width**2 + 3 * width) + (2 * width * mlp + mlp + width)
    convolutions = (3 * 80 * width + width) + (3 * width**2 + width)
    wanted = convolutions + 1500 * width + 24 * block + 2 * width
    assert parameter_counts(preset_config("7b"))["audio_tower"] == wanted


def test_mini_fits_a_laptop():
    counts = parameter_counts(preset_config("mini"))
    assert 150e6 < sum(counts.values()) < 180e6
    assert "lm_head" not in counts  # shares the embeddings


def test_timechat_lacks_the_parts_of_the_paper():
    timechat, paper = (set(parameter_counts(preset_config(name))) for name in ("timechat", "7b"))
    assert paper - timechat == {
        "micro_dynamics",
        "global_local_attention",
        "face_head",
        "audio_tower",
        "audio_qformer",
        "audio_projector",
    }


def test_the_switches_of_timechat():
    config = preset_config("timechat")
    assert (config.timestamp, config.utterance_mode) == ("text", "window")
    assert (config.window_frames, config.window_stride) == (32, 32)
    assert config.qformer_config.keep_text_tokens and not config.qformer_config.mask_text_padding
    model = meta_model(config)
    assert model.model.frame_tower.post_layernorm.eps == 1e-5
    assert model.model.frame_tower.encoder.layers[0].layer_norm1.eps == 1e-6


def test_the_table_adds_up():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in parameter_table().splitlines()]
    assert rows[0][1:] == list(PRESETS)
    totals = next(row for row in rows if row[0] == "all")
    parts = [row for row in rows if row[0].startswith("`")]
    for column in range(1, len(PRESETS) + 1):
        total = sum(float(row[column].replace(",", "")) for row in parts if row[column])
        assert total == pytest.approx(float(totals[column].replace(",", "")), abs=0.5)
