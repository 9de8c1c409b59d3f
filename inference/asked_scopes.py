"""What each question about a clip can be answered from: its words, whether a face is seen, whether there is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import LogitsProcessorList, PreTrainedTokenizerBase

from microemo.processing.facial_events import FaceTimeline, FacialEvent, dominant, rows_between
from microemo.inference.answer_faces import FacesSeen
from microemo.inference.answer_labels import LabelsOnce
from microemo.inference.answer_lasting import Lasting, LastingTold
from microemo.inference.answer_moments import Moment, MomentsTold
from microemo.inference.answer_quotes import QuotesSaid, Said
from microemo.inference.answer_streams import StreamsTold
from microemo.inference.answer_utterances import UtterancesNamed
from microemo.inference.face_curves import attended_timeline
from microemo.processing.clip import Clip, Utterance
from microemo.processing.emotion_parsing import EXPRESSION_NOUNS
from microemo.processing.prompt_text import sanitize_utterance

MOST_MOMENTS = 2  # an answer stays a few sentences; the timeline has them all


@dataclass(frozen=True)
class AskedScope:
    """The whole clip, or one utterance.

    said: the words of its utterances. moments: the micro-expressions found in it, on the clock of the clip's start,
    at most MOST_MOMENTS of each utterance. lasting: the expressions that last in its utterances, at
    most one in each. is_clip: the question is about the whole clip.
    """

    said: tuple[Said, ...]
    has_face: bool
    has_voice: bool
    moments: tuple[Moment, ...] = ()
    lasting: tuple[Lasting, ...] = ()
    is_clip: bool = False

    @property
    def spans(self) -> tuple[tuple[float, float], ...]:
        """Start and end of its utterances, in seconds from the clip's start."""
        return tuple((one.start_seconds, one.end_seconds) for one in self.said)

    @property
    def missing(self) -> frozenset[str]:
        """Which of "voice" and "words" are not there."""
        there = {"voice": self.has_voice, "words": any(one.text.strip() for one in self.said)}
        return frozenset(name for name, is_there in there.items() if not is_there)


def asked_scopes(
    clip: Clip, *, timelines: Sequence[FaceTimeline] = (), labels: Sequence[str] = ()
) -> tuple[AskedScope, ...]:
    """Those of the questions about the whole clip and each of its utterances, as the processor orders them.

    Args:
        timelines: of the clip's people, on its clock; of each utterance those of the attended person count.
        labels: of the expressions.
    """
    has_voice = clip.waveform is not None
    parts = tuple(
        AskedScope(
            (_said(utterance, clip=clip),),
            has_face=_face_in(clip, number),
            has_voice=has_voice,
            moments=_moments_in(clip, number, timeline=timeline, labels=labels),
            lasting=_lasting_in(clip, number, timeline=timeline, labels=labels),
        )
        for number, utterance in enumerate(clip.utterances)
        for timeline in [attended_timeline(clip, number, timelines=timelines)]
    )
    whole = AskedScope(
        tuple(one for part in parts for one in part.said),
        has_face=clip.face_times is not None and len(clip.face_times) > 0,
        has_voice=has_voice,
        moments=tuple(moment for part in parts for moment in part.moments),
        lasting=tuple(one for part in parts for one in part.lasting),
        is_clip=True,
    )
    return whole, *parts


def answer_rules(scopes: Sequence[AskedScope], *, tokenizer: PreTrainedTokenizerBase) -> LogitsProcessorList:
    """What answers to questions about these scopes may not get wrong, as it is known. The first rules win."""
    of_clip = [scope.is_clip for scope in scopes]
    return LogitsProcessorList(
        [
            LabelsOnce(tokenizer),
            QuotesSaid(tokenizer, said=[scope.said for scope in scopes]),
            FacesSeen(tokenizer, seen=[scope.has_face for scope in scopes]),
            UtterancesNamed(tokenizer, spans=[scope.spans if scope.is_clip else () for scope in scopes]),
            LastingTold(tokenizer, lasting=[scope.lasting for scope in scopes], of_clip=of_clip),
            MomentsTold(tokenizer, moments=[scope.moments for scope in scopes]),
            StreamsTold(tokenizer, missing=[scope.missing for scope in scopes], of_clip=of_clip),
        ]
    )


def _said(utterance: Utterance, *, clip: Clip) -> Said:
    begin = clip.start_seconds
    return Said(sanitize_utterance(utterance).text, utterance.start_seconds - begin, utterance.end_seconds - begin)


def _face_in(clip: Clip, number: int) -> bool:
    """Whether the attended face is seen in an utterance; of a clip made without choosing, any."""
    if clip.face_times is None or clip.face_track_ids is None:
        return False
    utterance = clip.utterances[number]
    seen = clip.face_track_ids[rows_between(clip.face_times, utterance.start_seconds, utterance.end_seconds)]
    return clip.utterance_track_ids[number] in seen if clip.utterance_track_ids else len(seen) > 0


def _moments_in(
    clip: Clip, number: int, *, timeline: FaceTimeline | None, labels: Sequence[str]
) -> tuple[Moment, ...]:
    if timeline is None:
        return ()
    utterance, begin = clip.utterances[number], clip.start_seconds
    events = timeline.micro_in(utterance.start_seconds, utterance.end_seconds)
    clearest = sorted(events, key=lambda event: -event.probability)[:MOST_MOMENTS]
    return tuple(
        Moment(event.apex_seconds - begin, _noun(event, labels))
        for event in sorted(clearest, key=lambda one: one.apex_seconds)
    )


def _lasting_in(
    clip: Clip, number: int, *, timeline: FaceTimeline | None, labels: Sequence[str]
) -> tuple[Lasting, ...]:
    """The macro-expression that fills most of an utterance, or that the face is at rest; () where untrained."""
    if timeline is None or timeline.macro_expressions is None:
        return ()
    begin, utterance = clip.start_seconds, clip.utterances[number]
    start, end = utterance.start_seconds - begin, utterance.end_seconds - begin
    event = dominant((timeline,), utterance.start_seconds, utterance.end_seconds)
    if event is None:
        return (Lasting(None, start, end, start, end),)
    onset, offset = event.onset_seconds - begin, event.offset_seconds - begin
    is_held = onset <= start and offset >= end
    return (Lasting(_noun(event, labels), onset, offset, start, end, is_held=is_held),)


def _noun(event: FacialEvent, labels: Sequence[str]) -> str | None:
    return EXPRESSION_NOUNS.get(labels[event.expression], labels[event.expression]) if len(event.shares) else None
