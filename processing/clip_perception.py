"""Converts model outputs to the perception of a single clip, and measures its voices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clip import Clip
from .evidence import Perception
from .prosody import Prosody, VoiceTrace, measure_prosody, trace_voices


def clip_perception(output: Any, clip: Clip, *, row: int = 0) -> Perception:
    """Returns the perception of one clip of a batch, without padding.

    Args:
        output: of `model.perceive`.
        row: of the batch.

    Raises `ValueError` if the output is shorter than the clip.
    """
    crops = 0 if clip.face_times is None else len(clip.face_times)
    counts = dict.fromkeys(("expressions", "micro", "motion", "action_units"), crops)
    counts |= dict.fromkeys(("voice", "words"), len(clip.utterances))
    arrays: dict[str, np.ndarray] = {}
    for name, count in counts.items():
        values = getattr(output, name)
        if values is None:
            continue
        array = values[row].detach().float().cpu().numpy()
        if len(array) < count:
            raise ValueError(f"perception has {len(array)} {name}, the clip has {count}")
        arrays[name] = array[:count].clip(0, 1).astype(np.float64)
    labels = output.labels
    return Perception(
        **arrays,
        expression_labels=labels["expressions"],
        action_unit_labels=labels["action_units"],
        voice_labels=labels["voice"],
        word_labels=labels["words"],
    )


def clip_traces(clip: Clip) -> tuple[VoiceTrace, ...] | None:
    """Pitch and loudness over each utterance; None without audio."""
    if clip.waveform is None:
        return None
    spans = [
        (utterance.start_seconds - clip.start_seconds, utterance.end_seconds - clip.start_seconds)
        for utterance in clip.utterances
    ]
    return trace_voices(clip.waveform, sampling_rate=clip.sampling_rate, spans=spans)


def clip_prosody(clip: Clip, *, traces: tuple[VoiceTrace, ...] | None = None) -> tuple[Prosody | None, ...]:
    """Prosody of each utterance, None where it is silent. traces: of `clip_traces`, if known."""
    traces = clip_traces(clip) if traces is None else traces
    if traces is None:
        return (None,) * len(clip.utterances)
    prosodies = measure_prosody(traces, speakers=[utterance.speaker for utterance in clip.utterances])
    return tuple(prosody if len(trace.decibels) else None for trace, prosody in zip(traces, prosodies, strict=True))
