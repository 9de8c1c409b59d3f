"""What each question about a clip can be answered from: its words, whether a face is seen, whether there is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import LogitsProcessorList, PreTrainedTokenizerBase

from microemo.inference.answer_faces import FacesSeen
from microemo.inference.answer_labels import LabelsOnce
from microemo.inference.answer_quotes import QuotesSaid
from microemo.inference.answer_streams import StreamsHeard
from microemo.processing.clip import Clip, Utterance
from microemo.processing.prompt_text import sanitize_utterance


@dataclass(frozen=True)
class AskedScope:
    """The whole clip, or one utterance. texts: what is said in it."""

    texts: tuple[str, ...]
    has_face: bool
    has_voice: bool

    @property
    def missing(self) -> frozenset[str]:
        """Which of "voice" and "words" are not there."""
        there = {"voice": self.has_voice, "words": any(text.strip() for text in self.texts)}
        return frozenset(name for name, is_there in there.items() if not is_there)


def asked_scopes(clip: Clip) -> tuple[AskedScope, ...]:
    """Those of the questions about the whole clip and each of its utterances, as the processor orders them."""
    has_voice, utterances = clip.waveform is not None, clip.utterances
    texts = [sanitize_utterance(utterance).text for utterance in utterances]
    whole = AskedScope(tuple(texts), clip.face_times is not None and len(clip.face_times) > 0, has_voice)
    parts = zip(utterances, texts, strict=True)
    return whole, *(AskedScope((text,), _face_in(clip, utterance), has_voice) for utterance, text in parts)


def answer_rules(scopes: Sequence[AskedScope], *, tokenizer: PreTrainedTokenizerBase) -> LogitsProcessorList:
    """What answers to questions about these scopes may not get wrong, as it is known."""
    return LogitsProcessorList(
        [
            LabelsOnce(tokenizer),
            QuotesSaid(tokenizer, said=[scope.texts for scope in scopes]),
            FacesSeen(tokenizer, seen=[scope.has_face for scope in scopes]),
            StreamsHeard(tokenizer, missing=[scope.missing for scope in scopes]),
        ]
    )


def _face_in(clip: Clip, utterance: Utterance) -> bool:
    if clip.face_times is None:
        return False
    inside = (clip.face_times >= utterance.start_seconds) & (clip.face_times <= utterance.end_seconds)
    return bool(np.any(inside))
