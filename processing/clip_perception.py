"""From a model's outputs and a clip to plain arrays of that clip alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clip import Clip
from .evidence import Perception
from .prosody import Prosody, VoiceTrace, measure_prosody, trace_voices


def clip_perception(output: Any, clip: Clip, *, row: int = 0) -> Perception:
    """What was perceived of one clip of a batch, without padding.

    Args:
        output: of `model.perceive`.
        row: of the batch.

    Raises `ValueError` where it was perceived of another clip.
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
            raise ValueError(f"perception of {len(array)} {name} does not belong to a clip of {count}")
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
    """Pitch and loudness of each utterance; None without sound."""
    if clip.waveform is None:
        return None
    spans = [
        (each.start_seconds - clip.start_seconds, each.end_seconds - clip.start_seconds) for each in clip.utterances
    ]
    return trace_voices(clip.waveform, sampling_rate=clip.sampling_rate, spans=spans)


def clip_prosody(clip: Clip, *, traces: tuple[VoiceTrace, ...] | None = None) -> tuple[Prosody | None, ...]:
    """How each utterance is spoken; None where nothing is heard. traces: of `clip_traces`, where they are known."""
    traces = clip_traces(clip) if traces is None else traces
    if traces is None:
        return (None,) * len(clip.utterances)
    measured = measure_prosody(traces, speakers=[each.speaker for each in clip.utterances])
    return tuple(prosody if len(trace.decibels) else None for trace, prosody in zip(traces, measured, strict=True))
