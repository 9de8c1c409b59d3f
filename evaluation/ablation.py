"""The ablations of the paper on one set of weights: what the model says with a part switched off or a stream hidden.

| name | what differs |
|---|---|
| full | nothing |
| no_evidence_prompt | what the streams found is not written into the prompt: soft tokens and words alone |
| no_soft_tokens | the Q-Formers' tokens are not in the prompt: evidence and words alone |
| no_global_local_attention | the face crops never reach the frames; face evidence stays |
| no_local_branch | nothing is seen of the face: neither in the frames' tokens nor as evidence |
| no_utterance_qformer | the Q-Formers see the whole clip alone (`utterance_mode="clip"`) |
| window_2s | they see fixed windows of two seconds, as TimeChat's (`utterance_mode="window"`) |
| no_audio, no_words, no_faces, no_pictures | a stream is hidden; the last one that a clip has stays |
| eight_frames | frames and faces of eight evenly spread moments are all that is seen |
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from microemo.data.stream_dropout import hide_streams
from microemo.evaluation.tower_cache import tower_modules
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.processing.clip import Clip

MOMENT_TOLERANCE_SECONDS = 0.1  # a face seen this near to a moment is seen at it; crops are at most 0.07 s apart


@dataclass(frozen=True)
class Ablation:
    """What differs from the full model.

    config: fields of `MicroEmoConfig` with their values. window_seconds: of the sliding windows. hidden: streams, as
    `hide_streams` takes them. moments: how many evenly spread moments are seen; None for all.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    window_seconds: float | None = None
    hidden: frozenset[str] = frozenset()
    moments: int | None = None


FULL = Ablation("full")
ABLATIONS = {
    ablation.name: ablation
    for ablation in (
        FULL,
        Ablation("no_evidence_prompt", config={"use_evidence_prompt": False}),
        Ablation("no_soft_tokens", config={"use_soft_tokens": False}),
        Ablation("no_global_local_attention", config={"use_global_local_attention": False}),
        Ablation("no_local_branch", config={"use_local_branch": False}),
        Ablation("no_utterance_qformer", config={"utterance_mode": "clip"}),
        Ablation("window_2s", config={"utterance_mode": "window"}, window_seconds=2.0),
        Ablation("no_audio", hidden=frozenset({"voice"})),
        Ablation("no_words", hidden=frozenset({"words"})),
        Ablation("no_faces", hidden=frozenset({"faces"})),
        Ablation("no_pictures", hidden=frozenset({"pictures"})),
        Ablation("eight_frames", moments=8),
    )
}


class AblatedAnalyzer:
    """An analyzer with an ablation: the same weights in memory, a config and a processor of its own."""

    def __init__(self, analyzer: EmotionAnalyzer, *, ablation: Ablation = FULL) -> None:
        self.ablation = ablation
        self.analyzer = _with_config(analyzer, ablation.config) if ablation.config else analyzer

    def prepared(self, clip: Clip) -> tuple[EmotionAnalyzer, Clip]:
        """The analyzer and the clip as the ablation shows it, for `EmotionAnalyzer.report_clip`."""
        seen = hide_streams(clip, hidden=self.ablation.hidden, reason="hidden for the ablation")
        if self.ablation.moments is not None:
            seen = clip_at_moments(seen, count=self.ablation.moments)
        if self.ablation.window_seconds is not None:
            self._set_window(seen, seconds=self.ablation.window_seconds)
        return self.analyzer, seen

    def _set_window(self, clip: Clip, *, seconds: float) -> None:
        """The frames of a clip are spread over its length, so how many fill a window depends on the clip."""
        frames = 0 if clip.frames is None else len(clip.frames)
        count = max(1, round(frames * seconds / (clip.end_seconds - clip.start_seconds)))
        for owner in (self.analyzer.model.config, self.analyzer.processor):
            owner.window_frames = owner.window_stride = count


def clip_at_moments(clip: Clip, *, count: int) -> Clip:
    """The clip as a model sees it that looks at `count` evenly spread moments: their frames and their faces.

    |  *  .  .  *  .  .  *  .  .  *  |     count = 4: the middle of each quarter
    """
    length = clip.end_seconds - clip.start_seconds
    moments = clip.start_seconds + (np.arange(count) + 0.5) * length / count
    if clip.frames is not None and clip.frame_times is not None and len(clip.frames):
        frames = np.unique([int(np.argmin(np.abs(np.asarray(clip.frame_times) - moment))) for moment in moments])
        clip = replace(clip, frames=clip.frames[frames], frame_times=np.asarray(clip.frame_times)[frames])
    if clip.face_crops is None or clip.face_times is None:
        return clip
    faces = _rows_at(np.asarray(clip.face_times), moments=moments)
    if len(faces) == 0:
        missing_reasons = {**clip.missing_reasons, "faces": f"no face at the {count} moments that are seen"}
        return replace(clip.without_faces(), missing_reasons=missing_reasons)
    return clip.take_faces(faces)


def _rows_at(times: np.ndarray, *, moments: np.ndarray) -> np.ndarray:
    """Indices of the times (F,) nearest to the moments, of those near enough; each once, in order."""
    distances = np.abs(times[:, None] - moments[None, :])  # (F, moments)
    if distances.size == 0:
        return np.zeros(0, dtype=np.int64)
    nearest = distances.argmin(axis=0)
    return np.unique(nearest[distances.min(axis=0) <= MOMENT_TOLERANCE_SECONDS])


def _with_config(analyzer: EmotionAnalyzer, changes: Mapping[str, Any]) -> EmotionAnalyzer:
    """The analyzer with fields of the config changed, on the same tensors and the very same towers."""
    model = analyzer.model
    shared = chain(model.parameters(), model.buffers(), tower_modules(model).values())
    model = copy.deepcopy(model, {id(part): part for part in shared})
    processor = copy.copy(analyzer.processor)
    for name, value in changes.items():
        setattr(model.config, name, value)
        if hasattr(processor, name):
            setattr(processor, name, value)
    return EmotionAnalyzer(model, processor, reader=analyzer.reader, model_id=analyzer.model_id)
