"""Broken media through the reading path: an answer or an error that names the file; no crash, hang or lost memory.

pytest -m campaign tests/campaigns/test_broken_media.py     MICROEMO_MUTATIONS=1000 says how many (default 200)
"""

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
from campaigns.limited_child import resident_bytes, run_limited
from campaigns.media_mutations import MUTATIONS, mutant
from campaigns.media_seeds import SEEDS, write_seed, write_seeds
from synthetic_media import moving_squares, set_display_matrix, write_video

from microemo.processing.audio_reading import read_audio
from microemo.processing.media_index import index_media
from microemo.processing.video_reading import fit_size, open_video

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="limits and memory are read as Linux gives them")
pytestmark = needs_proc

HARMFUL = sorted((Path(__file__).parent / "seeds").glob("*"))
CAMPAIGN = int(os.environ.get("MICROEMO_MUTATIONS") or 200)
QUICK = range(0, 8 * len(SEEDS), 7)  # every kind of damage, and every seed
MOST_FRAMES, LONGEST_SOUND_SECONDS, SIDE = 16, 20.0, 160
KEPT_BYTES = 200 << 20  # what decoders and numpy may hold on to after a campaign


def read_all(path: Path) -> None:
    """Reads as an analysis does: index, frames, sound. Refusals must be `ValueError`s that name the file."""
    try:
        index = index_media(path)
        if index.video is not None:
            with open_video(path, index=index) as reader:
                size = fit_size(height=reader.height, width=reader.width, longest=SIDE)
                for indices, pictures in reader.read(range(min(len(reader), MOST_FRAMES)), size=size):
                    assert pictures.shape == (len(indices), *size, 3)
        end = min(index.end_seconds, LONGEST_SOUND_SECONDS)
        if end > 0:
            waveform = read_audio(path, end_seconds=end, index=index)
            assert waveform is None or abs(waveform).max(initial=0.0) <= 1
    except ValueError as error:
        assert path.name in str(error), f"the error does not name the file: {error!r}"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return write_seeds(tmp_path_factory.mktemp("seeds"))


def failures_of(numbers, seeds, folder: Path, *, in_child: bool) -> list[str]:
    """What went wrong, with the file's name; the files that did it stay in `folder`."""
    failures = []
    for number in numbers:
        name, content = mutant(number, seeds)
        path = folder / name
        path.write_bytes(content)
        if in_child:
            problem = run_limited(read_all, path)
        else:
            problem = ""
            try:
                read_all(path)
            except Exception as error:
                problem = repr(error)
        if problem:
            failures.append(f"{name}: {problem.splitlines()[-1]}")
        else:
            path.unlink()
    return failures


@pytest.mark.parametrize("suffix", SEEDS)
def test_the_seeds_are_whole(suffix, tmp_path):
    index = index_media(write_seed(tmp_path / f"seed{suffix}"))
    assert (index.video is not None, index.has_audio) == (suffix not in (".wav", ".mp3", ".flac"), suffix != ".gif")
    assert index.warnings == () and 0.4 < index.end_seconds < 0.7


def test_damage_is_deterministic_and_of_every_kind(seeds):
    names = [mutant(number, seeds)[0] for number in QUICK]
    assert all(any(kind.__name__ in name for name in names) for kind in MUTATIONS)
    assert {Path(name).suffix for name in names} == set(SEEDS)
    assert [mutant(number, seeds) for number in QUICK] == [mutant(number, seeds) for number in QUICK]
    whole = set(seeds.values())
    assert sum(mutant(number, seeds)[1] not in whole for number in QUICK) > 0.9 * len(QUICK)


def test_broken_media_is_read_or_refused_by_name(seeds, tmp_path):
    assert failures_of(QUICK, seeds, tmp_path, in_child=True) == []


@pytest.mark.parametrize("path", HARMFUL, ids=lambda path: path.name)
def test_files_made_to_do_harm(path):
    assert run_limited(read_all, path) == ""


@pytest.mark.parametrize("matrix", [(200, 0, 0, 1), (1, 0, 0, 200)])
def test_pixels_of_an_absurd_form_are_taken_as_square(tmp_path, matrix):
    """A picture of 64 x 48 would be shown, and kept in memory, 12,800 pixels wide."""
    path = set_display_matrix(write_video(tmp_path / "clip.mp4", moving_squares(count=3, height=48, width=64)), matrix)
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(matrix[0], matrix[3])
    with open_video(path) as reader:
        assert (reader.width, reader.height) == (64, 48)


@pytest.mark.campaign
def test_campaign_in_one_process(seeds, tmp_path):
    failures_of(range(len(SEEDS)), seeds, tmp_path, in_child=False)  # loads what is loaded once
    before = resident_bytes()
    assert failures_of(range(CAMPAIGN), seeds, tmp_path, in_child=False) == []
    assert resident_bytes() - before < KEPT_BYTES


@pytest.mark.campaign
def test_campaign_in_children_with_limits(seeds, tmp_path):
    assert failures_of(range(CAMPAIGN), seeds, tmp_path, in_child=True) == []
