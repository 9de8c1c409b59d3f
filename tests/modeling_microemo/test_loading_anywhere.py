"""Loading: mismatched weights, quantization, device maps, compilation and data types."""

import importlib.util
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import LLAMA, tiny_clip, tiny_model
from transformers import (
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    BitsAndBytesConfig,
    QuantoConfig,
    TorchAoConfig,
)

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification, MicroEmoModel
from microemo.strict_loading import UNQUANTIZED_MODULES, UNQUANTIZED_PARTS, with_skipped_modules

# Widths that 4-bit kernels support; an untied output layer, which is unexpected for the base model.
WIDE = {**LLAMA, "hidden_size": 64, "intermediate_size": 128, "tie_word_embeddings": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(MicroEmoForConditionalGeneration, text_config=WIDE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return outputs_of(MicroEmoForConditionalGeneration.from_pretrained(folder))


@torch.no_grad()
def outputs_of(model):
    outputs = model.eval()(**tiny_clip())
    return {"logits": outputs.logits, "emotions": outputs.emotion_logits, "expressions": outputs.expression_logits}


def changed_copy(folder, target, *, drop="nothing", add=None):
    weights = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if drop not in name}
    save_file({**weights, **(add or {})}, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    return target


class TestStrictness:
    @pytest.mark.parametrize("auto_class", [AutoModelForMultimodalLM, AutoModelForImageTextToText, AutoModel])
    def test_missing_weights(self, folder, tmp_path, auto_class):
        broken = changed_copy(folder, tmp_path, drop="emotion_head.")
        with pytest.raises(
            ValueError, match=r"lacks weights that the model needs: .*emotion_head\..* randomly initialised"
        ):
            auto_class.from_pretrained(broken)

    def test_unexpected_weights(self, folder, tmp_path):
        broken = changed_copy(folder, tmp_path, add={"model.third_eye.weight": torch.zeros(1)})
        with pytest.raises(ValueError, match=r"has weights that the model has no place for: model\.third_eye\.weight"):
            AutoModelForMultimodalLM.from_pretrained(broken)

    def test_classes_that_need_less_take_the_whole_models_weights(self, folder):
        whole = MicroEmoForConditionalGeneration.from_pretrained(folder).model.state_dict()
        for loaded in (
            MicroEmoModel.from_pretrained(folder),
            MicroEmoForEmotionClassification.from_pretrained(folder),
        ):
            own = getattr(loaded, "model", loaded).state_dict()
            assert all(torch.equal(own[name], value) for name, value in whole.items())

    def test_output_loading_info_skips_the_check(self, folder, tmp_path):
        broken = changed_copy(folder, tmp_path, drop="emotion_head.")
        _, found = MicroEmoForConditionalGeneration.from_pretrained(broken, output_loading_info=True)
        assert found["missing_keys"] and all("emotion_head" in name for name in found["missing_keys"])

    def test_mismatched_sizes_need_the_option(self, folder, tmp_path):
        wrong = {"model.emotion_head.classifier.weight": torch.zeros(7, 7)}
        broken = changed_copy(folder, tmp_path, add=wrong)
        with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            MicroEmoForConditionalGeneration.from_pretrained(broken)
        MicroEmoForConditionalGeneration.from_pretrained(broken, ignore_mismatched_sizes=True)


class TestQuantization:
    def test_all_parts_but_the_language_model_are_skipped(self, folder):
        model = tiny_model(MicroEmoForConditionalGeneration, use_voice_head=True)
        assert {name for name, _ in model.model.named_children()} == {*UNQUANTIZED_PARTS, "language_model"}

    def test_user_defined_skip_modules_take_precedence(self):
        given = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["lm_head"])
        assert with_skipped_modules(given) is given
        unsaid = BitsAndBytesConfig(load_in_8bit=True)
        assert with_skipped_modules(unsaid).llm_int8_skip_modules == list(UNQUANTIZED_MODULES)
        assert unsaid.llm_int8_skip_modules is None, "the user's own config stays as it is"
        assert with_skipped_modules({"load_in_8bit": True}) == {"load_in_8bit": True}

    @pytest.mark.parametrize("kind", ["bitsandbytes-8", "bitsandbytes-4", "torchao-8", "torchao-4", "quanto-8"])
    def test_quantized_outputs_are_close(self, folder, expected, kind):
        loaded = MicroEmoForConditionalGeneration.from_pretrained(folder, quantization_config=quantization(kind))
        full = MicroEmoForConditionalGeneration.from_pretrained(folder)
        assert changed_parts(loaded, full=full) == {"language_model"}
        # Four bits are coarse for random weights.
        least = 0.98 if kind.endswith("8") else 0.7
        found = outputs_of(loaded)
        for name in ("logits", "emotions"):
            likeness = torch.cosine_similarity(found[name].float().flatten(), expected[name].flatten(), dim=0)
            assert least < likeness < 1 - 1e-6, name
        assert torch.equal(found["expressions"], expected["expressions"]), "the face does not pass the language model"
        answer = loaded.generate(**tiny_clip(), max_new_tokens=3, do_sample=False)
        assert answer.shape[1] == tiny_clip()["input_ids"].shape[1] + 3


def quantization(kind):
    """The quantization config of an optional library."""
    library, bits = kind.split("-")
    module = {"quanto": "optimum.quanto"}.get(library, library)
    pytest.importorskip(module)
    if library == "bitsandbytes":
        return BitsAndBytesConfig(load_in_8bit=True) if bits == "8" else BitsAndBytesConfig(load_in_4bit=True)
    if library == "quanto":
        return QuantoConfig(weights="int8")
    quantization = importlib.import_module("torchao.quantization")
    if bits == "8":
        return TorchAoConfig(quantization.Int8WeightOnlyConfig())
    return TorchAoConfig(quantization.IntxWeightOnlyConfig(weight_dtype=torch.int4))


def changed_parts(model, *, full):
    """The parts whose linear layers have another weight type than in the full model."""
    before = {name: type(module.weight.data) for name, module in full.named_modules() if hasattr(module, "weight")}
    after = {name: type(module) for name, module in full.named_modules()}
    found = {
        name
        for name, module in model.named_modules()
        if name in before and (type(module.weight.data) is not before[name] or type(module) is not after[name])
    }
    found |= {
        name for name, module in model.named_modules() if name in before and not module.weight.is_floating_point()
    }
    return {name.removeprefix("model.").partition(".")[0] for name in found}


class TestDevices:
    def test_auto(self, folder, expected):
        loaded = MicroEmoForConditionalGeneration.from_pretrained(folder, device_map="auto")
        self.check(outputs_of(loaded), expected)

    def test_disk_offload(self, folder, expected, tmp_path):
        loaded = MicroEmoForConditionalGeneration.from_pretrained(
            folder, device_map="auto", max_memory={"cpu": "1500KB"}, offload_folder=tmp_path
        )
        places = {str(place) for place in loaded.hf_device_map.values()}
        assert places == {"cpu", "disk"}
        assert any(parameter.device.type == "meta" for parameter in loaded.parameters())
        self.check(outputs_of(loaded), expected)
        answers = [
            model.generate(**tiny_clip(), max_new_tokens=3, do_sample=False)
            for model in (loaded, MicroEmoForConditionalGeneration.from_pretrained(folder))
        ]
        assert torch.equal(*answers)

    def test_custom_device_map(self, folder, expected, tmp_path):
        towers = {f"model.{part}": "disk" for part in UNQUANTIZED_PARTS}
        device_map = {**towers, "model.language_model": "cpu", "lm_head": "cpu"}
        loaded = MicroEmoForConditionalGeneration.from_pretrained(
            folder, device_map=device_map, offload_folder=tmp_path
        )
        self.check(outputs_of(loaded), expected)

    def test_disk_offload_of_heads(self, tmp_path):
        full = tiny_model(MicroEmoModel, use_voice_head=True).eval()
        full.save_pretrained(tmp_path / "model")
        device_map = {name: "disk" if name in UNQUANTIZED_PARTS else "cpu" for name, _ in full.named_children()}
        loaded = MicroEmoModel.from_pretrained(
            tmp_path / "model", device_map=device_map, offload_folder=tmp_path / "disk"
        )
        assert loaded.voice_head.emotion.weight.is_meta
        self.check(tokens_of(loaded), tokens_of(full))

    @staticmethod
    def check(found, expected):
        for name, value in expected.items():
            assert torch.equal(found[name], value), name


@torch.no_grad()
def tokens_of(model):
    """The stream tokens of a clip with and without a face."""
    clip = tiny_clip()
    face = {name: clip[name] for name in ("face_times", "face_mask")}
    video = {name: clip[name] for name in ("pixel_values_videos", "frame_times", "frame_mask", "utterance_times")}
    found = model.get_face_features(clip["face_pixel_values"], **face)
    return {
        "seen": model.get_video_features(**video, face_features=found, **face).pooler_output[0],
        "faceless": model.get_video_features(**video).pooler_output[0],
        "heard": model.get_audio_features(
            clip["input_features"], clip["audio_mask"], utterance_times=clip["utterance_times"]
        ).pooler_output[0],
    }


def compiled(folder, **settings):
    model = MicroEmoForConditionalGeneration.from_pretrained(folder)
    model.model.language_model.compile(**settings)
    return model


@pytest.mark.parametrize(
    "backend",
    ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)],  # the latter compiles C++
)
def test_a_compiled_language_model_answers_the_same(folder, expected, backend):
    model = compiled(folder, backend=backend)
    found = outputs_of(model)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)
    answers = [
        each.generate(**tiny_clip(), max_new_tokens=3, do_sample=False)
        for each in (model, MicroEmoForConditionalGeneration.from_pretrained(folder))
    ]
    assert torch.equal(*answers)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_dtype_for_all_weights(folder, dtype):
    model = AutoModelForMultimodalLM.from_pretrained(folder, dtype=dtype)
    wanted = torch.bfloat16 if dtype == "bfloat16" else dtype
    assert {parameter.dtype for parameter in model.parameters()} == {wanted}
    assert json.loads(model.config.to_json_string())["dtype"] == str(wanted).removeprefix("torch.")
