"""Deterministic damage to media files: the same number always gives the same file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

SEED = 28
# Names of fields that say sizes, rates, durations, places, rotation; what follows them is overwritten.
MARKS = (
    b"mvhd", b"tkhd", b"mdhd", b"stts", b"stsd", b"stsz", b"stco", b"stsc", b"ctts", b"elst", b"hdlr", b"trak",
    b"fmt ", b"data", b"avih", b"strh", b"strf", b"idx1", b"fLaC", b"ID3", b"GIF89a", b"\x2a\xd7\xb1", b"\x44\x89",
    b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75",
)  # fmt: skip
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
Mutation = Callable[[bytes, bytes, np.random.Generator], bytes]


def flip_bits(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One to two hundred bits turned."""
    damaged = bytearray(content)
    for place in rng.integers(len(content), size=int(2 ** rng.uniform(0, 7.6))):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def cut(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The first part alone, or the last."""
    place = int(rng.integers(1, len(content)))
    return content[:place] if rng.random() < 0.8 else content[place:]


def splice_header(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one file before the rest of another."""
    place = int(rng.integers(4, min(len(content), len(other), 2048)))
    return other[:place] + content[place if rng.random() < 0.5 else 0 :]


def swap_blocks(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Two parts of the file change places, as tracks written in the wrong order do."""
    a, b, c, d = sorted(int(place) for place in rng.integers(len(content), size=4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def make_absurd(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Extreme numbers in one to eight of the fields behind a known name, in either order of bytes."""
    damaged = bytearray(content)
    places = [place for mark in MARKS for place in _places(content, mark)] or [0]
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.choice(places)) + int(rng.integers(4, 60))
        value = int(rng.choice(EXTREMES)).to_bytes(4, "big" if rng.random() < 0.7 else "little")
        damaged[place : place + 4] = value[: max(0, len(damaged) - place)]
    return bytes(damaged)


def nest(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A whole file in the middle of another."""
    place = int(rng.integers(len(content)))
    return content[:place] + other + content[place:]


def repeat(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A part of the file many times over."""
    first, last = sorted(int(place) for place in rng.integers(len(content), size=2))
    return content[:last] + content[first:last] * int(rng.integers(2, 30)) + content[last:]


def blank(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A part of the file as one byte over and over."""
    first, last = sorted(int(place) for place in rng.integers(len(content), size=2))
    return content[:first] + bytes([int(rng.choice([0, 0xFF]))]) * (last - first) + content[last:]


MUTATIONS: tuple[Mutation, ...] = (flip_bits, cut, splice_header, swap_blocks, make_absurd, nest, repeat, blank)


def mutant(number: int, seeds: Mapping[str, bytes]) -> tuple[str, bytes]:
    """(file name, content) of the mutation with this number: seeds and kinds of damage take turns."""
    rng = np.random.default_rng([SEED, number])
    suffixes = list(seeds)
    suffix = suffixes[number % len(suffixes)]
    kind = MUTATIONS[number // len(suffixes) % len(MUTATIONS)]
    other = seeds[suffixes[int(rng.integers(len(suffixes)))]]
    return f"{number}-{kind.__name__}{suffix}", kind(seeds[suffix], other, rng)


def _places(content: bytes, mark: bytes) -> list[int]:
    places, place = [], content.find(mark)
    while place >= 0 and len(places) < 16:
        places.append(place)
        place = content.find(mark, place + 1)
    return places
