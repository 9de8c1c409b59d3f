from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_public_parts import write_checkpoint
from torch import nn

from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.trained_parts import (
    RECORD,
    TrainedCheckpoint,
    apply_checkpoint,
    checkpoint_files,
    mini_checkpoint_folder,
    read_checkpoint,
)
from microemo.data.package_weights import file_sha256


@pytest.fixture
def model() -> nn.Module:
    """A model with a `model.face_tower` of two weights."""
    tree = nn.ModuleDict({"model": nn.ModuleDict({"face_tower": nn.Linear(2, 3), "other": nn.Linear(2, 2)})})
    for parameter in tree.parameters():
        nn.init.zeros_(parameter)
    return tree


def _tower() -> dict[str, torch.Tensor]:
    return {"model.face_tower.weight": torch.ones(3, 2), "model.face_tower.bias": torch.ones(3)}


def test_apply_checkpoint_copies_weights(model: nn.Module, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"]))
    apply_checkpoint(model, checkpoint=checkpoint)
    assert checkpoint.trained_parts == ("face_tower",)
    assert model["model"]["face_tower"].weight.eq(1).all()
    assert model["model"]["other"].weight.eq(0).all()


def test_empty_folder_has_no_trained_parts(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint == TrainedCheckpoint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model.face_towr.weight": torch.ones(3, 2)},
            "weights.safetensors of the checkpoint has model.face_towr.weight, which the model does not have",
        ),
        (
            {"model.face_tower.weight": torch.ones(2, 3)},
            r"model.face_tower.weight has shape \(2, 3\) in weights.safetensors of the checkpoint, \(3, 2\) in",
        ),
    ],
)
def test_mismatched_weights_are_refused(
    model: nn.Module, tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, _tower() | change, trained_parts=[]))
    with pytest.raises(ValueError, match=message):
        apply_checkpoint(model, checkpoint=checkpoint)
    assert model["model"]["face_tower"].bias.eq(0).all()  # nothing was copied


def test_incomplete_trained_part_is_refused(model: nn.Module, tmp_path: Path) -> None:
    weights = {"model.face_tower.weight": torch.ones(3, 2)}
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, weights, trained_parts=["face_tower"]))
    with pytest.raises(ValueError, match=r"face_tower is listed in trained_parts, .* lacks model\.face_tower\.bias"):
        apply_checkpoint(model, checkpoint=checkpoint)


def test_weights_without_record_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=None)
    with pytest.raises(ValueError, match="training_record.json is missing"):
        read_checkpoint(tmp_path)
    (tmp_path / "training_record.json").write_text('{"trained_parts": "face_tower"}')
    with pytest.raises(ValueError, match="must list trained_parts, got 'face_tower'"):
        read_checkpoint(tmp_path)


def test_record_of_other_weights_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    entry = {"file": "weights.safetensors", "sha256": file_sha256(tmp_path / "weights.safetensors")}
    record = {"trained_parts": ["face_tower"], "face_tower": entry}
    (tmp_path / RECORD).write_text(json.dumps(record))
    assert read_checkpoint(tmp_path).trained_parts == ("face_tower",)
    save_file({key: value * 2 for key, value in _tower().items()}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="was written for another weights.safetensors"):
        read_checkpoint(tmp_path)


def test_duplicate_key_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    save_file(_tower(), tmp_path / "a_second.safetensors")
    with pytest.raises(ValueError, match=r"and a_second.safetensors of the checkpoint both have .*bias"):
        read_checkpoint(tmp_path)


def test_apply_checkpoint_merges_lora(model: nn.Module, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    factors = (torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [5.0]]))
    write_lora(tmp_path / "other.safetensors", lora=Lora(1, 2.0, {"model.other": factors}), dtype=torch.float16)
    with torch.no_grad():
        model["model"]["other"].weight.fill_(100)
    apply_checkpoint(model, checkpoint=read_checkpoint(tmp_path))
    assert torch.equal(model["model"]["other"].weight, torch.tensor([[106.0, 112.0], [110.0, 120.0]]))
    assert model["model"]["face_tower"].weight.eq(1).all()


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            "model.face_tower",
            (3, 2),
            "both have model.face_tower.weight",
        ),
        ("model.otter", (2, 2), r"a_lora\.safetensors .* has model\.otter\.weight, which the model does not have"),
        ("model.other", (3, 2), r"model\.other\.weight has shape \(3, 2\) in a_lora\.safetensors .*, \(2, 2\) in"),
    ],
)
def test_mismatched_lora_is_refused(
    model: nn.Module, tmp_path: Path, module: str, shape: tuple[int, int], message: str
) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    factors = (torch.ones(1, shape[1]), torch.ones(shape[0], 1))
    write_lora(tmp_path / "a_lora.safetensors", lora=Lora(1, 1.0, {module: factors}), dtype=torch.float32)
    with pytest.raises(ValueError, match=message):
        apply_checkpoint(model, checkpoint=read_checkpoint(tmp_path))
    assert all(parameter.eq(0).all() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "message"), [("weights.safetensors", "another"), ("lost.safetensors", "missing")])
def test_record_lists_its_files(tmp_path: Path, name: str, message: str) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=[])
    (tmp_path / RECORD).write_text(json.dumps({"trained_parts": [], "files": {name: "0" * 64}}))
    with pytest.raises(ValueError, match=f"{name}.*{message}|{message}.*{name}"):
        read_checkpoint(tmp_path)


def test_hashes_depend_on_the_files(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, _tower(), trained_parts=["face_tower"])
    before = checkpoint_files(tmp_path)
    assert before.keys() == {"weights.safetensors", "training_record.json"}
    write_checkpoint(tmp_path, {key: value * 2 for key, value in _tower().items()}, trained_parts=["face_tower"])
    after = checkpoint_files(tmp_path)
    assert before["weights.safetensors"] != after["weights.safetensors"]
    assert before["training_record.json"] == after["training_record.json"]


def test_packaged_checkpoint_is_readable() -> None:
    folder = mini_checkpoint_folder()
    assert folder.name == "microemo-mini"
    checkpoint = read_checkpoint(folder)
    assert bool(checkpoint.state_dict) == bool(checkpoint.trained_parts)
