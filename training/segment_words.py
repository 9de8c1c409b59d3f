"""What the tokens of a segment shall say, one word each: the caption that the word alignment teaches.

Video: a macro-expression with its onset and offset, a micro-expression with its apex.   joy 1 . 8 3 . 1   fear 2 . 4
Voice: what it sounds like, in every token.                                              anger anger anger anger
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.processing.clip import Clip
from microemo.processing.emotion_parsing import EXPRESSION_NOUNS
from microemo.training.emotion_targets import emotion_of_word
from microemo.training.example import EmotionTargets, FaceEvent, FaceTimeline

NO_EVENT, NO_FACE = " none", " nobody"
VOICE_WORDS = {
    "joy": "joy", "sadness": "sadness", "anger": "anger", "fear": "fear", "disgust": "disgust", "surprise": "surprise",
    "neutral": "neutral", "calm": "calm", "boredom": "bored", "disapproval": "contempt",
}  # fmt: skip
LATE_SECONDS = {10: " ten", 11: " eleven"}  # a token holds one digit alone


def segment_spans(clip: Clip) -> tuple[tuple[float, float], ...]:
    """Start and end of the segments that the streams' tokens stand for: the clip, then each utterance; seconds."""
    utterances = tuple((each.start_seconds, each.end_seconds) for each in clip.utterances)
    return ((clip.start_seconds, clip.end_seconds), *utterances)


def video_words(
    timeline: FaceTimeline | None, *, clip: Clip, shift_seconds: float = 0.0
) -> list[tuple[str | None, ...]]:
    """For each segment the words of its tokens, None where nothing is known or to be said.

    Args:
        shift_seconds: added to the times that are said, as the model's own times are.
    """
    times = np.zeros(0) if clip.face_times is None else np.asarray(clip.face_times)
    return [_segment_words(timeline, span=span, face_times=times, shift=shift_seconds) for span in segment_spans(clip)]


def _segment_words(
    timeline: FaceTimeline | None, *, span: tuple[float, float], face_times: np.ndarray, shift: float
) -> tuple[str | None, ...]:
    start, end = span
    if not ((face_times >= start) & (face_times < end)).any():
        return (NO_FACE, None, None, None, None, NO_FACE, None, None)
    if timeline is None:
        return (None,) * 8
    macro = _foremost(timeline.events, kind="macro", span=span)
    micro = _foremost(timeline.events, kind="micro", span=span)
    return (
        *_noun(macro),
        *_time(None if macro is None else macro.onset_seconds, shift=shift),
        *_time(None if macro is None else macro.offset_seconds, shift=shift),
        *_noun(micro),
        *_time(None if micro is None else micro.apex_seconds, shift=shift),
    )


def _foremost(events: Sequence[FaceEvent], *, kind: str, span: tuple[float, float]) -> FaceEvent | None:
    """The event that fills most of the span; of micro-expressions the strongest whose apex lies in it."""
    start, end = span
    if kind == "micro":
        inside = [event for event in events if event.kind == kind and start <= event.apex_seconds < end]
        return max(inside, key=lambda event: event.intensity, default=None)
    shared = [
        (min(end, event.offset_seconds) - max(start, event.onset_seconds), event)
        for event in events
        if event.kind == kind
    ]
    seconds, event = max(shared, key=lambda entry: entry[0], default=(0.0, None))
    return event if seconds > 0 else None


def _noun(event: FaceEvent | None) -> tuple[str]:
    return (NO_EVENT,) if event is None else (f" {EXPRESSION_NOUNS.get(event.emotion, event.emotion)}",)


def _time(seconds: float | None, *, shift: float) -> tuple[str | None, str | None]:
    """Seconds and tenths as one word each, rounded as the answers round them."""
    if seconds is None:
        return None, None
    whole, tenth = f"{seconds + shift:.1f}".split(".")
    return (whole if len(whole) == 1 else LATE_SECONDS.get(int(whole))), tenth


def voice_words(clip: Clip, *, targets: Sequence[EmotionTargets], count: int) -> list[tuple[str | None, ...]]:
    """For each segment the class of its voice in all its `count` tokens; the clip has that of its only utterance."""
    words = [_voice_word(each) for each in targets]
    whole = words[0] if len(words) == 1 else None
    return [(word,) * count for word in (whole, *words)]


def _voice_word(targets: EmotionTargets) -> str | None:
    if targets.closed_label is None:
        return None
    emotion = emotion_of_word(targets.closed_label, names=tuple(VOICE_WORDS))
    return None if emotion is None else f" {VOICE_WORDS[emotion]}"
