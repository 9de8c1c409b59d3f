"""Speech recognition: Silero VAD detects speech, Whisper recognises its language and words.

waveform --VAD--> segments <= 8 s, split at pauses --Whisper--> language, words, English --checks--> utterances
"""

from __future__ import annotations

import math
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor
from transformers.utils import logging

from .clip import Transcription, Utterance
from .speaker_embedding import VoiceEmbedder
from .speaker_turns import split_at_changes
from .spoken_languages import ENGLISH, language_code, vote_for_language
from .whisper_ctranslate2 import CTranslate2Whisper, has_ctranslate2_model
from .whisper_torch import SAMPLING_RATE, RecognisedWords, TorchWhisper

_threads = torch.get_num_threads()
try:
    import silero_vad
except ImportError:
    silero_vad = None
torch.set_num_threads(_threads)  # importing silero_vad sets one thread for the whole process

logger = logging.get_logger(__name__)

MAX_UTTERANCE_SECONDS = 8.0
MIN_UTTERANCE_SECONDS = 0.6  # a shorter segment is joined with its neighbour
MAX_JOINED_PAUSE_SECONDS = 0.5  # if the pause between them is not longer than this;
MIN_REMAINDER_SECONDS = 1.5  # so is a shorter remainder of speech that was split without a pause,
MAX_JOINED_SECONDS = 10.0  # unless the result is longer than this
SPEECH_THRESHOLD = 0.5  # probability of speech
MIN_SPEECH_MS = 200
MIN_PAUSE_MS = 300  # shorter pauses are part of an utterance
PADDING_MS = 60  # around speech, for soft onsets and endings
BATCH_SIZE = 8

# Whisper was trained on 30 s of audio, and the encoder's run time grows with its input. Short segments need less, but
# some silence must follow; without it Whisper repeats words.
FULL_CONTEXT_SECONDS = 30
MIN_CONTEXT_SECONDS = 10
TRAILING_SILENCE_SECONDS = 2.0
TOKENS_PER_SECOND = 20  # upper bound for any speaker and script
MIN_TOKENS = 32

# A segment may have another language than the clip if its own is this probable and the segment is this long.
SWITCH_LANGUAGE_PROBABILITY = 0.95
SWITCH_LANGUAGE_SECONDS = 2.0

# Checks against hallucinated words; the first two are OpenAI's.
NO_SPEECH_PROBABILITY = 0.6  # applies if the words are uncertain
MIN_MEAN_LOGPROB = -1.0
UNCERTAIN_MEAN_LOGPROB = -0.7
MAX_COMPRESSION = 2.4  # compression ratio of the text's bytes: repeated text compresses well
MAX_CHARACTERS_PER_SECOND = 40
MIN_LANGUAGE_PROBABILITY = 0.05  # of the transcribed language, if the words are uncertain

Progress = Callable[[str, int, int], None]


class Whisper(Protocol):
    """Interface of the speech models for `SpeechRecognizer`: `TorchWhisper`, `CTranslate2Whisper`."""

    languages: tuple[str, ...]

    def encode(self, waveforms: Sequence[np.ndarray], *, context_seconds: int) -> list[Any]: ...

    def language_probabilities(self, states: Sequence[Any]) -> list[dict[str, float]]: ...

    def decode(
        self, states: Sequence[Any], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[RecognisedWords]: ...


@dataclass(frozen=True)
class _Segment:
    """A segment of speech: times, encoder states and language probabilities."""

    start_seconds: float
    end_seconds: float
    states: Any
    languages: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


@contextmanager
def _single_thread() -> Iterator[None]:
    """Runs torch on one thread: for the small VAD network, more threads cost seconds at the first call."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class SpeechRecognizer:
    """Recognises utterances in audio; greedy decoding, so results are reproducible."""

    def __init__(self, whisper: Whisper, *, voice_embedder: VoiceEmbedder | None = None):
        """Creates a recogniser.

        Args:
            whisper: recognises words and languages.
            voice_embedder: splits segments at speaker changes without a pause; None does not split.
        """
        if silero_vad is None:
            raise ImportError("speech recognition needs the package silero-vad")
        self.whisper = whisper
        self.voice_embedder = voice_embedder
        self._load_vad()

    def _load_vad(self) -> None:
        with warnings.catch_warnings():  # the package loads TorchScript, which torch has deprecated
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.load`", category=FutureWarning)
            self._vad = silero_vad.load_silero_vad()
        self._vad_lock = threading.Lock()  # the VAD model is stateful

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_vad", "_vad_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load_vad()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> SpeechRecognizer:
        """Loads a recogniser from a folder (or Hub id) with a Whisper model and its processor.

        On the CPU, CTranslate2 in int8 is used if the folder contains a model for it.
        """
        device = torch.device(device)
        if device.type == "cpu" and has_ctranslate2_model(folder):
            return cls(CTranslate2Whisper(folder))
        model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        model.to(device)  # type: ignore[arg-type]  # wrapped by transformers
        return cls(TorchWhisper(model, WhisperProcessor.from_pretrained(folder)))

    def transcribe(
        self, waveform: np.ndarray, *, language: str | None = None, progress: Progress | None = None
    ) -> Transcription:
        """Returns the utterances in order; empty without speech.

        Utterances in other languages have an `english` translation. Words that are probably hallucinated are in
        `low_confidence`.

        Args:
            waveform: (S,) float32 mono in [-1, 1] at 16 kHz.
            language: such as "en" or "german"; None detects it with a multilingual model.
            progress: called with ("speech", segments done, all segments).

        Raises:
            ValueError: the waveform is not mono, or the model does not support the language.
        """
        language = self._supported_language(language)
        spans = self.find_speech(_mono(waveform))
        trusted: list[Utterance] = []
        low_confidence: list[Utterance] = []
        segments = self._encode(waveform, spans)
        languages = segment_languages(segments, language=language)
        for first in range(0, len(spans), BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            for utterance, reason in self._utterances(waveform, segments[rows], languages[rows]):
                if reason is not None:
                    span = f"{utterance.start_seconds:.1f}-{utterance.end_seconds:.1f} s"
                    logger.info(f"speech at {span} has low confidence, {reason}: {utterance.text[:60]!r}")
                (trusted if reason is None else low_confidence).append(utterance)
            if progress is not None:
                progress("speech", min(first + BATCH_SIZE, len(spans)), len(spans))
        return Transcription(trusted, low_confidence=low_confidence)

    def translate(
        self, waveform: np.ndarray, spans: Sequence[tuple[float, float]], *, language: str | None = None
    ) -> list[str | None]:
        """Returns an English translation of each span; None if it cannot be trusted.

        Args:
            waveform: (S,) float32 mono in [-1, 1] at 16 kHz.
            spans: (start, end) in seconds of speech.
            language: of the speech; None detects it.
        """
        language = self._supported_language(language)
        parts = [(number, *part) for number, span in enumerate(spans) for part in _split_span(*span)]
        segments = self._encode(_mono(waveform), [(start, end) for _, start, end in parts])
        languages = segment_languages(segments, language=language)
        english: list[list[str | None]] = [[] for _ in spans]
        for first in range(0, len(parts), BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            recognised = self._recognise(waveform, segments[rows], languages[rows], task=None)
            for (number, *_), (words, reason) in zip(parts[rows], recognised, strict=True):
                english[number].append(words.text if reason is None else None)
        return [" ".join(filter(None, texts)) or None for texts in english]

    def find_speech(self, waveform: np.ndarray) -> list[tuple[float, float]]:
        """Returns (start, end) in seconds of segments of speech, none longer than `MAX_JOINED_SECONDS`.

        With a `voice_embedder`, segments are split at speaker changes.
        """
        with self._vad_lock, _single_thread():
            timestamps = silero_vad.get_speech_timestamps(
                torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)),
                self._vad,
                threshold=SPEECH_THRESHOLD,
                sampling_rate=SAMPLING_RATE,
                min_speech_duration_ms=MIN_SPEECH_MS,
                max_speech_duration_s=MAX_UTTERANCE_SECONDS,
                min_silence_duration_ms=MIN_PAUSE_MS,
                speech_pad_ms=PADDING_MS,
            )
        spans = [(entry["start"] / SAMPLING_RATE, entry["end"] / SAMPLING_RATE) for entry in timestamps]
        segments = join_short_spans(spans)
        if self.voice_embedder is None:
            return segments
        return split_at_changes(waveform, segments, embedder=self.voice_embedder)

    def _supported_language(self, language: str | None) -> str | None:
        if self.whisper.languages:
            return language_code(language, allowed=self.whisper.languages)
        if language is not None and language_code(language) != ENGLISH:
            raise ValueError(
                f"language is {language!r}, but this speech model supports English only; pass a transcript, or a "
                "recognizer with a multilingual Whisper"
            )
        return ENGLISH

    def _encode(self, waveform: np.ndarray, spans: Sequence[tuple[float, float]]) -> list[_Segment]:
        segments = []
        for first in range(0, len(spans), BATCH_SIZE):
            batch = spans[first : first + BATCH_SIZE]
            context = context_seconds(max(end - start for start, end in batch))
            states = self.whisper.encode([_cut(waveform, *span) for span in batch], context_seconds=context)
            languages = self.whisper.language_probabilities(states) if self.whisper.languages else [{}] * len(batch)
            segments += [_Segment(*span, *details) for span, *details in zip(batch, states, languages, strict=True)]
        return segments

    def _utterances(
        self, waveform: np.ndarray, segments: Sequence[_Segment], languages: Sequence[str]
    ) -> Iterator[tuple[Utterance, str | None]]:
        """Yields each segment's utterance, and why its words have low confidence (None: they are trusted)."""
        recognised = self._recognise(waveform, segments, languages, task="transcribe")
        non_english = [
            index for index, language in enumerate(languages) if language != ENGLISH and recognised[index][1] is None
        ]
        translated = self._recognise(
            waveform,
            [segments[index] for index in non_english],
            [languages[index] for index in non_english],
            task="translate",
        )
        english = {
            index: words.text if reason is None else None
            for index, (words, reason) in zip(non_english, translated, strict=True)
        }
        for index, (segment, language) in enumerate(zip(segments, languages, strict=True)):
            words, reason = recognised[index]
            utterance = Utterance(
                segment.start_seconds,
                segment.end_seconds,
                words.text,
                language=language,
                language_probability=segment.languages.get(language),
                english=english.get(index),
            )
            yield utterance, reason

    def _recognise(
        self, waveform: np.ndarray, segments: Sequence[_Segment], languages: Sequence[str], *, task: str | None
    ) -> list[tuple[RecognisedWords, str | None]]:
        """Returns each segment's words and the reason for low confidence, if any.

        Segments with low confidence are decoded again with full context. task: None gives English for any language.
        """
        results = self._decode(segments, languages, task=task)
        retries = [index for index, (words, reason) in enumerate(results) if reason is not None and words.text]
        if retries:
            waveforms = [
                _cut(waveform, segments[index].start_seconds, segments[index].end_seconds) for index in retries
            ]
            states = self.whisper.encode(waveforms, context_seconds=FULL_CONTEXT_SECONDS)
            full_context = [
                _Segment(segments[index].start_seconds, segments[index].end_seconds, state, segments[index].languages)
                for index, state in zip(retries, states, strict=True)
            ]
            second = self._decode(full_context, [languages[index] for index in retries], task=task)
            for index, result in zip(retries, second, strict=True):
                results[index] = result
        return results

    def _decode(
        self, segments: Sequence[_Segment], languages: Sequence[str], *, task: str | None
    ) -> list[tuple[RecognisedWords, str | None]]:
        """Decodes segments in batches of one task and one context length."""
        results: list[Any] = [None] * len(segments)
        tasks = [task or ("transcribe" if language == ENGLISH else "translate") for language in languages]
        keys = [(each_task, tuple(segment.states.shape)) for each_task, segment in zip(tasks, segments, strict=True)]
        for key in dict.fromkeys(keys):
            indices = [index for index, other_key in enumerate(keys) if other_key == key]
            chosen = [segments[index] for index in indices]
            recognised = self.whisper.decode(
                [segment.states for segment in chosen],
                languages=[languages[index] for index in indices],
                task=key[0],
                max_new_tokens=MIN_TOKENS + math.ceil(TOKENS_PER_SECOND * max(segment.seconds for segment in chosen)),
            )
            for index, segment, words in zip(indices, chosen, recognised, strict=True):
                reason = low_confidence_reason(
                    words.text,
                    seconds=segment.seconds,
                    no_speech_probability=words.no_speech_probability,
                    mean_logprob=words.mean_logprob,
                    language_probability=segment.languages.get(languages[index], 1.0),
                )
                results[index] = (words, reason)
        return results


def context_seconds(seconds: float) -> int:
    """Length of the encoder's input for a segment of `seconds`, including trailing silence."""
    return min(max(MIN_CONTEXT_SECONDS, math.ceil(seconds + TRAILING_SILENCE_SECONDS)), FULL_CONTEXT_SECONDS)


def segment_languages(segments: Sequence[_Segment], *, language: str | None) -> list[str]:
    """Language of each segment: the given one, else the clip's, else the segment's own if it is very probable."""
    if language is not None:
        return [language] * len(segments)
    clip = vote_for_language(
        [segment.languages for segment in segments], seconds=[segment.seconds for segment in segments]
    )
    return [ENGLISH if clip is None else _confident_language(segment) or clip[0] for segment in segments]


def _confident_language(segment: _Segment) -> str | None:
    code, probability = max(segment.languages.items(), key=lambda entry: entry[1])
    is_sure = probability >= SWITCH_LANGUAGE_PROBABILITY and segment.seconds >= SWITCH_LANGUAGE_SECONDS
    return code if is_sure else None


def _split_span(start: float, end: float) -> list[tuple[float, float]]:
    """Splits a span into equal parts, none longer than `MAX_JOINED_SECONDS`."""
    count = max(math.ceil((end - start) / MAX_JOINED_SECONDS), 1)
    edges = [start + (end - start) * part / count for part in range(count + 1)]
    return list(pairwise(edges))


def _mono(waveform: np.ndarray) -> np.ndarray:
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be mono (S,), got shape {waveform.shape}")
    return waveform


def join_short_spans(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Joins short spans with the neighbour they nearly touch.

    |-- 2 s --| 0.2 s |0.3 s|   ->   |----- 2.5 s -----|
    """
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined:
            previous_start, previous_end = joined[-1]
            is_short = min(previous_end - previous_start, end - start) < MIN_UTTERANCE_SECONDS and (
                start - previous_end <= MAX_JOINED_PAUSE_SECONDS
            )
            is_remainder = start == previous_end and end - start < MIN_REMAINDER_SECONDS
            if (is_short or is_remainder) and end - previous_start <= MAX_JOINED_SECONDS:
                joined[-1] = (previous_start, end)
                continue
        joined.append((start, end))
    return joined


def _cut(waveform: np.ndarray, start: float, end: float) -> np.ndarray:
    return waveform[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)]


def low_confidence_reason(
    text: str,
    *,
    seconds: float,
    no_speech_probability: float,
    mean_logprob: float,
    language_probability: float = 1.0,
) -> str | None:
    """Returns why `text` is probably hallucinated; None if it is plausible."""
    if not any(character.isalnum() for character in text):
        return "no words"
    if mean_logprob < MIN_MEAN_LOGPROB:
        return f"improbable words (mean log-probability {mean_logprob:.2f})"
    if no_speech_probability > NO_SPEECH_PROBABILITY and mean_logprob < UNCERTAIN_MEAN_LOGPROB:
        return f"no speech (probability {no_speech_probability:.2f}, mean log-probability {mean_logprob:.2f})"
    if language_probability < MIN_LANGUAGE_PROBABILITY and mean_logprob < UNCERTAIN_MEAN_LOGPROB:
        return f"another language (probability {language_probability:.2f}, mean log-probability {mean_logprob:.2f})"
    data = text.encode()
    if len(data) / len(zlib.compress(data)) > MAX_COMPRESSION or _repeats(text):
        return "repeated text"
    if len(text) / max(seconds, MIN_UTTERANCE_SECONDS) > MAX_CHARACTERS_PER_SECOND:
        return f"more words than fit {seconds:.1f} s"
    return None


def _repeats(text: str) -> bool:
    """True if one word occurs more than five times in a row."""
    repeats = 1
    for previous_start, word in pairwise(text.lower().split()):
        repeats = repeats + 1 if word.strip(".,!?") == previous_start.strip(".,!?") else 1
        if repeats > 5:
            return True
    return False


__all__ = ["SpeechRecognizer"]
