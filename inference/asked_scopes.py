"""What each question about a clip can be answered from: its words, whether a face is seen, whether there is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import LogitsProcessorList, PreTrainedTokenizerBase

from microemo.inference.answer_faces import FacesSeen
from microemo.inference.answer_labels import LabelsOnce
from microemo.inference.answer_lasting import Lasting, LastingTold
from microemo.inference.answer_moments import Moment, MomentsTold
from microemo.inference.answer_quotes import QuotesSaid, Said
from microemo.inference.answer_streams import StreamsTold
from microemo.inference.answer_utterances import UtterancesNamed
from microemo.inference.report import MicroExpression
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
    clip: Clip, *, found: Sequence[MicroExpression] = (), lasting: Sequence[Lasting | None] = ()
) -> tuple[AskedScope, ...]:
    """Those of the questions about the whole clip and each of its utterances, as the processor orders them.

    Args:
        found: the micro-expressions of the clip's faces.
        lasting: the expression that lasts in each utterance; none at all where they are not known.
    """
    has_voice = clip.waveform is not None
    parts = tuple(
        AskedScope(
            (_said(utterance, clip=clip),),
            has_face=_face_in(clip, utterance),
            has_voice=has_voice,
            moments=_moments_in(clip, utterance, found=found),
            lasting=() if expression is None else (expression,),
        )
        for utterance, expression in zip(clip.utterances, lasting or [None] * len(clip.utterances), strict=True)
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


def _face_in(clip: Clip, utterance: Utterance) -> bool:
    if clip.face_times is None:
        return False
    inside = (clip.face_times >= utterance.start_seconds) & (clip.face_times <= utterance.end_seconds)
    return bool(np.any(inside))


def _moments_in(clip: Clip, utterance: Utterance, *, found: Sequence[MicroExpression]) -> tuple[Moment, ...]:
    inside = [event for event in found if utterance.start_seconds <= event.apex_seconds <= utterance.end_seconds]
    clearest = sorted(inside, key=lambda event: -event.score)[:MOST_MOMENTS]
    return tuple(
        Moment(event.apex_seconds - clip.start_seconds, EXPRESSION_NOUNS.get(event.expression or "", event.expression))
        for event in sorted(clearest, key=lambda event: event.apex_seconds)
    )
