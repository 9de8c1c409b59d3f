"""The converted Llama equals the weights in the GGUF file and those read by transformers."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from microemo.conversion.mini.convert_gguf_to_hf import convert_gguf
from microemo.conversion.mini.mini_packages import LANGUAGE_MODEL

TEXTS = [
    'Anna: "I\'m fine."\n',
    "<|im_start|>user\nClip 0.0-12.3 s.<|im_end|>\n",
    "a1b22 é ü 😀\ttab\r\n",
]
TEXTS_WITH_SPACE_BEFORE_DIGITS = ["two  12", "x\n\n1. a"]


@pytest.fixture(scope="module")
def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=261,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def tiny_gguf(tiny_llama: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    _write_metadata(writer, tiny_llama.config)
    _write_tensors(writer, tiny_llama)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_logits_equal_the_original_model(tiny_llama: LlamaForCausalLM, tiny_gguf: Path) -> None:
    converted = convert_gguf(tiny_gguf)
    assert converted.config.rms_norm_eps == 1e-5
    model = LlamaForCausalLM(converted.config).eval()
    model.model.load_state_dict(converted.state_dict, strict=True)
    tokens = torch.randint(261, (2, 30))
    torch.testing.assert_close(model(tokens).logits, tiny_llama(tokens).logits, rtol=0, atol=0)


def test_weights_equal_those_read_by_transformers(tiny_gguf: Path) -> None:
    expected = AutoModelForCausalLM.from_pretrained(tiny_gguf.parent, gguf_file=tiny_gguf.name, dtype=torch.float32)
    torch.testing.assert_close(convert_gguf(tiny_gguf).state_dict, dict(expected.model.state_dict()), rtol=0, atol=0)


def test_tokenizer_round_trip_and_special_tokens(tiny_gguf: Path) -> None:
    tokenizer = convert_gguf(tiny_gguf).tokenizer
    for text in TEXTS + TEXTS_WITH_SPACE_BEFORE_DIGITS:
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer("<|im_start|>").input_ids == [1]
    assert tokenizer.model_max_length == 128
    assert tokenizer("  1").input_ids == tokenizer("  ").input_ids + tokenizer("1").input_ids


def test_unexpected_tensor_is_refused(tiny_llama: LlamaForCausalLM, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "extra.gguf", "llama")
    _write_metadata(writer, tiny_llama.config)
    writer.add_tensor("output.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match=r"output\.weight"):
        convert_gguf(tmp_path / "extra.gguf")


@pytest.mark.slow
def test_real_model_equals_the_one_read_by_transformers(mini_sources: Path, tmp_path: Path) -> None:
    file = mini_sources / LANGUAGE_MODEL.name / Path(LANGUAGE_MODEL.files[0].path).name
    reference = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    converted = convert_gguf(file)
    model = LlamaForCausalLM(converted.config)
    model.model.load_state_dict(converted.state_dict, strict=True)
    model.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = converted.tokenizer(TEXTS[1], return_tensors="pt").input_ids
    with torch.no_grad():
        torch.testing.assert_close(model(tokens).logits, reference(tokens).logits, rtol=0, atol=0)


@pytest.mark.slow
def test_real_tokenizer_equals_transformers_except_for_digits(mini_sources: Path) -> None:
    file = mini_sources / LANGUAGE_MODEL.name / Path(LANGUAGE_MODEL.files[0].path).name
    reference = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = convert_gguf(file).tokenizer
    for text in TEXTS:
        assert tokenizer(text).input_ids == reference(text).input_ids
    # The file says that digits are split off first ("smollm"), which transformers' reading leaves out.
    for text in TEXTS_WITH_SPACE_BEFORE_DIGITS:
        assert len(tokenizer(text).input_ids) == len(reference(text).input_ids) - 1
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def _write_metadata(writer: gguf.GGUFWriter, config: LlamaConfig) -> None:
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    letters = sorted(bytes_to_unicode().values())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "ĠĠ", "th"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ", "t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)


def _write_tensors(writer: gguf.GGUFWriter, model: LlamaForCausalLM) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
    for key, value in model.model.state_dict().items():
        values = value.numpy()
        projection = key.split(".")[-2]
        if projection in heads:  # as llama.cpp's converter does it
            rows, width = values.shape
            halves = values.reshape(heads[projection], 2, rows // heads[projection] // 2, width)
            values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, width))
        writer.add_tensor(names.get_name(f"model.{key}", try_suffixes=(".weight",)), values)
