"""Reader of CTranslate2's `model.bin` (binary version 6), without CTranslate2.

    uint32 binary version | string specification | uint32 revision
    uint32 count, for each variable: string name | uint8 rank | uint32 dims[rank] | uint8 type | uint32 bytes | data
    uint32 count, for each alias:    string alias | string name

Numbers are little-endian. A string is a uint16 length and that many bytes, of which the last is zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BINARY_VERSION = 6
# bfloat16 (5) is not supported: numpy has no such type, and no published Whisper uses it.
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


@dataclass(frozen=True)
class CTranslate2Model:
    """Variables by name, as read-only views of the file's bytes. aliases: second names of variables."""

    specification: str
    revision: int
    variables: dict[str, np.ndarray]
    aliases: dict[str, str]


def read_ctranslate2_model(path: str | Path) -> CTranslate2Model:
    """Reads a file; another format, a truncated file or trailing bytes raise `ValueError`."""
    reader = _Reader(Path(path).read_bytes(), Path(path))
    version = reader.number("<I")
    if version != BINARY_VERSION:
        raise ValueError(f"{path} has CTranslate2 binary version {version}, only {BINARY_VERSION} is known")
    specification, revision = reader.string(), reader.number("<I")
    variables = dict(reader.variable() for _ in range(reader.number("<I")))
    aliases = {}
    for _ in range(reader.number("<I")):
        alias, name = reader.string(), reader.string()
        if name not in variables:
            raise ValueError(f"{path}: alias {alias} names {name}, which is not in the file")
        aliases[alias] = name
    reader.finish()
    return CTranslate2Model(specification, revision, variables, aliases)


class _Reader:
    """Sequential reader of the bytes of a file."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data, self.path, self.position = data, path, 0

    def take(self, size: int) -> memoryview:
        end = self.position + size
        if end > len(self.data):
            raise ValueError(f"{self.path} is truncated: {end} bytes expected, {len(self.data)} found")
        piece = memoryview(self.data)[self.position : end]
        self.position = end
        return piece

    def number(self, kind: str) -> int:
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def string(self) -> str:
        return bytes(self.take(self.number("<H"))).rstrip(b"\0").decode("utf-8")

    def variable(self) -> tuple[str, np.ndarray]:
        name = self.string()
        shape = tuple(self.number("<I") for _ in range(self.number("<B")))
        dtype, size = self.number("<B"), self.number("<I")
        if dtype not in DTYPES:
            raise ValueError(f"{self.path}: {name} has type {dtype}, known are {sorted(DTYPES)}")
        values = np.frombuffer(self.take(size), dtype=np.dtype(DTYPES[dtype]).newbyteorder("<"))
        if values.size != np.prod(shape, dtype=np.int64):
            raise ValueError(f"{self.path}: {name} has {values.size} values for shape {shape}")
        return name, values.reshape(shape)

    def finish(self) -> None:
        if self.position != len(self.data):
            raise ValueError(f"{self.path} has {len(self.data) - self.position} bytes after its end")
