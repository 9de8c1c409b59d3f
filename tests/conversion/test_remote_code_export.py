"""An exported folder loads without this package and gives bit-equal outputs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_folder import write_tiny_folder

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.hub.export_hub import export_model

# Run with and without the package: reads a clip out of arrays, and saves what the model makes of it.
ANALYSE = """
def analyse(model, processor, target):
    import numpy as np
    import torch

    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (6, 40, 60, 3), dtype=np.uint8)
    sound = generator.normal(0, 0.1, 32_000).astype(np.float32)
    messages = [{"role": "user", "content": [
        {"type": "video", "video": frames},
        {"type": "audio", "audio": sound},
        {"type": "utterance", "start": 0.0, "end": 0.1, "text": "You came back."},
        {"type": "text", "text": "What does she feel?"},
    ]}]
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    with torch.no_grad():
        outputs = model.eval()(**inputs)
        answer = model.generate(**inputs, do_sample=False, max_new_tokens=4)
    tensors = {"logits": outputs.logits, "emotion": outputs.emotion_logits, "answer": answer, **inputs}
    torch.save({name: value for name, value in tensors.items() if isinstance(value, torch.Tensor)}, target)
"""
WITHOUT_PACKAGE = f"""
import sys
sys.modules["microemo"] = None  # an import of it, stray or not, fails
from transformers import AutoModel, AutoModelForMultimodalLM, AutoProcessor
{ANALYSE}
folder, target, broken = sys.argv[1:]
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForMultimodalLM.from_pretrained(folder, trust_remote_code=True)
analyse(model, processor, target)
base = AutoModel.from_pretrained(folder, trust_remote_code=True)
print(type(model).__module__.split(".")[0], type(processor).__module__.split(".")[0], type(base).__name__)
try:
    AutoModel.from_pretrained(broken, trust_remote_code=True)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    return export_model(write_tiny_folder(folder / "source"), folder / "microemo-tiny")


@pytest.fixture(scope="module")
def broken(exported, tmp_path_factory):
    """The same files with a config of one more layer than the weights have."""
    folder = tmp_path_factory.mktemp("broken")
    for path in exported.iterdir():
        if path.suffix in (".py", ".safetensors"):
            (folder / path.name).symlink_to(path)
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    config["dynamics_config"]["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_process_without_the_package_computes_the_same(exported, broken, tmp_path):
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    command = [sys.executable, "-c", WITHOUT_PACKAGE, str(exported), str(tmp_path / "theirs.pt"), str(broken)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    classes, refusal = finished.stdout.strip().splitlines()
    assert classes.split() == ["transformers_modules", "transformers_modules", "MicroEmoModel"]
    assert "lacks weights that the model needs: micro_dynamics" in refusal
    scope: dict = {}
    exec(ANALYSE, scope)
    model = MicroEmoForConditionalGeneration.from_pretrained(exported)
    scope["analyse"](model, MicroEmoProcessor.from_pretrained(exported), tmp_path / "ours.pt")
    theirs, ours = torch.load(tmp_path / "theirs.pt"), torch.load(tmp_path / "ours.pt")
    assert {"pixel_values_videos", "input_features", "emotion", "answer"} <= ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor.numpy(), theirs[name].numpy(), err_msg=name)
