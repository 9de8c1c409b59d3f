"""The road of the weights: trained with adapters, written, laid over the public ones, and the same model."""

from pathlib import Path

import pytest
import torch
from tiny_public_parts import tiny_public_parts

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.mini_model import build_mini
from microemo.conversion.mini.trained_parts import TrainedCheckpoint, read_checkpoint
from microemo.training.adapters import add_lora, merged_adapter
from microemo.training.recipe import DataRecipe, LoraRecipe, ModelRecipe, PartsRecipe, Recipe, SourceRecipe
from microemo.training.trained_weights import LORA_FILE, save_trained_weights, write_record

PARTS = ("micro_dynamics", "video_qformer", "video_projector", "emotion_head")
LORA = LoraRecipe(r=4, alpha=10)
# float16 keeps 11 bits: a weight is off by 2^-11 of itself, a logit that sums products of both signs by more.
HALF_TOLERANCE = 5e-3


def _untrained() -> MicroEmoForConditionalGeneration:
    return build_mini(tiny_public_parts(), checkpoint=TrainedCheckpoint())[0]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """An adapter whose matrices and parts are far from those that training began with."""
    adapted = add_lora(_untrained(), lora=LORA, parts=PARTS)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_B" in name or ".modules_to_save." in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("adapter")
    adapted.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, HALF_TOLERANCE)])
def test_the_assembled_model_computes_what_peft_computes(adapter, tmp_path, dtype, tolerance):
    merged, lora = merged_adapter(_untrained(), folder=adapter)
    save_trained_weights(merged.state_dict(), folder=tmp_path, parts=PARTS, lora=lora, dtype=dtype)
    _write_record(tmp_path)
    model, _ = build_mini(tiny_public_parts(), checkpoint=read_checkpoint(tmp_path))
    assert model.dtype == torch.float32 and model.config.trained_parts == ["emotion_head"]
    expected, found, before = (_outputs(one) for one in (merged, model, _untrained()))
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=tolerance)
        assert (before[name] - expected[name]).abs().max() > 20 * HALF_TOLERANCE


def test_a_run_without_lora_leaves_none_of_an_earlier_one(adapter, tmp_path):
    merged, lora = merged_adapter(_untrained(), folder=adapter)
    for given in (lora, None):
        save_trained_weights(merged.state_dict(), folder=tmp_path, parts=["emotion_head"], lora=given)
        assert (tmp_path / LORA_FILE).is_file() == (given is not None)


def _write_record(folder: Path) -> None:
    recipe = Recipe(
        model=ModelRecipe(),
        data=DataRecipe(train=(SourceRecipe("jsonl", "clips.jsonl"),)),
        parts=PartsRecipe(train=PARTS),
        training={"output_dir": "run"},
        lora=LORA,
    )
    write_record(
        folder,
        recipe=recipe,
        trained_parts=["emotion_head"],
        begun_with={},
        reading_settings={},
        data={"train": "none"},
        curves=[],
    )


def _outputs(model: MicroEmoForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Logits of words, emotions and the face for a clip of noise."""
    generator = torch.Generator().manual_seed(0)
    config = model.config
    words = torch.arange(6, 20)
    video = torch.full((2 * config.video_qformer_config.num_query_tokens,), config.video_token_id)
    with torch.no_grad():
        output = model.eval()(
            input_ids=torch.cat([words, video, torch.tensor([config.utterance_end_token_id]), words])[None],
            pixel_values_videos=torch.randn(1, 3, 3, 32, 32, generator=generator),
            frame_times=torch.tensor([[0.1, 0.5, 0.9]]),
            face_pixel_values=torch.randn(1, 4, 3, 64, 64, generator=generator),
            face_times=torch.tensor([[0.2, 0.3, 0.4, 0.5]]),
            utterance_times=torch.tensor([[[0.0, 1.0]]]),
        )
    return {name: output[name] for name in ("logits", "emotion_logits", "action_unit_logits")}
