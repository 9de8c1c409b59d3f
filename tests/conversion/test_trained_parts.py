from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_public_parts import write_checkpoint
from torch import nn

from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import (
    RECORD,
    checkpoint_files,
    lay_over,
    mini_checkpoint_folder,
    read_checkpoint,
)


@pytest.fixture
def model() -> nn.Module:
    """A model with a `model.face_tower` of two weights."""
    tree = nn.ModuleDict({"model": nn.ModuleDict({"face_tower": nn.Linear(2, 3), "other": nn.Linear(2, 2)})})
    for parameter in tree.parameters():
        nn.init.zeros_(parameter)
    return tree


def _tower() -> dict[str, torch.Tensor]:
    return {"model.face_tower.weight": torch.ones(3, 2), "model.face_tower.bias": torch.ones(3)}


def test_lays_weights_over(model: nn.Module, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"]))
    lay_over(model, checkpoint=checkpoint)
    assert checkpoint.trained_parts == ("face_tower",)
    assert model["model"]["face_tower"].weight.eq(1).all()
    assert model["model"]["other"].weight.eq(0).all()


def test_an_empty_folder_means_untrained(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(tmp_path)
    assert (checkpoint.trained_parts, checkpoint.state_dict, checkpoint.files) == ((), {}, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.face_towr.weight": torch.ones(3, 2)}, "holds model.face_towr.weight, which the model does not have"),
        ({"model.face_tower.weight": torch.ones(2, 3)}, r"has shape \(2, 3\) in the checkpoint, \(3, 2\) here"),
    ],
)
def test_what_does_not_fit_is_an_error(
    model: nn.Module, tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, _tower() | change, trained_parts=[]))
    with pytest.raises(ValueError, match=message):
        lay_over(model, checkpoint=checkpoint)
    assert model["model"]["face_tower"].bias.eq(0).all()  # nothing was copied


def test_a_trained_part_must_be_complete(model: nn.Module, tmp_path: Path) -> None:
    weights = {"model.face_tower.weight": torch.ones(3, 2)}
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, weights, trained_parts=["face_tower"]))
    with pytest.raises(ValueError, match=r"face_tower counts as trained, .* lacks model\.face_tower\.bias"):
        lay_over(model, checkpoint=checkpoint)


def test_weights_need_a_record(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=None)
    with pytest.raises(ValueError, match="training_record.json is missing"):
        read_checkpoint(tmp_path)
    (tmp_path / "training_record.json").write_text('{"trained_parts": "face_tower"}')
    with pytest.raises(ValueError, match="must list trained_parts, got 'face_tower'"):
        read_checkpoint(tmp_path)


def test_a_record_of_other_weights_is_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    entry = {"file": "weights.safetensors", "sha256": file_sha256(tmp_path / "weights.safetensors")}
    record = {"trained_parts": ["face_tower"], "face_tower": entry}
    (tmp_path / RECORD).write_text(json.dumps(record))
    assert read_checkpoint(tmp_path).trained_parts == ("face_tower",)
    save_file({key: value * 2 for key, value in _tower().items()}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="was written for another weights.safetensors"):
        read_checkpoint(tmp_path)


def test_no_key_may_come_twice(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    save_file(_tower(), tmp_path / "a_second.safetensors")
    with pytest.raises(ValueError, match="which another file of the checkpoint holds too"):
        read_checkpoint(tmp_path)


def test_a_changed_file_changes_the_hashes(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    before = checkpoint_files(tmp_path)
    assert before.keys() == {"weights.safetensors", "training_record.json"}
    write_checkpoint(tmp_path, {key: value * 2 for key, value in _tower().items()}, trained_parts=["face_tower"])
    after = checkpoint_files(tmp_path)
    assert before["weights.safetensors"] != after["weights.safetensors"]
    assert before["training_record.json"] == after["training_record.json"]


def test_the_packaged_checkpoint_is_found_and_readable() -> None:
    folder = mini_checkpoint_folder()
    assert folder.name == "microemo-mini"
    checkpoint = read_checkpoint(folder)
    assert bool(checkpoint.state_dict) == bool(checkpoint.trained_parts)
