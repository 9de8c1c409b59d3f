from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ctranslate2_writer import write_ctranslate2_model

from microemo.conversion.mini.ctranslate2_format import read_ctranslate2_model

VARIABLES = {
    "encoder/num_heads": np.array(2, np.int16),
    "encoder/weight": np.arange(6, dtype=np.float16).reshape(2, 3),
    "decoder/weight": np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4),
}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    write_ctranslate2_model(path, VARIABLES, aliases={"decoder/projection": "decoder/weight"})
    return path


def test_read_equals_written(model_file: Path) -> None:
    model = read_ctranslate2_model(model_file)
    assert (model.specification, model.revision) == ("WhisperSpec", 3)
    assert model.aliases == {"decoder/projection": "decoder/weight"}
    assert model.variables.keys() == VARIABLES.keys()
    for name, values in VARIABLES.items():
        np.testing.assert_array_equal(model.variables[name], values)
        assert model.variables[name].dtype == values.dtype


@pytest.mark.parametrize("kept", [0, 3, 20, 60, -1])
def test_truncated_file_is_refused(model_file: Path, kept: int) -> None:
    model_file.write_bytes(model_file.read_bytes()[:kept])
    with pytest.raises(ValueError, match="model.bin is truncated"):
        read_ctranslate2_model(model_file)


def test_trailing_bytes_are_refused(model_file: Path) -> None:
    model_file.write_bytes(model_file.read_bytes() + b"xyz")
    with pytest.raises(ValueError, match="3 bytes after its end"):
        read_ctranslate2_model(model_file)


def test_other_version_is_refused(tmp_path: Path) -> None:
    write_ctranslate2_model(tmp_path / "model.bin", VARIABLES, version=5)
    with pytest.raises(ValueError, match="binary version 5, only 6"):
        read_ctranslate2_model(tmp_path / "model.bin")


def test_alias_of_missing_variable_is_refused(tmp_path: Path) -> None:
    write_ctranslate2_model(tmp_path / "model.bin", VARIABLES, aliases={"a": "b"})
    with pytest.raises(ValueError, match="alias a names b"):
        read_ctranslate2_model(tmp_path / "model.bin")
