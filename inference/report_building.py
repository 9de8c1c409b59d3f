"""From the findings of one or many windows to one report: pure values in, pure values out.

The windows' face curves are joined before they are smoothed and searched for events, so that cutting a video into
windows moves no event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from microemo.inference.brief_expressions import with_expressions
from microemo.inference.explanations import explanation_evidence, shift_times
from microemo.inference.face_curves import (
    ExpressionTrace,
    boxes_at,
    expression_evidence,
    presence_evidence,
    smooth,
    summarise_expressions,
    times_between,
)
from microemo.inference.micro_events import find_micro_expressions
from microemo.inference.report import (
    ClipSummary,
    Evidence,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MicroExpression,
    Modality,
    ModalityName,
    Thumbnail,
    UtteranceReport,
    VoiceReport,
)
from microemo.inference.window_analysis import FaceFindings, WindowFindings
from microemo.processing.clip import Clip, FaceTrack
from microemo.processing.prosody import Prosody, VoiceTrace, measure_prosody

MAX_THUMBNAILS = 32
NO_VOICE = VoiceTrace(np.zeros(0, np.float32), np.zeros(0, np.float32))
ABSENCE_NAMES: dict[ModalityName, str] = {"frames": "frames", "faces": "faces", "voice": "audio", "words": "words"}


@dataclass(frozen=True)
class HeadLabels:
    """The names of the heads' columns."""

    emotions: tuple[str, ...]
    expressions: tuple[str, ...]
    action_units: tuple[str, ...]
    voices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaceTimeline:
    """One person over the whole video: the report's curve, its trace, its micro-expressions; None where untrained."""

    curve: FaceCurve
    trace: ExpressionTrace | None
    events: tuple[MicroExpression, ...] | None


def face_timelines(windows: Sequence[WindowFindings], *, labels: HeadLabels) -> tuple[FaceTimeline, ...]:
    """The timeline of every attended person, in order of their track ids."""
    found = [window.faces for window in windows if window.faces is not None]
    track_ids = sorted({int(track_id) for faces in found for track_id in faces.track_ids})
    tracks = [track for window in windows for track in window.clip.tracks]
    return tuple(
        _face_timeline(
            _joined(found, track_id), boxed=[track for track in tracks if track.track_id == track_id], labels=labels
        )
        for track_id in track_ids
    )


def utterance_reports(
    windows: Sequence[WindowFindings], *, timelines: Sequence[FaceTimeline], labels: HeadLabels
) -> tuple[UtteranceReport, ...]:
    """Every window's utterances, in order."""
    by_track: dict[int | None, FaceTimeline] = {timeline.curve.track_id: timeline for timeline in timelines}
    voices = iter(_voice_reports(windows, labels=labels))
    return tuple(
        replace(_utterance_report(window, number, by_track=by_track, labels=labels), voice=next(voices))
        for window in windows
        for number in range(len(window.clip.utterances))
    )


def _voice_reports(windows: Sequence[WindowFindings], *, labels: HeadLabels) -> list[VoiceReport | None]:
    """How each utterance of all windows sounds, in order: a speaker's own pitch is that of the whole video."""
    spoken = [(window, number) for window in windows for number in range(len(window.clip.utterances))]
    traces = [NO_VOICE if window.voice_traces is None else window.voice_traces[number] for window, number in spoken]
    speakers = [window.clip.utterances[number].speaker for window, number in spoken]
    return [
        _voice_report(window, number, prosody=prosody, labels=labels)
        for (window, number), prosody in zip(spoken, measure_prosody(traces, speakers=speakers), strict=True)
    ]


def _voice_report(window: WindowFindings, number: int, *, prosody: Prosody, labels: HeadLabels) -> VoiceReport | None:
    """None where nothing is heard in the utterance."""
    if window.voice_traces is None or not len(window.voice_traces[number].decibels):
        return None
    shares = None if window.voice_emotions is None else window.voice_emotions[number]
    is_told = shares is not None and np.isfinite(shares).all()
    return VoiceReport(emotions=_ranked(labels.voices, shares) if is_told else None, prosody=prosody)


def clip_summary(
    windows: Sequence[WindowFindings],
    *,
    utterances: Sequence[UtteranceReport],
    timelines: Sequence[FaceTimeline],
) -> ClipSummary:
    """The whole clip: means over utterances weighted by their duration; the clip's own answer.

    A long video has an answer for each window; they stand one after the other, each with its window's times.
    """
    events = [timeline.events for timeline in timelines if timeline.events is not None]
    merged = sorted((event for some in events for event in some), key=lambda event: event.apex_seconds)
    answers = [(window.clip, window.answers[0]) for window in windows if window.answers]
    parsed = [(clip, answer) for clip, answer in answers if answer.is_parsed]
    return ClipSummary(
        expressions=_mean_labels(utterances, [utterance.expressions for utterance in utterances]),
        micro_expressions=tuple(merged) if events else None,
        emotions=_mean_labels(utterances, [utterance.emotions for utterance in utterances]),
        valence=_mean_number(utterances, [utterance.valence for utterance in utterances]),
        arousal=_mean_number(utterances, [utterance.arousal for utterance in utterances]),
        open_emotions=tuple(dict.fromkeys(label for _, answer in parsed for label in answer.labels)) or None,
        description=_joined_texts([(clip, answer.description) for clip, answer in parsed]),
        raw_answer=_joined_texts([(clip, answer.raw) for clip, answer in answers]),
    )


def modalities(windows: Sequence[WindowFindings], *, words_from: str) -> tuple[Modality, ...]:
    """Which streams were used, and why the others were not.

    Args:
        words_from: where words come from when there are any, such as "transcript clip.srt".
    """
    notes = {"words": words_from, "faces": _people(windows)}
    entries = []
    for name, absence in ABSENCE_NAMES.items():
        used = [window for window in windows if name in window.used]
        reasons = dict.fromkeys(window.clip.absences.get(absence, "") for window in windows if name not in window.used)
        if name == "faces" and not used and any(window.clip.tracks for window in windows):
            reasons |= {notes["faces"]: None}  # faces were seen, and none is the wanted person's
        reason = "; ".join(filter(None, reasons)) or ("no words" if name == "words" else "")
        note = notes.get(name, "") if used else reason
        if 0 < len(used) < len(windows):
            note = "; ".join(filter(None, [note, f"in {len(used)} of {len(windows)} windows"]))
        entries.append(Modality(name, bool(used), note))
    return tuple(entries)


def thumbnails(windows: Sequence[WindowFindings]) -> tuple[Thumbnail, ...]:
    """The windows' pictures, thinned evenly to `MAX_THUMBNAILS`."""
    pictures = [picture for window in windows for picture in window.thumbnails]
    if len(pictures) <= MAX_THUMBNAILS:
        return tuple(pictures)
    kept = np.linspace(0, len(pictures) - 1, MAX_THUMBNAILS).round().astype(int)
    return tuple(pictures[place] for place in kept)


def broken_answers(windows: Sequence[WindowFindings]) -> tuple[str, ...]:
    """A warning when explanations could not be read; their raw text stays in the report."""
    broken = sum(not answer.is_parsed for window in windows for answer in window.answers or ())
    return (f"{broken} explanations do not have the expected form; raw_answer keeps them",) if broken else ()


def _joined(found: Sequence[FaceFindings], track_id: int) -> FaceFindings:
    """One person's crops of all windows by time; a crop that two windows share is kept once."""
    parts = [_rows(faces, faces.track_ids == track_id) for faces in found]
    times, first = np.unique(np.concatenate([part.times for part in parts]), return_index=True)
    return FaceFindings(
        times=times,
        track_ids=np.full(len(times), track_id),
        expressions=_concatenated([part.expressions for part in parts], first),
        micro=_concatenated([part.micro for part in parts], first),
        action_units=_concatenated([part.action_units for part in parts], first),
        moving=_concatenated([part.moving for part in parts], first),
    )


def _rows(faces: FaceFindings, mask: np.ndarray) -> FaceFindings:
    kinds = (faces.expressions, faces.micro, faces.action_units, faces.moving)
    chosen = [None if values is None else values[mask] for values in kinds]
    return FaceFindings(faces.times[mask], faces.track_ids[mask], *chosen)


def _concatenated(parts: Sequence[np.ndarray | None], rows: np.ndarray) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present)[rows] if present else None


def _face_timeline(faces: FaceFindings, *, boxed: Sequence[FaceTrack], labels: HeadLabels) -> FaceTimeline:
    trace, events = None, None
    track_id = int(faces.track_ids[0])
    if faces.expressions is not None:
        trace = ExpressionTrace(track_id, faces.times, smooth(faces.times, faces.expressions), labels.expressions)
    if faces.micro is not None:
        events = find_micro_expressions(
            faces.times,
            scores=faces.micro,
            track_id=track_id,
            action_units=faces.action_units,
            action_unit_labels=labels.action_units,
        )
        if faces.moving is not None:
            events = with_expressions(events, times=faces.times, moving=faces.moving, labels=labels.expressions)
    curve = FaceCurve(
        track_id=track_id,
        times=tuple(faces.times.round(3).tolist()),
        expressions=None if trace is None else _expression_curves(trace),
        micro_scores=None if faces.micro is None else tuple(faces.micro.round(4).tolist()),
        boxes=boxes_at(faces.times, tracks=boxed),
    )
    return FaceTimeline(curve, trace, events)


def _expression_curves(trace: ExpressionTrace) -> tuple[ExpressionCurve, ...]:
    columns = trace.probabilities.round(4).clip(0, 1).T.tolist()
    return tuple(ExpressionCurve(label, tuple(column)) for label, column in zip(trace.labels, columns, strict=True))


def _utterance_report(
    window: WindowFindings, number: int, *, by_track: Mapping[int | None, FaceTimeline], labels: HeadLabels
) -> UtteranceReport:
    utterance = window.clip.utterances[number]
    start, end = utterance.start_seconds, utterance.end_seconds
    timeline = by_track.get(_attended_track(window, number))
    timeline = timeline if timeline is not None and len(times_between(timeline.curve.times, start, end)) else None
    trace = None if timeline is None or timeline.trace is None else timeline.trace.between(start, end)
    events = None
    if timeline is not None and timeline.events is not None:
        events = tuple(event for event in timeline.events if start <= event.apex_seconds < end)
    answer = window.answers[1 + number] if len(window.answers or ()) > 1 + number else None  # type: ignore[index]
    description = None
    if answer is not None and answer.is_parsed:
        description = shift_times(answer.description, seconds=window.clip.start_seconds)
    pair = None if window.valence_arousal is None else window.valence_arousal[number].round(4).tolist()
    return UtteranceReport(
        start_seconds=round(start, 3),
        end_seconds=round(end, 3),
        text=utterance.text,
        speaker=utterance.speaker,
        track_id=None if timeline is None else timeline.curve.track_id,
        expressions=None if trace is None else summarise_expressions(trace),
        micro_expressions=events,
        emotions=None if window.emotions is None else _ranked(labels.emotions, window.emotions[number]),
        valence=None if pair is None else pair[0],
        arousal=None if pair is None else pair[1],
        open_emotions=answer.labels if answer is not None and answer.is_parsed else None,
        description=description,
        raw_answer=None if answer is None else answer.raw,
        evidence=(*_face_evidence(timeline, start=start, end=end), *explanation_evidence(description or "")),
    )


def _face_evidence(timeline: FaceTimeline | None, *, start: float, end: float) -> tuple[Evidence, ...]:
    """What was measured of the attended face in an utterance: its coming and going, its expression."""
    if timeline is None:
        return ()
    presence = presence_evidence(times_between(timeline.curve.times, start, end), start_seconds=start, end_seconds=end)
    shown = () if timeline.trace is None else expression_evidence(timeline.trace.between(start, end))
    return (*presence, *shown)


def _attended_track(window: WindowFindings, number: int) -> int | None:
    """The track the reader chose; for a clip made without choosing, the track most often seen in the utterance."""
    if window.clip.utterance_track_ids:
        return window.clip.utterance_track_ids[number]
    if window.faces is None:
        return None
    utterance = window.clip.utterances[number]
    inside = (window.faces.times >= utterance.start_seconds) & (window.faces.times <= utterance.end_seconds)
    ids, counts = np.unique(window.faces.track_ids[inside], return_counts=True)
    return int(ids[np.argmax(counts)]) if len(ids) else None


def _ranked(names: Sequence[str], probabilities: np.ndarray) -> tuple[LabelScore, ...]:
    scores = [LabelScore(name, round(float(value), 4)) for name, value in zip(names, probabilities, strict=True)]
    return tuple(sorted(scores, key=lambda score: -score.probability))


def _mean_labels(
    utterances: Sequence[UtteranceReport], parts: Sequence[tuple[LabelScore, ...] | None]
) -> tuple[LabelScore, ...] | None:
    known = [(part, _seconds(utterance)) for part, utterance in zip(parts, utterances, strict=True) if part]
    if not known:
        return None
    total = sum(seconds for _, seconds in known)
    sums: dict[str, float] = {}
    for part, seconds in known:
        for score in part:
            sums[score.label] = sums.get(score.label, 0.0) + score.probability * seconds / total
    return _ranked(tuple(sums), np.clip(list(sums.values()), 0, 1))


def _mean_number(utterances: Sequence[UtteranceReport], values: Sequence[float | None]) -> float | None:
    known = [
        (value, _seconds(utterance)) for value, utterance in zip(values, utterances, strict=True) if value is not None
    ]
    if not known:
        return None
    return round(sum(value * seconds for value, seconds in known) / sum(seconds for _, seconds in known), 4)


def _seconds(utterance: UtteranceReport) -> float:
    return utterance.end_seconds - utterance.start_seconds


def _joined_texts(texts: Sequence[tuple[Clip, str]]) -> str | None:
    """One window's text as it is; several windows' with their spans in front."""
    moved = [(clip, shift_times(text, seconds=clip.start_seconds)) for clip, text in texts if text]
    if len(moved) <= 1:
        return moved[0][1] if moved else None
    return "\n".join(f"{clip.start_seconds:.1f}-{clip.end_seconds:.1f} s: {text}" for clip, text in moved)


def _people(windows: Sequence[WindowFindings]) -> str:
    """Such as "2 face tracks, 1 attended"; one person is several tracks when the face is lost for long."""
    attended = {track_id for window in windows for track_id in window.clip.utterance_track_ids if track_id is not None}
    seen = attended | {track.track_id for window in windows for track in window.clip.tracks}
    count = f"{len(seen)} face track{'' if len(seen) == 1 else 's'}"
    return count if len(seen) == len(attended) <= 1 else f"{count}, {len(attended) or 'none'} attended"
