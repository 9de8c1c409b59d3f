"""Runs transformers' common tests (`transformers_common_suite.py`) and checks the reasons of skipped tests."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from transformers_sdist import transformers_common_tests

SUITE = Path(__file__).with_name("transformers_common_suite.py")
SMALLEST_NUMBER_PASSED = 110  # of transformers 5.23; fewer mean that the suite was not really run

# Skip message -> reason why the test does not apply.
SKIPS = {
    r"requires (multiple )?accelerator": "the tests run on the processor",
    r"requires (Flash Attention|MPS|deepspeed|the kernels library)": "packages and devices of other machines",
    r"not an encoder-decoder": "MicroEmo is a decoder behind encoders",
    r"no (sparse experts|`output_router_logits`)|grouped_mm": "no mixture of experts",
    r"partial rope|axial RoPE": "rotary embeddings live in the language model, which has its own tests",
    r"position embeddings": "test_resize_position_embeddings is off: lengths are fixed by the config",
    r"sliding window mask": "the tiny language model attends to everything",
    r"_keep_in_fp32_modules": "no part has to stay in float32",
    r"does not support SDPA": "the test of models of one part; that of composite models runs",
    r"does not support output_attentions": "asked of an implementation that keeps no weights",
}


@pytest.mark.slow
def test_transformers_common_tests_pass(tmp_path):
    root = transformers_common_tests()
    report = tmp_path / "report.xml"
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", str(SUITE), "-q", f"--junitxml={report}", "-p", "no:cacheprovider"]
        # The markers of transformers are not registered here.
        + ["-o", "addopts=--import-mode=importlib", "-o", "xfail_strict=false"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(root), "RUN_SLOW": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-20_000:]
    cases = ElementTree.parse(report).getroot().iter("testcase")
    reasons = [skip.get("message", "") for case in cases for skip in case.iter("skipped")]
    unexplained = [reason for reason in reasons if not any(re.search(pattern, reason) for pattern in SKIPS)]
    assert unexplained == []
    passed = re.search(r"(\d+) passed", finished.stdout)
    assert passed and int(passed.group(1)) >= SMALLEST_NUMBER_PASSED
