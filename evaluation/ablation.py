"""The paper's ablations with one set of weights: parts of the model are switched off or streams are hidden.

| name | difference to the full model |
|---|---|
| full | none |
| no_evidence_prompt | no evidence in the prompt, only soft tokens and words |
| no_soft_tokens | no soft tokens in the prompt, only evidence and words |
| no_global_local_attention | frames do not attend to face crops; face evidence is kept |
| no_local_branch | no face information, neither in the frame tokens nor as evidence |
| no_utterance_qformer | the Q-Formers encode only the whole clip (`utterance_mode="clip"`) |
| window_2s | the Q-Formers encode sliding windows of two seconds as in TimeChat (`utterance_mode="window"`) |
| no_audio, no_words, no_faces, no_pictures | one stream is hidden, unless it is the only stream of a clip |
| eight_frames | only the frames and faces at eight evenly spaced times |
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

FACE_TOLERANCE_SECONDS = 0.1  # largest distance of a face crop to a sampled time; crops are at most 0.07 s apart


@dataclass(frozen=True)
class Ablation:
    """Changes to the full model.

    config: changed fields of `MicroEmoConfig`. window_seconds: length of the sliding windows. hidden: streams, see
    `hide_streams`. num_times: number of evenly spaced times to sample frames and faces at; None: all.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    window_seconds: float | None = None
    hidden: frozenset[str] = frozenset()
    num_times: int | None = None


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
        Ablation("eight_frames", num_times=8),
    )
}


class AblatedAnalyzer:
    """An analyzer with an ablation. It shares the weights with the original, but not config and processor."""

    def __init__(self, analyzer: EmotionAnalyzer, *, ablation: Ablation = FULL) -> None:
        self.ablation = ablation
        self.analyzer = _with_config(analyzer, ablation.config) if ablation.config else analyzer

    def prepared(self, clip: Clip) -> tuple[EmotionAnalyzer, Clip]:
        """Returns the analyzer and the changed clip, for `EmotionAnalyzer.report_clip`."""
        changed = hide_streams(clip, hidden=self.ablation.hidden, reason="hidden for the ablation")
        if self.ablation.num_times is not None:
            changed = subsample_clip(changed, count=self.ablation.num_times)
        if self.ablation.window_seconds is not None:
            self._set_window(changed, seconds=self.ablation.window_seconds)
        return self.analyzer, changed

    def _set_window(self, clip: Clip, *, seconds: float) -> None:
        """Sets the window size in frames. Frames are spread over the clip, so it depends on the clip."""
        frames = 0 if clip.frames is None else len(clip.frames)
        count = max(1, round(frames * seconds / (clip.end_seconds - clip.start_seconds)))
        for target in (self.analyzer.model.config, self.analyzer.processor):
            target.window_frames = target.window_stride = count


def subsample_clip(clip: Clip, *, count: int) -> Clip:
    """Returns the clip with only the frames and faces at `count` evenly spaced times.

    |  *  .  .  *  .  .  *  .  .  *  |     count = 4: the centre of each quarter
    """
    length = clip.end_seconds - clip.start_seconds
    times = clip.start_seconds + (np.arange(count) + 0.5) * length / count
    if clip.frames is not None and clip.frame_times is not None and len(clip.frames):
        frames = np.unique([int(np.argmin(np.abs(np.asarray(clip.frame_times) - time))) for time in times])
        clip = replace(clip, frames=clip.frames[frames], frame_times=np.asarray(clip.frame_times)[frames])
    if clip.face_crops is None or clip.face_times is None:
        return clip
    faces = _nearest_rows(np.asarray(clip.face_times), times=times)
    if len(faces) == 0:
        missing_reasons = {**clip.missing_reasons, "faces": f"no face at the {count} sampled times"}
        return replace(clip.without_faces(), missing_reasons=missing_reasons)
    return clip.take_faces(faces)


def _nearest_rows(face_times: np.ndarray, *, times: np.ndarray) -> np.ndarray:
    """Returns the sorted indices of the face times (F,) nearest to the times (N,) and within the tolerance."""
    distances = np.abs(face_times[:, None] - times[None, :])  # (F, N)
    if distances.size == 0:
        return np.zeros(0, dtype=np.int64)
    nearest = distances.argmin(axis=0)
    return np.unique(nearest[distances.min(axis=0) <= FACE_TOLERANCE_SECONDS])


def _with_config(analyzer: EmotionAnalyzer, changes: Mapping[str, Any]) -> EmotionAnalyzer:
    """Returns an analyzer with changed config fields that shares tensors and tower modules with the original."""
    model = analyzer.model
    shared = chain(model.parameters(), model.buffers(), tower_modules(model).values())
    model = copy.deepcopy(model, {id(part): part for part in shared})
    processor = copy.copy(analyzer.processor)
    for name, value in changes.items():
        setattr(model.config, name, value)
        if hasattr(processor, name):
            setattr(processor, name, value)
    return EmotionAnalyzer(model, processor, reader=analyzer.reader, model_id=analyzer.model_id)
