"""Models for tests of the demo, as its worker processes load them: by functions of a module that they can import."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_folder import tiny_parts

from microemo.configuration_microemo import TRAINABLE_PARTS
from microemo.inference import chunk_analysis
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.report.report import EmotionReport

LEVEL = 3.0  # standard deviations of the micro logits that make the score sway between 0 and 1
ANSWER_TOKENS = 8  # a random model never ends an answer by itself


def write_eventful_folder(folder: Path, *, video: Path, transcript: list[dict[str, Any]]) -> Path:
    """Saves a tiny random model all of whose outputs count as trained and which sees expressions in `video`."""
    model, processor = tiny_parts()
    model.config.trained_parts = list(TRAINABLE_PARTS)
    for part in (model, processor):
        part.save_pretrained(folder)
    report = quick_report(folder, video, transcript=transcript, mode="scores")
    scores = np.array(report.face_curves[0].micro_scores)
    logits = np.log(scores / (1 - scores))
    head = model.model.face_head.micro_expression
    scale = LEVEL / logits.std()
    with torch.no_grad():
        head.weight.mul_(scale)
        head.bias.copy_(scale * (head.bias - logits.mean() - logits.std()))
        model.model.face_head.static_expression.bias[1] += 2.0  # an expression that the timeline draws
    model.save_pretrained(folder)
    return folder


def load_quickly(folder: Path) -> EmotionAnalyzer:
    """The analyzer of a model folder, in a process of its own that keeps its answers short."""
    chunk_analysis.ANSWER_TOKENS = ANSWER_TOKENS
    return EmotionAnalyzer.from_pretrained(folder, device="cpu")


def quick_report(folder: Path, source: Any, **asked: Any) -> EmotionReport:
    """What `load_quickly`'s analyzer says of a clip, in this process, whose own answers stay as long as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_analysis, "ANSWER_TOKENS", ANSWER_TOKENS)
        return EmotionAnalyzer.from_pretrained(folder, device="cpu")(source, **asked)


class EndingAnalyzer:
    """Ends its process on a clip named "fatal.mp4", raises on "bug.mp4", waits forever on "endless.mp4"."""

    def iter_reports(self, source: Path, request: Any, **asked: Any) -> Iterator[EmotionReport]:
        asked["progress"]("frames", 1, 2)
        if source.name == "fatal.mp4":
            os._exit(139)  # what a segmentation fault in a decoder does
        if source.name == "bug.mp4":
            raise KeyError("inside")
        if source.name == "endless.mp4":
            while True:
                pass
        if source.name == "broken.mp4":
            raise ValueError(f"{source} holds neither video nor audio")
        yield EmotionReport.from_json(source.read_text())


def load_ending() -> Any:
    """An analyzer that ends in every way."""
    return EndingAnalyzer()


def fail_to_load() -> Any:
    """No analyzer."""
    raise ValueError("there is no folder /nowhere")


def write_transcript(path: Path, entries: list[dict[str, Any]]) -> Path:
    """Saves utterances as JSON."""
    path.write_text(json.dumps(entries))
    return path
