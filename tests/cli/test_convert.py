"""`microemo convert` from its arguments to a folder that loads and answers."""

import argparse
import json

import numpy as np
import pytest
import torch
from original_checkpoints import TINY
from timechat_files import STRIDE, llama_tokenizer, timechat_config, write_timechat, write_video_llama
from tiny_model import WHISPER
from transformers import BertTokenizer, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.cli import convert
from microemo.conversion.timechat import paper_config
from microemo.processing.timechat_preset import timechat_inputs

WORDS = ["this", "frame", "is", "sampled", "at", "second", ".", *"0123456789"]


@pytest.fixture
def original(tmp_path, monkeypatch):
    """The tiny originals, in place of the published sizes."""
    monkeypatch.setattr(paper_config, "preset_config", lambda name: timechat_config())
    return write_timechat(tmp_path)


@pytest.fixture
def bert(tmp_path):
    """A BERT tokenizer of a few words."""
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    BertTokenizer(vocab=vocabulary).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def run(*arguments):
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    return convert.run(parser.parse_args([str(argument) for argument in arguments]))


def command(files, out, *more):
    return (
        *("timechat", "--timechat", files.checkpoints[0], "--vit", files.vit, "--qformer", files.qformer),
        *("--llama", files.llama, "--out", out, *more),
    )


def test_a_converted_folder_answers(original, bert, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(*command(original.files, out, "--bert", bert, "--dtype", "float32")) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "writing 1/1" in captured.err and "checking 1/1" in captured.err

    processor = MicroEmoProcessor.from_pretrained(out)
    processor.video_processor.size = {"height": 16, "width": 16}  # the tiny ViT's
    model = MicroEmoForConditionalGeneration.from_pretrained(out).eval()
    frames = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    inputs = timechat_inputs(processor, frames, times=[0.0, 0.5, 1.0, 1.5, 2.0], question="What happens?")
    placeholders = int((inputs["input_ids"] == model.config.video_token_id).sum())
    assert placeholders == TINY.queries * -(-5 // STRIDE)
    assert inputs["qformer_input_ids"].shape[:2] == (1, 5)
    sentence = processor.qformer_tokenizer.decode(inputs["qformer_input_ids"][0, 1])
    assert sentence == "[CLS] this frame is sampled at 0. 5 second. [SEP]"
    answer = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert answer.shape[1] == inputs["input_ids"].shape[1] + 3
    assert model.generation_config.top_p == 0.9 and model.generation_config.do_sample


def test_video_llama_is_converted_by_its_own_word(tmp_path, monkeypatch):
    config = timechat_config(timestamp="none", utterance_mode="clip")
    monkeypatch.setattr(paper_config, "preset_config", lambda name: {"video_llama": config}[name])
    files = write_video_llama(tmp_path).files
    weights = ("--vl", files.checkpoints[0], "--vit", files.vit, "--qformer", files.qformer, "--llama", files.llama)
    assert run("video-llama", *weights, "--out", tmp_path / "out", "--shard-gb", "0.0001") == 0
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 1
    processor = MicroEmoProcessor.from_pretrained(tmp_path / "out")
    assert processor.qformer_tokenizer is None and processor.video_processor.max_frames == 8
    MicroEmoForConditionalGeneration.from_pretrained(tmp_path / "out")


def test_times_may_be_read_by_llamas_tokenizer(original, tmp_path):
    out = tmp_path / "out"
    run(*command(original.files, out, "--timestamp-tokenizer", "llama"))
    processor = MicroEmoProcessor.from_pretrained(out)
    ids = processor.qformer_tokenizer("This frame")["input_ids"]
    assert processor.tokenizer.decode(ids) == "This frame"
    assert processor.qformer_tokenizer.padding_side == "right" and processor.tokenizer.padding_side == "left"


def test_the_sides_of_padding_survive_a_folder_that_names_none(original, tmp_path):
    """LLaMA's tokenizer pads on the left unless its folder says otherwise, and the published folders do not."""
    for file in original.files.llama.glob("*token*"):
        file.unlink()
    tokenizer = llama_tokenizer()
    tokenizer.save_pretrained(original.files.llama)
    assert "padding_side" not in json.loads((original.files.llama / "tokenizer_config.json").read_text())
    assert tokenizer.padding_side == "left"
    parts = paper_config.paper_parts("timechat", files=original.files, timestamp_tokenizer="llama")
    parts.processor.save_pretrained(tmp_path / "saved")
    processor = MicroEmoProcessor.from_pretrained(tmp_path / "saved")
    masks = [
        each(["a", "abc"], padding=True, add_special_tokens=False)["attention_mask"][0]
        for each in (processor.qformer_tokenizer, processor.tokenizer)
    ]
    assert masks[0] == masks[1][::-1] and masks[0][0] == 1 and masks[0][-1] == 0


@pytest.mark.parametrize("strict", [False, True])
def test_a_lost_lora_is_told_or_refused(original, bert, tmp_path, strict):
    checkpoint = torch.load(original.files.checkpoints[0], weights_only=True)
    lost = "layers.1.self_attn.v_proj"
    checkpoint["model"] = {key: value for key, value in checkpoint["model"].items() if lost not in key}
    torch.save(checkpoint, original.files.checkpoints[0])
    arguments = command(original.files, tmp_path / "out", "--bert", bert, *(["--strict"] if strict else []))
    told = f"LoRA for 7 of the 8 attention matrices.*not adapted: {lost}"
    if strict:
        with pytest.raises(ValueError, match=told):
            run(*arguments)
        assert not (tmp_path / "out").exists()
        return
    with pytest.warns(UserWarning, match=told):
        assert run(*arguments) == 0
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["without_lora"] == [lost]


def test_a_preset_with_sound_wants_a_whisper(original, tmp_path, monkeypatch):
    config = timechat_config(use_audio_branch=True, audio_config=WHISPER)
    monkeypatch.setattr(paper_config, "preset_config", lambda name: config)
    arguments = command(original.files, tmp_path / "out", "--preset", "7b", "--timestamp-tokenizer", "llama")
    with pytest.raises(ValueError, match="needs a Whisper folder"):
        run(*arguments)
    folder = tmp_path / "whisper"
    WhisperForConditionalGeneration(WhisperConfig(**WHISPER)).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=8, chunk_length=1).save_pretrained(folder)
    assert run(*arguments, "--whisper", folder) == 0
    model = MicroEmoForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    (tokens,) = model.get_audio_features(torch.randn(1, 1, 8, 100), return_dict=True).pooler_output
    assert tokens.isfinite().all()


def test_a_preset_without_sound_refuses_a_whisper(original, tmp_path):
    with pytest.raises(ValueError, match="has no audio branch, whisper is"):
        run(*command(original.files, tmp_path / "out", "--timestamp-tokenizer", "llama", "--whisper", tmp_path))


def test_an_unknown_time_tokenizer_is_refused(original):
    with pytest.raises(ValueError, match="timestamp_tokenizer is 'gpt', allowed are bert, llama"):
        paper_config.paper_parts("timechat", files=original.files, timestamp_tokenizer="gpt")


def test_a_vocabulary_with_spare_rows_keeps_them(original):
    tokenizer = paper_config.paper_parts("timechat", files=original.files, timestamp_tokenizer="llama").processor
    (original.files.llama / "config.json").write_text(
        (original.files.llama / "config.json").read_text().replace('"vocab_size": 259', '"vocab_size": 320')
    )
    config = paper_config.fit_config(timechat_config(), files=original.files, tokenizer=tokenizer.tokenizer)
    assert config.text_config.vocab_size == 320
    assert config.utterance_end_token_id == 261


def test_the_files_share_one_namespace(original):
    stored, replaced = original.files.read()
    assert "visual_encoder.cls_token" in stored and "llama_model.model.norm.weight" in stored
    assert "query_tokens" in replaced


def test_the_language_models_own_precision_is_not_taken_over(original):
    config_file = original.files.llama / "config.json"
    settings = json.loads(config_file.read_text())
    config_file.write_text(json.dumps({**settings, "dtype": "float16"}))
    parts = paper_config.paper_parts("timechat", files=original.files, timestamp_tokenizer="llama")
    assert parts.config.text_config.dtype is None


def test_clips_are_read_with_room_for_the_utterances(original):
    config = timechat_config()
    assert paper_config.reading_settings(config) == {"num_frames": TINY.frames, "min_frames_per_utterance": 0}
    config.utterance_mode = "utterance"
    assert paper_config.reading_settings(config) == {"num_frames": TINY.frames // 3, "min_frames_per_utterance": 2}
    parts = paper_config.paper_parts("timechat", files=original.files, timestamp_tokenizer="llama")
    assert parts.processor.reading_settings["num_frames"] == TINY.frames


def test_the_table_of_presets_is_markdown(capsys):
    assert run("presets") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| part (million parameters) | mini | 7b |")
    assert len({line.count("|") for line in lines}) == 1
