"""Evidence of the clips that a model is trained on: what it perceives of them, as it will be told at inference."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from microemo import MicroEmoProcessor
from microemo.processing.clip import Clip
from microemo.processing.evidence import Evidence

# What is not found where a stream is hidden.
KINDS_OF_STREAM = {
    "words": ("words",),
    "voice": ("voice",),
    "faces": ("face", "micro_expression", "scene"),
    "pictures": ("face", "micro_expression", "scene"),
}
ClipFindings = tuple[tuple[Evidence, ...], ...]


class ClipEvidence:
    """Perceives each clip once, with the weights that the model then has, and remembers what it found.

    Args:
        model: with `perceive`. Where it writes no evidence into prompts (`use_evidence_prompt`), there is none.
    """

    def __init__(self, model: Any, *, processor: MicroEmoProcessor) -> None:
        self.model, self.processor = model, processor
        self._known: dict[tuple[str, float, float], ClipFindings] = {}

    def __call__(self, clip: Clip) -> ClipFindings | None:
        """The findings of each utterance of a clip; None where prompts have none."""
        if not self.model.config.use_evidence_prompt:
            return None
        key = (clip.source, clip.start_seconds, clip.end_seconds)
        if key not in self._known:
            self._known[key] = self._perceive(clip)
        return self._known[key]

    @torch.no_grad()
    def _perceive(self, clip: Clip) -> ClipFindings:
        model, was_training = self.model, self.model.training
        inputs = self.processor.from_clip(clip).to(model.device, model.dtype)
        model.eval()
        try:
            output = model.perceive(**inputs)
        finally:
            model.train(was_training)
        return self.processor.evidence(output, clip)


def without_streams(evidence: ClipFindings, *, hidden: Collection[str]) -> ClipFindings:
    """The findings without those of hidden streams: "words", "voice", "faces", "pictures"."""
    kinds = {kind for stream in hidden for kind in KINDS_OF_STREAM.get(stream, ())}
    return tuple(tuple(found for found in own if found.kind not in kinds) for own in evidence)
