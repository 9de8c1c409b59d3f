"""Converted random checkpoints in the original layout compute the same as TimeChat."""

import json

import pytest
import torch
from original_checkpoints import TINY
from timechat_files import (
    HEADS,
    LLAMA_HEADS,
    PIXELS,
    STRIDE,
    VISION_HEADS,
    WINDOW,
    converted_processor,
    text_settings,
    timechat_config,
    write_timechat,
)
from timechat_reference import frame_states, llama, video_tokens

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.timechat.convert_timechat_to_hf import ConversionOptions, convert_timechat
from microemo.conversion.timechat.tensor_parts import interpolate_frames

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
FLOAT32 = ConversionOptions(dtype="float32")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_timechat(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def folder(original, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "model"
    config = timechat_config()
    return convert_timechat(original.files, out, config=config, processor=converted_processor(config), options=FLOAT32)


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def load(folder, **changes):
    """Loads the converted model strictly."""
    model, report = MicroEmoForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, **changes
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def clip(num_frames, *, seed=0, sentence=7):
    """Frames of one clip, their times, and sentences of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(num_frames, sentence, dtype=torch.long)
    mask[1::2, -2:] = 0  # every other sentence is padded
    ids = torch.randint(1, TINY.vocabulary, mask.shape, generator=generator) * mask
    return {
        "pixel_values_videos": torch.randn(num_frames, 3, PIXELS, PIXELS, generator=generator),
        "frame_times": torch.arange(num_frames) / 2,
        "frame_mask": torch.ones(num_frames, dtype=torch.bool),
        "qformer_input_ids": ids,
        "qformer_attention_mask": mask,
    }


def reference_frames(original, tensors):
    return frame_states(
        original.vit,
        original.bridge,
        tensors["pixel_values_videos"],
        sizes=TINY,
        vision_heads=VISION_HEADS,
        heads=HEADS,
        text_ids=tensors["qformer_input_ids"],
        text_mask=tensors["qformer_attention_mask"],
    )


def reference_tokens(original, tensors, *, window=WINDOW, stride=STRIDE):
    frames = reference_frames(original, tensors)
    return video_tokens(original.bridge, frames, window=window, stride=stride, heads=HEADS)


def batched(*clips):
    """Clips of one batch, padded with zeros."""
    return {
        name: torch.nn.utils.rnn.pad_sequence([tensors[name] for tensors in clips], batch_first=True)
        for name in clips[0]
    }


@torch.no_grad()
def test_frame_tokens_with_timestamps_equal_timechat(model, original):
    tensors = clip(3)
    output = model.get_video_features(**batched(tensors), return_dict=True)
    assert output.last_hidden_state.shape == (1, 3, TINY.queries + 7, TINY.width)
    torch.testing.assert_close(output.last_hidden_state[0], reference_frames(original, tensors), **TOLERANCE)


@pytest.mark.parametrize("num_frames", [1, 3, 4, 6, 7, 8, 12], ids=lambda count: f"{count} frames")
@torch.no_grad()
def test_windows_equal_timechat_with_a_short_last_one(model, original, num_frames):
    tensors = clip(num_frames, seed=num_frames)
    (tokens,) = model.get_video_features(**batched(tensors), return_dict=True).pooler_output
    wanted = reference_tokens(original, tensors)
    assert len(wanted) == TINY.queries * -(-num_frames // STRIDE)
    torch.testing.assert_close(tokens, wanted, **TOLERANCE)


@torch.no_grad()
def test_batch_equals_single_clips(model, original):
    clips = [clip(7, seed=1), clip(4, seed=2), clip(12, seed=3)]
    outputs = model.get_video_features(**batched(*clips), return_dict=True).pooler_output
    for tokens, tensors in zip(outputs, clips, strict=True):
        torch.testing.assert_close(tokens, reference_tokens(original, tensors), **TOLERANCE)


@torch.no_grad()
def test_clip_mode_equals_a_single_window(folder, original):
    whole = load(folder, utterance_mode="clip")
    tensors = clip(7)
    (tokens,) = whole.get_video_features(**batched(tensors), return_dict=True).pooler_output
    torch.testing.assert_close(tokens, reference_tokens(original, tensors, window=0), **TOLERANCE)


@torch.no_grad()
def test_padded_timestamps_equal_timechat(folder, original):
    tensors = clip(4)
    masked = load(folder)
    masked.model.frame_qformer.config.mask_text_padding = True
    (tokens,) = masked.get_video_features(**batched(tensors), return_dict=True).pooler_output
    assert not torch.allclose(tokens, reference_tokens(original, tensors), atol=1e-3)


def prompt(tensors):
    """Token ids with a run of placeholders, and their positions."""
    count = TINY.queries * -(-len(tensors["frame_times"]) // STRIDE)
    ids = torch.tensor([[1, 20, 30, *[259] * count, 40, 50, 60]])
    return ids, ids[0] == 259


def reference_logits(original, tensors, *, lora_alpha):
    ids, is_video = prompt(tensors)
    embeddings = original.llama["model.embed_tokens.weight"][ids.masked_fill(is_video, 0)]
    embeddings[0, is_video] = reference_tokens(original, tensors)
    return llama(
        original.llama,
        embeddings,
        depth=TINY.llama_depth,
        heads=LLAMA_HEADS,
        lora=original.lora,
        lora_scale=lora_alpha / TINY.rank,
    )


@torch.no_grad()
def test_logits_with_merged_lora_equal_timechat(model, original):
    tensors = clip(7)
    logits = model(input_ids=prompt(tensors)[0], **batched(tensors)).logits
    wanted = reference_logits(original, tensors, lora_alpha=32)
    assert logits.shape[-1] == wanted.shape[-1] + 3  # our placeholders, which generation never writes
    scale = wanted.abs().max()
    torch.testing.assert_close(logits[..., : wanted.shape[-1]] / scale, wanted / scale, **TOLERANCE)
    assert model.generation_config.suppress_tokens == [259, 260, 261]


@pytest.mark.parametrize("lora_alpha", [32, 20])
@torch.no_grad()
def test_adapter_equals_merged_lora(original, tmp_path, lora_alpha):
    peft = pytest.importorskip("peft")
    config = timechat_config()
    options = ConversionOptions(dtype="float32", lora="adapter", lora_alpha=lora_alpha)
    out = convert_timechat(
        original.files, tmp_path / "out", config=config, processor=converted_processor(config), options=options
    )
    tensors = clip(5)
    base = load(out)
    bare = base(input_ids=prompt(tensors)[0], **batched(tensors)).logits
    adapted = peft.PeftModel.from_pretrained(base, out / "adapter").eval()
    logits = adapted(input_ids=prompt(tensors)[0], **batched(tensors)).logits
    wanted = reference_logits(original, tensors, lora_alpha=lora_alpha)
    scale = wanted.abs().max()
    torch.testing.assert_close(logits[..., :259] / scale, wanted / scale, **TOLERANCE)
    assert not torch.allclose(bare, logits, atol=1e-2)


@torch.no_grad()
def test_zero_gate_of_the_local_branch_equals_timechat(original, tmp_path):
    dynamics = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 20, "max_regions": 17}
    config = timechat_config(use_local_branch=True, dynamics_config=dynamics)
    out = convert_timechat(
        original.files, tmp_path / "out", config=config, processor=converted_processor(config), options=FLOAT32
    )
    model, tensors = load(out), clip(7)
    faces = {"face_pixel_values": torch.randn(1, 5, 3, PIXELS, PIXELS), "face_times": torch.arange(5.0)[None]}
    output = model(input_ids=prompt(tensors)[0], **batched(tensors), **faces)
    wanted = reference_logits(original, tensors, lora_alpha=32)
    scale = wanted.abs().max()
    torch.testing.assert_close(output.logits[..., :259] / scale, wanted / scale, **TOLERANCE)
    assert output.micro_logits.shape == (1, 5)
    record = json.loads((out / "conversion.json").read_text())
    assert "model.global_local_attention.gate" in record["initialised_from_the_seed"]


@torch.no_grad()
def test_position_table_is_interpolated(tmp_path):
    original = write_timechat(tmp_path, frames=4)
    config = timechat_config()
    out = convert_timechat(
        original.files, tmp_path / "out", config=config, processor=converted_processor(config), options=FLOAT32
    )
    table = original.bridge["video_frame_position_embedding.weight"]
    grown = load(out).model.video_qformer.positions.weight
    assert torch.equal(grown, table.repeat_interleave(3, dim=0))


def test_32_positions_become_96_by_repetition():
    table = torch.arange(32.0)[:, None]
    assert interpolate_frames(table, count=96)[:, 0].tolist() == [row for row in range(32) for _ in range(3)]


def test_bfloat16_weights_are_rounded(original, folder, tmp_path):
    config = timechat_config()
    out = convert_timechat(original.files, tmp_path / "out", config=config, processor=converted_processor(config))
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    exact = load(folder).state_dict()
    model = MicroEmoForConditionalGeneration.from_pretrained(out)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, exact[name].to(torch.bfloat16)), name


def test_tied_embeddings_are_written_once(original, tmp_path):
    config = timechat_config(text_config={**text_settings(vocab_size=262), "tie_word_embeddings": True})
    out = convert_timechat(
        original.files, tmp_path / "out", config=config, processor=converted_processor(config), options=FLOAT32
    )
    record = json.loads((out / "conversion.json").read_text())
    assert record["left_behind"]["llama_model.lm_head.weight"] == "the same tensor as embed_tokens"
    model = load(out)
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert torch.equal(model.lm_head.weight[:259], original.llama["model.embed_tokens.weight"])


def test_processor_is_saved_with_the_model(folder):
    processor = MicroEmoProcessor.from_pretrained(folder)
    assert processor.timestamp == "text" and processor.qformer_tokenizer is not None
    assert (processor.window_frames, processor.window_stride) == (WINDOW, STRIDE)


def test_record_lists_ignored_keys(folder):
    record = json.loads((folder / "conversion.json").read_text())
    left = record["left_behind"]
    assert "visual_encoder.blocks.2.attn.qkv.weight" in left  # the block behind the last
    assert "llm_proj.weight" in left and "Qformer.bert.embeddings.position_ids" in left
    assert "query_tokens" in record["given_anew_by_a_later_file"]
    assert record["initialised_from_the_seed"][0] == "model.video_qformer.null_key"
    assert not (folder / "conversion_progress.json").exists()
