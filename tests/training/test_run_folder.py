"""Saved weights, applied to the public ones, give the model that PEFT merges."""

from pathlib import Path

import pytest
import torch
from tiny_public_parts import tiny_public_parts

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.mini_model import build_mini
from microemo.conversion.mini.trained_parts import TrainedCheckpoint, read_checkpoint
from microemo.training.adapters import add_lora, merged_adapter
from microemo.training.recipe import DataRecipe, LoraRecipe, ModelRecipe, PartsRecipe, Recipe, SourceRecipe
from microemo.training.run_folder import LORA_FILE, save_trained_weights, write_record

PARTS = ("micro_dynamics", "video_qformer", "video_projector", "emotion_head")
LORA = LoraRecipe(r=4, alpha=10)
# float16 has 11 significant bits; a logit, a sum of products of both signs, loses more than a weight.
HALF_TOLERANCE = 5e-3


def _untrained() -> MicroEmoForConditionalGeneration:
    return build_mini(tiny_public_parts(), checkpoint=TrainedCheckpoint())[0]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """An adapter whose factors and saved modules differ clearly from their initial values."""
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
def test_assembled_model_equals_the_merged_peft_model(adapter, tmp_path, dtype, tolerance):
    merged, lora = merged_adapter(_untrained(), folder=adapter)
    save_trained_weights(merged.state_dict(), folder=tmp_path, parts=PARTS, lora=lora, dtype=dtype)
    _write_record(tmp_path)
    model, _ = build_mini(tiny_public_parts(), checkpoint=read_checkpoint(tmp_path))
    assert model.dtype == torch.float32 and model.config.trained_parts == ["emotion_head"]
    expected, assembled, untrained = (_outputs(each) for each in (merged, model, _untrained()))
    for name in expected:
        torch.testing.assert_close(assembled[name], expected[name], rtol=0, atol=tolerance)
        assert (untrained[name] - expected[name]).abs().max() > 20 * HALF_TOLERANCE


def test_run_without_lora_removes_an_earlier_lora(adapter, tmp_path):
    merged, lora = merged_adapter(_untrained(), folder=adapter)
    for saved_lora in (lora, None):
        save_trained_weights(merged.state_dict(), folder=tmp_path, parts=["emotion_head"], lora=saved_lora)
        assert (tmp_path / LORA_FILE).is_file() == (saved_lora is not None)


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
        base_checkpoint={},
        reading_settings={},
        data={"train": "none"},
        curves=[],
    )


def _outputs(model: MicroEmoForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Language, emotion and face logits of a random clip."""
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
