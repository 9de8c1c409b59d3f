"""LoRA adapters with fully trained modules and tied embeddings: all loading paths give equal logits."""

import pytest
import torch
from tiny_model import tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration

peft = pytest.importorskip("peft")

TARGETS = r".*language_model\..*(q_proj|v_proj)"


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    model = tiny_model(MicroEmoForConditionalGeneration)
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    model.save_pretrained(folder)
    return folder


def load(folder):
    return MicroEmoForConditionalGeneration.from_pretrained(folder)


@torch.no_grad()
def outputs(model):
    output = model.eval()(**tiny_clip(2))
    return {"logits": output.logits, "emotion_logits": output.emotion_logits}


@pytest.mark.parametrize(
    ("kept", "tied"),
    [
        (["embed_tokens", "emotion_head"], True),  # ensure_weight_tying: input and output words learn as one
        (["embed_tokens", "lm_head"], False),  # each learns for itself
        pytest.param(["embed_tokens"], False, marks=pytest.mark.slow),  # the output head keeps the old words
        pytest.param(["lm_head"], False, marks=pytest.mark.slow),
    ],
)
def test_all_loading_paths_give_equal_logits(base_folder, tmp_path, kept, tied):
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, modules_to_save=kept, ensure_weight_tying=tied)
    trained = peft.get_peft_model(load(base_folder), config)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    wanted, before = outputs(trained), outputs(load(base_folder))
    assert (wanted["logits"] - before["logits"]).abs().max() > 0.1  # training changed something
    adapter, merged_folder = tmp_path / "adapter", tmp_path / "merged"
    trained.save_pretrained(adapter)

    beside = load(base_folder)
    beside.load_adapter(adapter)
    wrapped = peft.PeftModel.from_pretrained(load(base_folder), adapter)
    merged = peft.PeftModel.from_pretrained(load(base_folder), adapter).merge_and_unload()
    merged.save_pretrained(merged_folder)
    roads = {
        "PeftModel": wrapped,
        "load_adapter": beside,
        "from_pretrained of the adapter": load(adapter),
        "merged": merged,
        "merged and saved": load(merged_folder),
    }
    for name, model in roads.items():
        found = outputs(model)
        for part, value in wanted.items():
            torch.testing.assert_close(
                found[part], value, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
            )
