"""Interrupted conversions, shards, checks, and errors before writing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from timechat_files import converted_processor, split_llama, timechat_config, write_timechat

from microemo.conversion.timechat import sharded_writer
from microemo.conversion.timechat.convert_timechat_to_hf import ConversionOptions, convert_timechat
from microemo.conversion.timechat.reload_check import check_weights
from microemo.conversion.timechat.sharded_writer import plan_shards, tensor_checksum, write_shards
from microemo.conversion.timechat.weight_files import read_weights

SMALL_SHARDS = ConversionOptions(dtype="float32", max_shard_bytes=60_000)


@pytest.fixture
def original(tmp_path):
    return write_timechat(tmp_path)


def convert(original, out, *, options=SMALL_SHARDS, progress=None):
    config = timechat_config()
    return convert_timechat(
        original.files, out, config=config, processor=converted_processor(config), options=options, progress=progress
    )


class Interrupted(Exception):
    pass


def stop_at(shard):
    def progress(stage, done, total):
        if (stage, done) == ("writing", shard):
            raise Interrupted

    return progress


def test_interrupted_conversion_resumes_with_missing_shards(original, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        convert(original, out, progress=stop_at(2))
    assert not out.exists()
    partial = tmp_path / "out.partial"
    first = {path.name: path.stat().st_mtime_ns for path in partial.glob("model-*.safetensors")}
    assert len(first) == 2
    written = []
    save_file = sharded_writer.save_file
    monkeypatch.setattr(
        sharded_writer, "save_file", lambda tensors, path, **kw: (written.append(path), save_file(tensors, path, **kw))
    )
    convert(original, out)
    shards = sorted(path.name for path in out.glob("*.safetensors"))
    assert len(written) == len(shards) - 2
    assert {name: (out / name).stat().st_mtime_ns for name in first} == first
    assert not partial.exists()
    straight = convert(original, tmp_path / "straight")
    assert all((out / name).read_bytes() == (straight / name).read_bytes() for name in shards)


def test_other_options_do_not_reuse_partial_results(original, tmp_path):
    with pytest.raises(Interrupted):
        convert(original, tmp_path / "out", progress=stop_at(2))
    out = convert(original, tmp_path / "out", options=replace(SMALL_SHARDS, dtype="float16"))
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert {path.name for path in out.glob("*.safetensors")} == set(index["weight_map"].values())
    assert {tensor.load().dtype for tensor in read_weights(out).values()} == {torch.float16}


def test_second_run_reuses_its_result_and_overwrites_nothing_else(original, tmp_path):
    out = convert(original, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert convert(original, out) == out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(ValueError, match="exists and is not the result of this conversion"):
        convert(original, out, options=replace(SMALL_SHARDS, lora_alpha=20.0))


def test_unknown_key_is_refused_before_writing(original, tmp_path):
    checkpoint = torch.load(original.files.checkpoints[0], weights_only=True)
    checkpoint["model"]["llama_proj2.weight"] = torch.zeros(2)
    torch.save(checkpoint, original.files.checkpoints[0])
    with pytest.raises(ValueError, match=r"known to no rule: llama_proj2\.weight"):
        convert(original, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_non_finite_values_are_refused(original, tmp_path):
    weights = torch.load(original.files.vit, weights_only=True)
    weights["pos_embed"][0, 1, 2] = float("nan")
    torch.save(weights, original.files.vit)
    with pytest.raises(ValueError, match=r"embeddings\.position_embedding has values that are not finite"):
        convert(original, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_changed_after_writing_is_detected(tmp_path):
    tensors = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
    shards = plan_shards({"a": 12, "b": 16}, max_bytes=100)
    checksums = write_shards(tmp_path, shards=shards, tensor_of=tensors.__getitem__, fingerprint="f")
    check_weights(tmp_path, targets=tensors, dtype=torch.float32, checksums=checksums)
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="b differs from what was written: remove .*model.safetensors"):
        check_weights(tmp_path, targets=tensors, dtype=torch.float32, checksums=checksums)


def test_shards_are_filled_in_order():
    shards = plan_shards({"a": 4, "b": 5, "c": 20, "d": 1}, max_bytes=10)
    assert [shard.keys for shard in shards] == [("a", "b"), ("c",), ("d",)]
    assert [shard.file_name for shard in shards][1] == "model-00002-of-00003.safetensors"
    with pytest.raises(ValueError, match=r"max_bytes \(0\)"):
        plan_shards({"a": 4}, max_bytes=0)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the process's memory from /proc")
def test_memory_use_is_about_one_shard(tmp_path):
    """Measures anonymous memory of the process, without mapped files. The allocator keeps some freed memory."""
    tensor_bytes, shard_bytes = 2**22, 2**24
    source = {f"k{index}": torch.full((2**20,), float(index)) for index in range(32)}  # 128 MiB
    torch.save(source, tmp_path / "source.pth")
    del source
    stored = read_weights(tmp_path / "source.pth")
    shards = plan_shards(dict.fromkeys(stored, tensor_bytes), max_bytes=shard_bytes)
    before, seen = anonymous_bytes(), []

    def tensor_of(key):
        seen.append(anonymous_bytes())
        return stored[key].load() + 1.0

    write_shards(tmp_path, shards=shards, tensor_of=tensor_of, fingerprint="f")
    assert len(shards) == 8 and len(seen) == 32
    assert max(seen) - before < 4 * shard_bytes  # half of the whole


def anonymous_bytes():
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


def test_checksums_distinguish_bit_patterns():
    zero = torch.zeros(4, dtype=torch.bfloat16)
    assert tensor_checksum(zero) == tensor_checksum(zero.clone()) != tensor_checksum(-zero)
    assert tensor_checksum(torch.tensor(3)) != tensor_checksum(torch.tensor(4))


def test_sharded_language_model_gives_the_same_weights(original, tmp_path):
    first = read_weights(convert(original, tmp_path / "first"))
    split_llama(original.files.llama, original.llama)
    second = read_weights(convert(original, tmp_path / "second"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key].load(), second[key].load()) for key in first)


class Payload:
    def __reduce__(self):
        return (print, ("code of a stranger",))


def test_checkpoint_with_pickled_code_is_refused(original, tmp_path, capsys):
    torch.save({"model": {}, "config": Payload()}, original.files.checkpoints[0])
    with pytest.raises(ValueError, match="holds more than tensors and plain values"):
        convert(original, tmp_path / "out")
    assert "stranger" not in capsys.readouterr().out


def test_legacy_torch_files_are_read(tmp_path):
    torch.save({"a": torch.arange(3.0)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "old.pth", prefix="x.")["x.a"].load().tolist() == [0.0, 1.0, 2.0]


def test_folder_without_weights_error_lists_file_names(tmp_path):
    with pytest.raises(FileNotFoundError, match="looked for model.safetensors"):
        read_weights(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_weights(tmp_path / "nowhere.pth")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "lost.safetensors"}}')
    with pytest.raises(FileNotFoundError, match=r"lacks the shards \['lost.safetensors'\]"):
        read_weights(tmp_path)


def test_invalid_options_are_refused():
    with pytest.raises(ValueError, match="dtype is 'int8', allowed are bfloat16"):
        ConversionOptions(dtype="int8")
    with pytest.raises(ValueError, match="lora is 'drop', allowed are merge, adapter"):
        ConversionOptions(lora="drop")
