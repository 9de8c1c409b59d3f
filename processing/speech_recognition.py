"""Utterances out of sound: Silero VAD says when somebody speaks, Whisper in which language and what.

waveform --VAD--> stretches <= 8 s, cut at pauses --Whisper--> language, words, English --guards--> utterances
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
from .whisper_torch import SAMPLING_RATE, HeardWords, TorchWhisper

_threads = torch.get_num_threads()
try:
    import silero_vad
except ImportError:
    silero_vad = None
torch.set_num_threads(_threads)  # silero_vad sets one thread for the whole process when it is imported

logger = logging.get_logger(__name__)

MAX_UTTERANCE_SECONDS = 8.0
MIN_UTTERANCE_SECONDS = 0.6  # a shorter stretch joins its neighbour,
MAX_JOINED_PAUSE_SECONDS = 0.5  # where the pause is no longer than this,
MIN_REMAINDER_SECONDS = 1.5  # and so does a shorter end of speech that was cut without a pause,
MAX_JOINED_SECONDS = 10.0  # as long as the whole is no longer than this
SPEECH_THRESHOLD = 0.5  # probability of speech
MIN_SPEECH_MS = 200
MIN_PAUSE_MS = 300  # shorter pauses stand within an utterance
PADDING_MS = 60  # around speech, for soft beginnings and ends
BATCH_SIZE = 8

# Whisper was trained on 30 s. The encoder's time grows with the sound it reads: less is enough for short stretches, as
# long as some silence follows them. Without it the words repeat.
FULL_CONTEXT_SECONDS = 30
MIN_CONTEXT_SECONDS = 10
SILENCE_AFTER_SECONDS = 2.0
TOKENS_PER_SECOND = 20  # more than anybody speaks, in any alphabet
MIN_TOKENS = 32

# A stretch is in another language than the clip where its own is as sure as this, and it is long enough to tell.
OWN_LANGUAGE_PROBABILITY = 0.95
OWN_LANGUAGE_SECONDS = 2.0

# Guards against words that nobody said; the first two are OpenAI's.
NO_SPEECH_PROBABILITY = 0.6  # counts where the words are unsure
MIN_MEAN_LOGPROB = -1.0
UNSURE_MEAN_LOGPROB = -0.7
MAX_COMPRESSION = 2.4  # of the text's bytes: repeated text compresses well
MAX_CHARACTERS_PER_SECOND = 40
MIN_LANGUAGE_PROBABILITY = 0.05  # of the language that the words are written in, where the words are unsure

Progress = Callable[[str, int, int], None]


class Whisper(Protocol):
    """What `SpeechRecognizer` asks of a speech model: `TorchWhisper`, `CTranslate2Whisper`."""

    languages: tuple[str, ...]

    def encode(self, pieces: Sequence[np.ndarray], *, context_seconds: int) -> list[Any]: ...

    def language_probabilities(self, states: Sequence[Any]) -> list[dict[str, float]]: ...

    def decode(
        self, states: Sequence[Any], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[HeardWords]: ...


@dataclass(frozen=True)
class _Stretch:
    """A stretch of speech: its times, its sound as the encoder sees it, and how probable each language is."""

    start_seconds: float
    end_seconds: float
    states: Any
    languages: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs torch on one thread: the detector's net is so small that more cost seconds on its first call."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class SpeechRecognizer:
    """Makes utterances of speech; greedy, so the same sound gives the same words."""

    def __init__(self, whisper: Whisper, *, voice_embedder: VoiceEmbedder | None = None):
        """
        Args:
            whisper: Hears words and languages.
            voice_embedder: Cuts stretches where another voice goes on without a pause; None leaves them whole.
        """
        if silero_vad is None:
            raise ImportError("speech recognition needs the package silero-vad")
        self.whisper = whisper
        self.voice_embedder = voice_embedder
        self._load_vad()

    def _load_vad(self) -> None:
        with warnings.catch_warnings():  # the package loads TorchScript, which torch wants to leave behind
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.load`", category=FutureWarning)
            self._vad = silero_vad.load_silero_vad()
        self._vad_lock = threading.Lock()  # the detector keeps state while it listens

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_vad", "_vad_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load_vad()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> SpeechRecognizer:
        """Returns a recognizer from a folder (or Hub id) with a Whisper model and its processor.

        On the CPU a folder that brings the model for CTranslate2 too is run by that, in int8.
        """
        device = torch.device(device)
        if device.type == "cpu" and has_ctranslate2_model(folder):
            return cls(CTranslate2Whisper(folder))
        model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        model.to(device)  # type: ignore[arg-type]  # transformers wraps the method for its docstring
        return cls(TorchWhisper(model, WhisperProcessor.from_pretrained(folder)))

    def transcribe(
        self, waveform: np.ndarray, *, language: str | None = None, progress: Progress | None = None
    ) -> Transcription:
        """Returns what is said, in order; nothing where nobody speaks.

        Utterances in another language have `english` beside their text. Words that nobody can have said are in
        `low_confidence`.

        Args:
            waveform: (S,) float32 mono in [-1, 1] at 16 kHz.
            language: Such as "en" or "german"; None lets a multilingual model hear it.
            progress: Called with ("speech", stretches done, all stretches).

        Raises:
            ValueError: A waveform that is not mono, or a language that the model does not know.
        """
        language = self._known_language(language)
        spans = self.find_speech(_mono(waveform))
        trusted: list[Utterance] = []
        low_confidence: list[Utterance] = []
        stretches = self._encode(waveform, spans)
        languages = stretch_languages(stretches, language=language)
        for first in range(0, len(spans), BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            for utterance, reason in self._utterances(waveform, stretches[rows], languages[rows]):
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
        """Returns what is said in each span in English; None where that cannot be trusted.

        Args:
            waveform: (S,) float32 mono in [-1, 1] at 16 kHz.
            spans: (start, end) in seconds of speech.
            language: That is spoken; None hears it.
        """
        language = self._known_language(language)
        parts = [(number, *part) for number, span in enumerate(spans) for part in _parts(*span)]
        stretches = self._encode(_mono(waveform), [(start, end) for _, start, end in parts])
        languages = stretch_languages(stretches, language=language)
        english: list[list[str | None]] = [[] for _ in spans]
        for first in range(0, len(parts), BATCH_SIZE):
            rows = slice(first, first + BATCH_SIZE)
            heard = self._listen(waveform, stretches[rows], languages[rows], task=None)
            for (number, *_), (words, reason) in zip(parts[rows], heard, strict=True):
                english[number].append(words.text if reason is None else None)
        return [" ".join(filter(None, texts)) or None for texts in english]

    def find_speech(self, waveform: np.ndarray) -> list[tuple[float, float]]:
        """Returns (start, end) in seconds of the stretches of speech, none longer than `MAX_JOINED_SECONDS`.

        With a `voice_embedder` each holds one voice, as far as it can tell.
        """
        with self._vad_lock, _one_thread():
            found = silero_vad.get_speech_timestamps(
                torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)),
                self._vad,
                threshold=SPEECH_THRESHOLD,
                sampling_rate=SAMPLING_RATE,
                min_speech_duration_ms=MIN_SPEECH_MS,
                max_speech_duration_s=MAX_UTTERANCE_SECONDS,
                min_silence_duration_ms=MIN_PAUSE_MS,
                speech_pad_ms=PADDING_MS,
            )
        spans = [(entry["start"] / SAMPLING_RATE, entry["end"] / SAMPLING_RATE) for entry in found]
        stretches = join_short_spans(spans)
        if self.voice_embedder is None:
            return stretches
        return split_at_changes(waveform, stretches, embedder=self.voice_embedder)

    def _known_language(self, language: str | None) -> str | None:
        if self.whisper.languages:
            return language_code(language, allowed=self.whisper.languages)
        if language is not None and language_code(language) != ENGLISH:
            raise ValueError(
                f"language is {language!r}, but this speech model knows English only; give a transcript, or a "
                "recognizer with a multilingual Whisper"
            )
        return ENGLISH

    def _encode(self, waveform: np.ndarray, spans: Sequence[tuple[float, float]]) -> list[_Stretch]:
        stretches = []
        for first in range(0, len(spans), BATCH_SIZE):
            batch = spans[first : first + BATCH_SIZE]
            context = context_seconds(max(end - start for start, end in batch))
            states = self.whisper.encode([_cut(waveform, *span) for span in batch], context_seconds=context)
            languages = self.whisper.language_probabilities(states) if self.whisper.languages else [{}] * len(batch)
            stretches += [_Stretch(*span, *known) for span, *known in zip(batch, states, languages, strict=True)]
        return stretches

    def _utterances(
        self, waveform: np.ndarray, stretches: Sequence[_Stretch], languages: Sequence[str]
    ) -> Iterator[tuple[Utterance, str | None]]:
        """Yields each stretch's utterance, and why its words have low confidence (None: they are trusted)."""
        heard = self._listen(waveform, stretches, languages, task="transcribe")
        foreign = [
            place for place, language in enumerate(languages) if language != ENGLISH and heard[place][1] is None
        ]
        translated = self._listen(
            waveform,
            [stretches[place] for place in foreign],
            [languages[place] for place in foreign],
            task="translate",
        )
        english = {
            place: words.text if reason is None else None
            for place, (words, reason) in zip(foreign, translated, strict=True)
        }
        for place, (stretch, language) in enumerate(zip(stretches, languages, strict=True)):
            words, reason = heard[place]
            utterance = Utterance(
                stretch.start_seconds,
                stretch.end_seconds,
                words.text,
                language=language,
                language_probability=stretch.languages.get(language),
                english=english.get(place),
            )
            yield utterance, reason

    def _listen(
        self, waveform: np.ndarray, stretches: Sequence[_Stretch], languages: Sequence[str], *, task: str | None
    ) -> list[tuple[HeardWords, str | None]]:
        """Returns each stretch's words and why they have low confidence; those are heard again with full context.

        task: None writes English, whatever is spoken.
        """
        found = self._decode(stretches, languages, task=task)
        again = [place for place, (words, reason) in enumerate(found) if reason is not None and words.text]
        if again:
            pieces = [_cut(waveform, stretches[place].start_seconds, stretches[place].end_seconds) for place in again]
            states = self.whisper.encode(pieces, context_seconds=FULL_CONTEXT_SECONDS)
            full = [
                _Stretch(
                    stretches[place].start_seconds, stretches[place].end_seconds, state, stretches[place].languages
                )
                for place, state in zip(again, states, strict=True)
            ]
            second = self._decode(full, [languages[place] for place in again], task=task)
            for place, result in zip(again, second, strict=True):
                found[place] = result
        return found

    def _decode(
        self, stretches: Sequence[_Stretch], languages: Sequence[str], *, task: str | None
    ) -> list[tuple[HeardWords, str | None]]:
        """Decodes stretches of one task and one length of context at a time, since a batch has one of each."""
        results: list[Any] = [None] * len(stretches)
        tasks = [task or ("transcribe" if language == ENGLISH else "translate") for language in languages]
        keys = [(one, tuple(stretch.states.shape)) for one, stretch in zip(tasks, stretches, strict=True)]
        for key in dict.fromkeys(keys):
            places = [place for place, other in enumerate(keys) if other == key]
            chosen = [stretches[place] for place in places]
            heard = self.whisper.decode(
                [stretch.states for stretch in chosen],
                languages=[languages[place] for place in places],
                task=key[0],
                max_new_tokens=MIN_TOKENS + math.ceil(TOKENS_PER_SECOND * max(stretch.seconds for stretch in chosen)),
            )
            for place, stretch, words in zip(places, chosen, heard, strict=True):
                reason = low_confidence_reason(
                    words.text,
                    seconds=stretch.seconds,
                    no_speech_probability=words.no_speech_probability,
                    mean_logprob=words.mean_logprob,
                    language_probability=stretch.languages.get(languages[place], 1.0),
                )
                results[place] = (words, reason)
        return results


def context_seconds(seconds: float) -> int:
    """Returns how much sound the encoder reads for a stretch of so many seconds: with silence behind it."""
    return min(max(MIN_CONTEXT_SECONDS, math.ceil(seconds + SILENCE_AFTER_SECONDS)), FULL_CONTEXT_SECONDS)


def stretch_languages(stretches: Sequence[_Stretch], *, language: str | None) -> list[str]:
    """Returns each stretch's language: the given one, else the clip's, else its own where that is very sure."""
    if language is not None:
        return [language] * len(stretches)
    clip = vote_for_language(
        [stretch.languages for stretch in stretches], seconds=[stretch.seconds for stretch in stretches]
    )
    return [ENGLISH if clip is None else _own_language(stretch) or clip[0] for stretch in stretches]


def _own_language(stretch: _Stretch) -> str | None:
    code, probability = max(stretch.languages.items(), key=lambda entry: entry[1])
    is_sure = probability >= OWN_LANGUAGE_PROBABILITY and stretch.seconds >= OWN_LANGUAGE_SECONDS
    return code if is_sure else None


def _parts(start: float, end: float) -> list[tuple[float, float]]:
    """A span in equal parts, none longer than `MAX_JOINED_SECONDS`."""
    count = max(math.ceil((end - start) / MAX_JOINED_SECONDS), 1)
    edges = [start + (end - start) * part / count for part in range(count + 1)]
    return list(pairwise(edges))


def _mono(waveform: np.ndarray) -> np.ndarray:
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be mono (S,), got shape {waveform.shape}")
    return waveform


def join_short_spans(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns spans in which a short one has joined the neighbour it nearly touches.

    |-- 2 s --| 0.2 s |0.3 s|   ->   |----- 2.5 s -----|
    """
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined:
            before, after = joined[-1]
            is_short = min(after - before, end - start) < MIN_UTTERANCE_SECONDS and (
                start - after <= MAX_JOINED_PAUSE_SECONDS
            )
            is_remainder = start == after and end - start < MIN_REMAINDER_SECONDS
            if (is_short or is_remainder) and end - before <= MAX_JOINED_SECONDS:
                joined[-1] = (before, end)
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
    """Returns why nobody can have said `text`, None for believable words."""
    if not any(character.isalnum() for character in text):
        return "no words"
    if mean_logprob < MIN_MEAN_LOGPROB:
        return f"improbable words (mean log-probability {mean_logprob:.2f})"
    if no_speech_probability > NO_SPEECH_PROBABILITY and mean_logprob < UNSURE_MEAN_LOGPROB:
        return f"no speech (probability {no_speech_probability:.2f}, mean log-probability {mean_logprob:.2f})"
    if language_probability < MIN_LANGUAGE_PROBABILITY and mean_logprob < UNSURE_MEAN_LOGPROB:
        return f"another language (probability {language_probability:.2f}, mean log-probability {mean_logprob:.2f})"
    data = text.encode()
    if len(data) / len(zlib.compress(data)) > MAX_COMPRESSION or _repeats(text):
        return "repeated text"
    if len(text) / max(seconds, MIN_UTTERANCE_SECONDS) > MAX_CHARACTERS_PER_SECOND:
        return f"more words than fit {seconds:.1f} s"
    return None


def _repeats(text: str) -> bool:
    """True where one word stands there more than five times in a row."""
    run = 1
    for before, word in pairwise(text.lower().split()):
        run = run + 1 if word.strip(".,!?") == before.strip(".,!?") else 1
        if run > 5:
            return True
    return False


__all__ = ["SpeechRecognizer"]
