"""One person's face over time, as a report tells it: means of a span, sentences with times, moments worth a picture.

Pure functions on a `FaceTimeline`; times in seconds, probabilities in [0, 1]. Spans are half open, [start, end).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.configuration_microemo import NEUTRAL
from microemo.processing.facial_events import BLIND_SECONDS, FaceTimeline, FacialEvent, attended, mean_expressions, rows_between
from microemo.inference.report import Evidence, LabelScore
from microemo.processing.clip import Clip, FaceTrack

STEADY_PROBABILITY = 0.5  # the mean from which a face at rest is worth a sentence
MAX_MACRO_EXPRESSIONS = 3  # named of a span; the curve shows them all


def attended_timeline(clip: Clip, number: int, *, timelines: Sequence[FaceTimeline]) -> FaceTimeline | None:
    """The person attended in an utterance of a clip, None where none is seen in it.

    Args:
        timelines: of the clip's people, on its clock. Whom the reader chose is attended; in a clip made without
            choosing, the person most often seen in the utterance.
    """
    utterance = clip.utterances[number]
    span = utterance.start_seconds, utterance.end_seconds
    if clip.utterance_track_ids:
        timelines = [line for line in timelines if line.track_id == clip.utterance_track_ids[number]]
    return attended(timelines, *span)


def expression_scores(
    timeline: FaceTimeline, *, labels: Sequence[str], start_seconds: float, end_seconds: float
) -> tuple[LabelScore, ...] | None:
    """Mean probability of each expression over a span, strongest first; None where no face was seen or untrained."""
    means = mean_expressions((timeline,), start_seconds, end_seconds)
    if means is None:
        return None
    scores = [LabelScore(label, _rounded(mean)) for label, mean in zip(labels, means, strict=True)]
    return tuple(sorted(scores, key=lambda score: -score.probability))


def event_evidence(
    timeline: FaceTimeline, *, labels: Sequence[str], start_seconds: float, end_seconds: float
) -> tuple[Evidence, ...]:
    """What the detector found of a face in a span, in sentences with times, by time.

    Macro-expressions ("happiness from 4.4 to 6.3 s, mean 0.97"), without any that the face is neutral where it is, and
    micro-expressions ("micro-expression of fear, apex 1.8 s").
    """
    span = start_seconds, end_seconds
    macro = timeline.macro_in(*span)
    longest = sorted(macro, key=lambda event: -event.overlap(*span))[:MAX_MACRO_EXPRESSIONS]
    found = [_macro_evidence(event, labels=labels) for event in longest]
    found += [_micro_evidence(event, labels=labels) for event in timeline.micro_in(*span)]
    if not macro:
        means = expression_scores(timeline, labels=labels, start_seconds=start_seconds, end_seconds=end_seconds)
        rest = next((score.probability for score in means or () if score.label == NEUTRAL), 0.0)
        if rest >= STEADY_PROBABILITY:
            found.append(Evidence("face", None, f"neutral, mean {rest:.2f}"))
    return tuple(sorted(found, key=lambda evidence: evidence.seconds or 0.0))


def presence_evidence(times: np.ndarray, *, start_seconds: float, end_seconds: float) -> tuple[Evidence, ...]:
    """When between start and end a face seen at `times` (F,) comes, is away, and goes; () for one always there."""
    seen = times[rows_between(times, start_seconds, end_seconds)]
    if len(seen) == 0:
        return ()
    evidence = []
    if seen[0] - start_seconds > BLIND_SECONDS:
        evidence.append(Evidence("face", round(float(seen[0]), 3), f"first seen at {seen[0]:.1f} s"))
    for place in np.flatnonzero(np.diff(seen) > BLIND_SECONDS):
        left, back = seen[place], seen[place + 1]
        evidence.append(Evidence("face", round(float(left), 3), f"not seen between {left:.1f} and {back:.1f} s"))
    if end_seconds - seen[-1] > BLIND_SECONDS:
        evidence.append(Evidence("face", round(float(seen[-1]), 3), f"last seen at {seen[-1]:.1f} s"))
    return tuple(evidence)


def strongest_moments(timeline: FaceTimeline, *, count: int) -> tuple[float, ...]:
    """Up to `count` times worth a picture: for each expression that leads somewhere, its strongest crop.

    Ordered by time; expressions that lead for longer come first when there are more than `count`.
    """
    if timeline.expressions is None or len(timeline.times) == 0:
        return ()
    leading = np.argmax(timeline.expressions, axis=1)
    counts = np.bincount(leading, minlength=timeline.expressions.shape[1])
    order: Sequence[int] = np.argsort(-counts, kind="stable").tolist()
    shown = [column for column in order if counts[column]][:count]
    peaks = [float(timeline.times[int(np.argmax(timeline.expressions[:, column]))]) for column in shown]
    return tuple(sorted(set(peaks)))


def boxes_at(times: np.ndarray, *, tracks: Sequence[FaceTrack]) -> tuple[tuple[int, ...], ...] | None:
    """One person's box at each of `times` (F,), between those of the tracks' times; None without tracks."""
    if not tracks:
        return None
    known, first = np.unique(np.concatenate([track.times for track in tracks]), return_index=True)
    boxes = np.concatenate([track.boxes for track in tracks])[first]  # (N, 4)
    columns = [np.interp(times, known, boxes[:, side]).round().astype(int).tolist() for side in range(4)]
    return tuple(zip(*columns, strict=True))


def _macro_evidence(event: FacialEvent, *, labels: Sequence[str]) -> Evidence:
    text = (
        f"{labels[event.expression]} from {event.onset_seconds:.1f} to {event.offset_seconds:.1f} s, "
        f"mean {event.probability:.2f}"
    )
    return Evidence("face", round(event.onset_seconds, 3), text)


def _micro_evidence(event: FacialEvent, *, labels: Sequence[str]) -> Evidence:
    shown = f" of {labels[event.expression]}" if len(event.shares) else ""
    text = f"micro-expression{shown}, apex {event.apex_seconds:.1f} s"
    return Evidence("micro_expression", round(event.apex_seconds, 3), text)


def _rounded(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)
