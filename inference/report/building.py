"""From the findings of one or many chunks to one report: pure values in, pure values out.

The chunks' face scores are joined before events are looked for in them, so that cutting a video into chunks moves
no event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from microemo.configuration_microemo import NEUTRAL
from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.explanation.check import CheckedText, check_explanation
from microemo.inference.explanation.time_shift import shift_times
from microemo.inference.report.face_curves import boxes_at, detection_scores_at, expression_scores
from microemo.inference.report.face_measurements import action_unit_curves, joined_readings, measured_degrees
from microemo.inference.report.report import (
    ClipSummary,
    EvidenceReport,
    ExpressionCurve,
    FaceCurve,
    LabelScore,
    MacroExpression,
    MicroExpression,
    Modality,
    ModalityName,
    Thumbnail,
    UtteranceReport,
    VoiceReport,
)
from microemo.processing.clip import Clip, FaceTrack
from microemo.processing.emotion_parsing import ParsedEmotions
from microemo.processing.evidence import Evidence, attended_timeline
from microemo.processing.evidence_text import evidence_phrase
from microemo.processing.face_readings import FaceReadings
from microemo.processing.facial_events import FaceScores, FaceTimeline, FacialEvent, detect_events
from microemo.processing.prosody import Prosody, VoiceTrace, measure_prosody
from microemo.processing.spoken_languages import language_name, main_language

MAX_THUMBNAILS = 32
NO_VOICE = VoiceTrace(np.zeros(0, np.float32), np.zeros(0, np.float32))
REPORTED_ACTION_UNIT_PROBABILITY = 0.5
ABSENCE_NAMES: dict[ModalityName, str] = {"frames": "frames", "faces": "faces", "voice": "audio", "words": "words"}


@dataclass(frozen=True)
class HeadLabels:
    """The names of the heads' columns."""

    emotions: tuple[str, ...]
    expressions: tuple[str, ...]
    action_units: tuple[str, ...]
    voices: tuple[str, ...] = ()


@dataclass(frozen=True)
class PersonTimeline:
    """One person over the whole video: the report's curve and what the detector found; None where untrained."""

    curve: FaceCurve
    found: FaceTimeline
    macro_expressions: tuple[MacroExpression, ...] | None
    micro_expressions: tuple[MicroExpression, ...] | None


def person_timelines(chunks: Sequence[ChunkPerception], *, labels: HeadLabels) -> tuple[PersonTimeline, ...]:
    """The timeline of every attended person, in order of their track ids."""
    scores = [each for chunk in chunks for each in chunk.faces]
    found = {line.track_id: line for chunk in chunks for line in chunk.timelines}
    tracks = [track for chunk in chunks for track in chunk.clip.tracks]
    neutral = labels.expressions.index(NEUTRAL) if NEUTRAL in labels.expressions else None
    timelines = []
    for track_id in sorted(found):
        parts = [each for each in scores if each.track_id == track_id]
        joined = joined_scores(parts)
        line = found[track_id] if len(parts) == 1 else detect_events(joined, neutral=neutral)
        boxed = [track for track in tracks if track.track_id == track_id]
        readings = joined_readings([part for chunk in chunks for part in chunk.readings_of(track_id)])
        timelines.append(_person_timeline(joined, line, readings=readings, boxed=boxed, labels=labels))
    return tuple(timelines)


def utterance_reports(
    chunks: Sequence[ChunkPerception], *, timelines: Sequence[PersonTimeline], labels: HeadLabels
) -> tuple[UtteranceReport, ...]:
    """Every chunk's utterances, in order."""
    by_track = {timeline.curve.track_id: timeline for timeline in timelines}
    voices = iter(_voice_reports(chunks, labels=labels))
    return tuple(
        replace(_utterance_report(chunk, number, by_track=by_track, labels=labels), voice=next(voices))
        for chunk in chunks
        for number in range(len(chunk.clip.utterances))
    )


def _voice_reports(chunks: Sequence[ChunkPerception], *, labels: HeadLabels) -> list[VoiceReport | None]:
    """How each utterance of all chunks sounds, in order: a speaker's own pitch is that of the whole video."""
    spoken = [(chunk, number) for chunk in chunks for number in range(len(chunk.clip.utterances))]
    traces = [NO_VOICE if chunk.voice_traces is None else chunk.voice_traces[number] for chunk, number in spoken]
    speakers = [chunk.clip.utterances[number].speaker for chunk, number in spoken]
    return [
        _voice_report(chunk, number, prosody=prosody, labels=labels)
        for (chunk, number), prosody in zip(spoken, measure_prosody(traces, speakers=speakers), strict=True)
    ]


def _voice_report(chunk: ChunkPerception, number: int, *, prosody: Prosody, labels: HeadLabels) -> VoiceReport | None:
    """None where nothing is heard in the utterance."""
    if chunk.voice_traces is None or not len(chunk.voice_traces[number].decibels):
        return None
    shares = None if chunk.voice_emotions is None else chunk.voice_emotions[number]
    emotions = None if shares is None or not np.isfinite(shares).all() else _ranked(labels.voices, shares)
    return VoiceReport(emotions=emotions, prosody=prosody)


def clip_summary(
    chunks: Sequence[ChunkPerception],
    *,
    utterances: Sequence[UtteranceReport],
    timelines: Sequence[PersonTimeline],
) -> ClipSummary:
    """The whole clip: means over utterances weighted by their duration; the clip's own answer.

    A long video has an answer for each chunk; they stand one after the other, each with its chunk's times.
    """
    answers = [(chunk.clip, chunk.answers[0]) for chunk in chunks if chunk.answers]
    parsed = [answer for _, answer in answers if answer.is_parsed]
    checked = [(chunk.clip, _checked_clip(chunk)) for chunk in chunks]
    known = [(clip, entry) for clip, entry in checked if entry is not None]
    return ClipSummary(
        expressions=_mean_labels(utterances, [utterance.expressions for utterance in utterances]),
        micro_expressions=_by_time([line.micro_expressions for line in timelines]),
        emotions=_mean_labels(utterances, [utterance.emotions for utterance in utterances]),
        valence=_mean_number(utterances, [utterance.valence for utterance in utterances]),
        arousal=_mean_number(utterances, [utterance.arousal for utterance in utterances]),
        open_emotions=tuple(dict.fromkeys(label for answer in parsed for label in answer.labels)) or None,
        description=_joined_texts([(clip, entry.text) for clip, entry in known]),
        raw_answer=_joined_texts(
            [(clip, shift_times(answer.raw, seconds=clip.start_seconds)) for clip, answer in answers]
        ),
        unsupported_sentences=sum(len(entry.unsupported) for _, entry in known) if known else None,
        macro_expressions=_by_time([line.macro_expressions for line in timelines]),
    )


def _by_time(events: Sequence[tuple | None]) -> tuple | None:
    """The facial expressions of all people in order of their apexes; None where none are known."""
    known = [some for some in events if some is not None]
    if not known:
        return None
    return tuple(sorted((event for some in known for event in some), key=lambda event: event.apex_seconds))


def modalities(chunks: Sequence[ChunkPerception], *, words_from: str) -> tuple[Modality, ...]:
    """Which streams were used, and why the others were not.

    Args:
        words_from: where words come from when there are any, such as "transcript clip.srt".
    """
    notes = {"words": _words_note(chunks, words_from=words_from), "faces": _people(chunks)}
    entries = []
    for name, absence in ABSENCE_NAMES.items():
        used = [chunk for chunk in chunks if name in chunk.used]
        reasons = dict.fromkeys(
            chunk.clip.missing_reasons.get(absence, "") for chunk in chunks if name not in chunk.used
        )
        if name == "words" and not used and _has_words(chunks):
            reasons |= {f"{notes['words']}: no English text, which the language model needs": None}
        if name == "faces" and not used and any(chunk.clip.tracks for chunk in chunks):
            reasons |= {notes["faces"]: None}  # faces were seen, and none is the wanted person's
        reason = "; ".join(filter(None, reasons)) or ("no words" if name == "words" else "")
        note = notes.get(name, "") if used else reason
        if 0 < len(used) < len(chunks):
            note = "; ".join(filter(None, [note, f"in {len(used)} of {len(chunks)} chunks"]))
        entries.append(Modality(name, bool(used), note))
    return tuple(entries)


def thumbnails(chunks: Sequence[ChunkPerception]) -> tuple[Thumbnail, ...]:
    """The chunks' pictures, thinned evenly to `MAX_THUMBNAILS`."""
    pictures = [picture for chunk in chunks for picture in chunk.thumbnails]
    if len(pictures) <= MAX_THUMBNAILS:
        return tuple(pictures)
    kept = np.linspace(0, len(pictures) - 1, MAX_THUMBNAILS).round().astype(int)
    return tuple(pictures[place] for place in kept)


def broken_answers(chunks: Sequence[ChunkPerception]) -> tuple[str, ...]:
    """A warning when explanations could not be read; their raw text stays in the report."""
    broken = sum(not answer.is_parsed for chunk in chunks for answer in chunk.answers or ())
    return (f"{broken} explanations do not have the expected form; raw_answer keeps them",) if broken else ()


def joined_scores(parts: Sequence[FaceScores]) -> FaceScores:
    """One person's crops of all chunks by time; a crop that two chunks share is kept once."""
    times, first = np.unique(np.concatenate([part.times for part in parts]), return_index=True)
    names = ("expressions", "micro", "motion", "action_units")
    joined = {name: [getattr(part, name) for part in parts] for name in names}
    known = {name: values for name, values in joined.items() if all(value is not None for value in values)}
    return FaceScores(
        parts[0].track_id, times, **{name: np.concatenate(values)[first] for name, values in known.items()}
    )


def _person_timeline(
    scores: FaceScores,
    found: FaceTimeline,
    *,
    readings: FaceReadings | None,
    boxed: Sequence[FaceTrack],
    labels: HeadLabels,
) -> PersonTimeline:
    curve = FaceCurve(
        track_id=found.track_id,
        times=tuple(found.times.round(3).tolist()),
        expressions=None if found.expressions is None else _expression_curves(found.expressions, labels=labels),
        micro_scores=None if scores.micro is None else tuple(scores.micro.round(4).tolist()),
        boxes=boxes_at(found.times, tracks=boxed),
        detection_scores=detection_scores_at(found.times, tracks=boxed),
        action_units=None if readings is None else action_unit_curves(readings, found.times),
        head_pose=None if readings is None else measured_degrees(readings.head_pose, mask=readings.mask),
        gaze=None if readings is None else measured_degrees(readings.gaze, mask=readings.mask),
    )
    macro, micro = found.macro_expressions, found.micro_expressions
    return PersonTimeline(
        curve,
        found,
        macro_expressions=None if macro is None else tuple(_macro_expression(each, labels=labels) for each in macro),
        micro_expressions=None if micro is None else tuple(_micro_expression(each, labels=labels) for each in micro),
    )


def _macro_expression(event: FacialEvent, *, labels: HeadLabels) -> MacroExpression:
    return MacroExpression(
        track_id=event.track_id,
        onset_seconds=round(event.onset_seconds, 3),
        apex_seconds=round(event.apex_seconds, 3),
        offset_seconds=round(event.offset_seconds, 3),
        probability=round(event.probability, 4),
        expression=labels.expressions[event.expression],
    )


def _micro_expression(event: FacialEvent, *, labels: HeadLabels) -> MicroExpression:
    return MicroExpression(
        track_id=event.track_id,
        onset_seconds=round(event.onset_seconds, 3),
        apex_seconds=round(event.apex_seconds, 3),
        offset_seconds=round(event.offset_seconds, 3),
        score=round(event.probability, 4),
        expression=labels.expressions[event.expression] if len(event.shares) else None,
        action_units=() if event.action_units is None else _active_units(labels.action_units, event.action_units),
    )


def _active_units(names: Sequence[str], probabilities: np.ndarray) -> tuple[LabelScore, ...]:
    return tuple(
        unit for unit in _ranked(names, probabilities) if unit.probability >= REPORTED_ACTION_UNIT_PROBABILITY
    )


def _expression_curves(probabilities: np.ndarray, *, labels: HeadLabels) -> tuple[ExpressionCurve, ...]:
    columns = probabilities.round(4).clip(0, 1).T.tolist()
    return tuple(
        ExpressionCurve(label, tuple(column)) for label, column in zip(labels.expressions, columns, strict=True)
    )


def _utterance_report(
    chunk: ChunkPerception, number: int, *, by_track: Mapping[int, PersonTimeline], labels: HeadLabels
) -> UtteranceReport:
    utterance = chunk.clip.utterances[number]
    start, end = utterance.start_seconds, utterance.end_seconds
    line = attended_timeline(chunk.clip, number, timelines=[each.found for each in by_track.values()])
    person = None if line is None else by_track[line.track_id]
    span = {"start_seconds": start, "end_seconds": end}
    events = None
    if person is not None and person.micro_expressions is not None:
        events = tuple(_micro_expression(event, labels=labels) for event in person.found.micro_in(start, end))
    answer = chunk.answers[1 + number] if len(chunk.answers or ()) > 1 + number else None  # type: ignore[index]
    findings = chunk.evidence[number] if chunk.evidence else ()
    checked = _checked(answer, chunk=chunk, evidence=findings, spans=((start, end),))
    pair = None if chunk.valence_arousal is None else chunk.valence_arousal[number].round(4).tolist()
    return UtteranceReport(
        start_seconds=round(start, 3),
        end_seconds=round(end, 3),
        text=utterance.text,
        language=utterance.language,
        language_probability=_rounded(utterance.language_probability),
        english=utterance.english,
        speaker=utterance.speaker,
        track_id=None if person is None else person.curve.track_id,
        expressions=None if person is None else expression_scores(person.found, labels=labels.expressions, **span),
        micro_expressions=events,
        emotions=None if chunk.emotions is None else _ranked(labels.emotions, chunk.emotions[number]),
        valence=None if pair is None else pair[0],
        arousal=None if pair is None else pair[1],
        open_emotions=answer.labels if answer is not None and answer.is_parsed else None,
        description=None if checked is None else checked.text,
        raw_answer=None if answer is None else shift_times(answer.raw, seconds=chunk.clip.start_seconds),
        evidence=_evidence_reports(findings, span=(start, end)),
        unsupported_sentences=None if checked is None else len(checked.unsupported),
    )


def _checked(
    answer: ParsedEmotions | None,
    *,
    chunk: ChunkPerception,
    evidence: Sequence[Evidence],
    spans: Sequence[tuple[float, float]],
) -> CheckedText | None:
    """The description on the video's clock, without what no finding backs; None where there is none to read."""
    if answer is None or not answer.is_parsed:
        return None
    text = shift_times(answer.description, seconds=chunk.clip.start_seconds)
    return check_explanation(text, evidence=evidence, spans=spans)


def _checked_clip(chunk: ChunkPerception) -> CheckedText | None:
    """The same of the answer about the whole chunk."""
    utterances = [(each.start_seconds, each.end_seconds) for each in chunk.clip.utterances]
    spans = [(chunk.clip.start_seconds, chunk.clip.end_seconds), *utterances]
    evidence = [found for own in chunk.evidence for found in own]
    return _checked(chunk.answers[0] if chunk.answers else None, chunk=chunk, evidence=evidence, spans=spans)


def _evidence_reports(findings: Sequence[Evidence], *, span: tuple[float, float]) -> tuple[EvidenceReport, ...]:
    return tuple(
        EvidenceReport(
            kind=found.kind,
            label=found.label,
            start_seconds=max(round(found.start_seconds, 3), 0.0),
            end_seconds=round(found.end_seconds, 3),
            text=evidence_phrase(found, span=span),
            certainty=found.certainty,
            apex_seconds=None if found.apex_seconds is None else max(round(found.apex_seconds, 3), 0.0),
            signs=found.signs,
            pitch_semitones=found.pitch_semitones,
        )
        for found in findings
    )


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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(min(max(value, 0.0), 1.0), 4)


def _has_words(chunks: Sequence[ChunkPerception]) -> bool:
    return any(utterance.text.strip() for chunk in chunks for utterance in chunk.clip.utterances)


def _words_note(chunks: Sequence[ChunkPerception], *, words_from: str) -> str:
    """Such as "speech recognition, Chinese (0.98)": where the words come from, their language, how sure that is."""
    main = main_language(utterance for chunk in chunks for utterance in chunk.clip.utterances)
    if main is None:
        return words_from
    code, probability = main
    return f"{words_from}, {language_name(code)}" + ("" if probability is None else f" ({probability:.2f})")


def _joined_texts(texts: Sequence[tuple[Clip, str]]) -> str | None:
    """One chunk's text as it is; several chunks' with their spans in front."""
    written = [(clip, text) for clip, text in texts if text]
    if len(written) <= 1:
        return written[0][1] if written else None
    return "\n".join(f"{clip.start_seconds:.1f}-{clip.end_seconds:.1f} s: {text}" for clip, text in written)


def _people(chunks: Sequence[ChunkPerception]) -> str:
    """Such as "2 face tracks, 1 attended"; one person is several tracks when the face is lost for long."""
    attended = {track_id for chunk in chunks for track_id in chunk.clip.utterance_track_ids if track_id is not None}
    seen = attended | {track.track_id for chunk in chunks for track in chunk.clip.tracks}
    count = f"{len(seen)} face track{'' if len(seen) == 1 else 's'}"
    return count if len(seen) == len(attended) <= 1 else f"{count}, {len(attended) or 'none'} attended"
