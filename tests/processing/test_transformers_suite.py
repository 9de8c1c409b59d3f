"""transformers' own tests of processors, downloaded with its source distribution."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers_sdist import transformers_common_tests

SUITE = Path(__file__).with_name("transformers_suite.py")
TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_suite_of_transformers_passes():
    transformers_common_tests()  # skips where the tests cannot be downloaded
    command = [sys.executable, "-m", "pytest", str(SUITE), "-q", "-rs"]
    command += ["-o", f"pythonpath={TESTS}", "-o", "addopts=--import-mode=importlib"]  # their markers are not ours
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    print(finished.stdout[-20_000:])
    assert finished.returncode == 0, finished.stdout[-20_000:]
    assert int(re.search(r"(\d+) passed", finished.stdout)[1]) >= 50
