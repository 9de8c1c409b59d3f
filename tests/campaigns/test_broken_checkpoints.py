"""Model folders after damage: loaded, or refused by a `ValueError` that names the folder; never random weights.

pytest -m campaign tests/campaigns/test_broken_checkpoints.py
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from tiny_folder import write_tiny_folder

from microemo.inference.model_loading import load_model

WEIGHTS = "model.safetensors"
WRONG = (None, True, -1, 0.5, "x", "", [], {}, [1, "a"], {"a": 1})
CAMPAIGN, QUICK = 200, 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_tiny_folder(tmp_path_factory.mktemp("whole") / "tiny")


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "broken"))


def check_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="broken") as raised:
        load_model(folder, device="cpu")
    assert len(str(raised.value)) < 2000


def check(folder: Path) -> None:
    try:
        load_model(folder, device="cpu")
    except ValueError as error:
        assert "broken" in str(error), str(error)


def cut(weights: Path, part: float) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * part)])


@pytest.mark.parametrize("part", [0.0, 0.00001, 0.01, 0.5, 0.9999])
def test_cut_weights_are_refused(folder, part):
    cut(folder / WEIGHTS, part)
    check_refused(folder)


def test_lost_renamed_and_swapped_weights_are_refused(folder):
    tensors = load_file(folder / WEIGHTS)
    names = sorted(name for name, tensor in tensors.items() if tensor.ndim > 1)
    first, other = next((a, b) for a in names for b in names if tensors[a].shape != tensors[b].shape)
    for changed in (
        {name: tensor for name, tensor in tensors.items() if name != first},
        {f"{name}_old" if name == first else name: tensor for name, tensor in tensors.items()},
        {**tensors, first: tensors[other], other: tensors[first]},
    ):
        save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})
        check_refused(folder)
    (folder / WEIGHTS).unlink()
    check_refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "\x00", '{"model_type": 5}', '{"model_type": "bert"}'])
def test_a_config_that_is_none_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    check_refused(folder)


def damage(folder: Path, number: int) -> None:
    """Wrong types in one of the folder's JSON files, or bytes turned in the head of the weights."""
    rng = np.random.default_rng([28, number])
    if number % 3 == 0:
        content = bytearray((folder / WEIGHTS).read_bytes())
        head = 8 + int.from_bytes(content[:8], "little")
        for place in rng.integers(head, size=3):
            content[place] ^= 1 << int(rng.integers(8))
        (folder / WEIGHTS).write_bytes(content)
        return
    files = [path for path in sorted(folder.glob("*.json")) if path.stat().st_size < 100_000]
    path = files[int(rng.integers(len(files)))] if number % 3 == 1 else folder / "config.json"
    data = json.loads(path.read_text())
    keys = sorted(data)
    data[keys[int(rng.integers(len(keys)))]] = WRONG[int(rng.integers(len(WRONG)))]
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("number", range(QUICK))
def test_damaged_folders_are_loaded_or_refused_by_name(folder, number):
    damage(folder, number)
    check(folder)


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(QUICK, CAMPAIGN))
def test_campaign_of_damaged_folders(folder, number):
    damage(folder, number)
    check(folder)
