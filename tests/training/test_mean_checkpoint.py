"""The mean of two checkpoints."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import RECORD, read_checkpoint
from microemo.training.mean_checkpoint import main, mean_checkpoint


def checkpoint(folder, weights, *, stage):
    folder.mkdir()
    save_file(weights, folder / "heads.safetensors", metadata={"format": "pt"})
    record = {
        "trained_parts": ["emotion_head"],
        "stages": [{"name": stage}],
        "files": {"heads.safetensors": file_sha256(folder / "heads.safetensors")},
    }
    (folder / RECORD).write_text(json.dumps(record))
    return folder


def test_what_both_have_is_the_mean_and_the_rest_the_laters(tmp_path):
    before = checkpoint(tmp_path / "a", {"x": torch.zeros(2).half(), "n": torch.tensor(3)}, stage="first")
    later = {"x": torch.ones(2).half(), "n": torch.tensor(4), "new": torch.ones(1).half()}
    after = checkpoint(tmp_path / "b", later, stage="second")
    out = mean_checkpoint(before, after, out=tmp_path / "c")
    found = load_file(out / "heads.safetensors")
    assert found["x"].tolist() == [0.5, 0.5] and found["x"].dtype == torch.float16
    assert found["n"].item() == 4 and found["new"].item() == 1
    read_checkpoint(out)  # its hashes are its own
    assert json.loads((out / RECORD).read_text())["stages"] == [{"name": "second", "mean_with": "first"}]
    assert load_file(after / "heads.safetensors")["x"].tolist() == [1.0, 1.0]


def test_another_models_weights_are_refused(tmp_path):
    one = checkpoint(tmp_path / "a", {"x": torch.zeros(2)}, stage="first")
    other = checkpoint(tmp_path / "b", {"x": torch.zeros(1)}, stage="second")
    with pytest.raises(ValueError, match=r"x has shape \(2,\) in .*, \(1,\) in "):
        mean_checkpoint(one, other, out=tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_nothing_is_overwritten(tmp_path, capsys):
    one = checkpoint(tmp_path / "a", {"x": torch.zeros(2)}, stage="first")
    with pytest.raises(ValueError, match="is there already"):
        mean_checkpoint(one, one, out=one)
    assert main([str(one), str(tmp_path), str(tmp_path / "c")]) == 2
    assert "must be a checkpoint folder, but has no training_record.json" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
