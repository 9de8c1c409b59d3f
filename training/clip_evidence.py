"""Evidence of training clips, computed by the model's own perception as at inference."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from microemo import MicroEmoProcessor
from microemo.processing.clip import Clip
from microemo.processing.evidence import Evidence

# Kinds of evidence that come from each stream.
STREAM_KINDS = {
    "words": ("words",),
    "voice": ("voice",),
    "faces": ("face", "micro_expression", "scene"),
    "pictures": ("face", "micro_expression", "scene"),
}
ClipEvidence = tuple[tuple[Evidence, ...], ...]  # of each utterance


class ClipPerceiver:
    """Computes the evidence of each clip once and caches it.

    The evidence comes from the model's weights at the first call for a clip; it is not updated as training proceeds.

    Args:
        model: has `perceive`.
    """

    def __init__(self, model: Any, *, processor: MicroEmoProcessor) -> None:
        self.model, self.processor = model, processor
        self._cache: dict[tuple[str, float, float], ClipEvidence] = {}

    def __call__(self, clip: Clip) -> ClipEvidence | None:
        """The evidence of each utterance; None where the model's prompts have none (`use_evidence_prompt`)."""
        if not self.model.config.use_evidence_prompt:
            return None
        key = (clip.source, clip.start_seconds, clip.end_seconds)
        if key not in self._cache:
            self._cache[key] = self._perceive(clip)
        return self._cache[key]

    @torch.no_grad()
    def _perceive(self, clip: Clip) -> ClipEvidence:
        model, was_training = self.model, self.model.training
        inputs = self.processor.from_clip(clip).to(model.device, model.dtype)
        model.eval()
        try:
            output = model.perceive(**inputs)
        finally:
            model.train(was_training)
        return self.processor.evidence(output, clip)


def without_streams(evidence: ClipEvidence, *, hidden: Collection[str]) -> ClipEvidence:
    """Removes the evidence of hidden streams: "words", "voice", "faces", "pictures"."""
    hidden_kinds = {kind for stream in hidden for kind in STREAM_KINDS.get(stream, ())}
    return tuple(tuple(entry for entry in utterance if entry.kind not in hidden_kinds) for utterance in evidence)
