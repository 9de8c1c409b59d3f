"""A saved processor works without this package, with `trust_remote_code=True`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

import microemo.processing.processing_microemo as entry

TESTS = Path(__file__).parents[1]
SAVE = """
import sys
from tiny_processor import tiny_processor
processor = tiny_processor()
type(processor).register_for_auto_class()
type(processor.video_processor).register_for_auto_class()
processor.save_pretrained(sys.argv[1])
"""
LOAD = """
import sys
sys.modules["microemo"] = None  # any import of it fails
import numpy as np
from transformers import AutoProcessor
processor = AutoProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
messages = [{"role": "user", "content": [
    {"type": "video", "video": np.zeros((4, 40, 60, 3), dtype=np.uint8)},
    {"type": "utterance", "start": 0.0, "end": 0.1, "text": "hi"},
    {"type": "text", "text": "How?"},
]}]
inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
package = type(processor).__module__.split(".")[0]
print(package, inputs["pixel_values_videos"].shape[1], inputs["utterance_times"].shape)
"""


def run(code: str, folder: Path, modules: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "HF_HOME": str(modules), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout.strip().splitlines()[-1] if finished.stdout.strip() else ""


def test_the_processor_loads_without_the_package(tmp_path):
    run(SAVE, tmp_path / "saved", tmp_path / "modules")
    assert (tmp_path / "saved" / "processing_microemo.py").is_file()
    printed = run(LOAD, tmp_path / "saved", tmp_path / "modules")
    assert printed == "transformers_modules 4 torch.Size([1, 1, 2])"


@pytest.mark.parametrize("file", [entry.__file__, *sorted(set(get_relative_import_files(entry.__file__)))])
def test_every_file_requires_only_dependencies_of_transformers(file):
    required = {"torch", "transformers", "huggingface_hub", "numpy"}
    assert set(get_imports(file)) - set(sys.stdlib_module_names) <= required
