"""A tiny model, labelled clips and a recipe for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from labelled_clips import write_labelled_clips
from tiny_folder import write_tiny_folder

from microemo.training.recipe import Recipe, recipe_of
from microemo.training.train import prepare

READING = {"num_frames": 4, "min_frames_per_utterance": 1, "face_size": 16, "face_fps": 8.0, "detection_fps": 5.0}
HEADS = ("video_qformer", "emotion_head", "face_head")


@dataclass(frozen=True)
class Workshop:
    """Files and recipes of the training tests. root: holds `model/` and `clips.jsonl`."""

    root: Path

    def recipe(self, output: Path, *, model=None, parts=HEADS, data=None, lora=None, **training) -> Recipe:
        """A recipe of two steps; the arguments are added to its sections."""
        source = {"reader": "jsonl", "path": "clips.jsonl", "questions": "clip"}
        reading = {"detector": None, "reading": READING, "cache_dir": str(self.root / "kept")}
        arguments = {
            "output_dir": str(output),
            "max_steps": 2,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": [],
            "use_cpu": True,
            "disable_tqdm": True,
        }
        return recipe_of(
            {
                "model": {"path": str(self.root / "model"), **(model or {})},
                "data": {"train": [source], **reading, **(data or {})},
                "parts": {"train": list(parts)},
                "training": {**arguments, **training},
                "lora": lora,
            }
        )

    def prepare(self, output: Path, **changes):
        """Prepares a run of that recipe."""
        return prepare(self.recipe(output, **changes), data_root=self.root)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    root = tmp_path_factory.mktemp("workshop")
    write_tiny_folder(root / "model")
    write_labelled_clips(root, count=4)
    return Workshop(root)


@pytest.fixture(autouse=True)
def one_thread():
    """Uses a single thread, so that sums are exactly reproducible."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
