"""Utterances out of sound: Silero VAD says when somebody speaks, Whisper says what.

waveform --VAD--> stretches of speech <= 8 s, cut at pauses --Whisper--> words --guards--> utterances
"""

from __future__ import annotations

import logging as standard_logging
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging

from .clip import Transcription, Utterance

_threads = torch.get_num_threads()
try:
    import silero_vad
except ImportError:
    silero_vad = None
torch.set_num_threads(_threads)  # silero_vad sets one thread for the whole process when it is imported

logger = logging.get_logger(__name__)

SAMPLING_RATE = 16_000
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

# Guards against words that nobody said; the first two are OpenAI's.
NO_SPEECH_PROBABILITY = 0.6
MIN_MEAN_LOGPROB = -1.0
MAX_COMPRESSION = 2.4  # of the text's bytes: repeated text compresses well
MAX_CHARACTERS_PER_SECOND = 40

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Heard:
    """Words of one stretch and how far the model trusts them."""

    text: str
    no_speech_probability: float
    mean_logprob: float


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs torch on one thread: the detector's net is so small that more cost seconds on its first call."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _NoSuppressTokensWarning(standard_logging.Filter):
    """Drops one log message: Whisper's `generate` itself passes `suppress_tokens` on in the deprecated way."""

    def filter(self, record: standard_logging.LogRecord) -> bool:
        return "suppress_tokens" not in record.getMessage()


@contextmanager
def _without_suppress_tokens_warning() -> Iterator[None]:
    generation_logger = logging.get_logger("transformers.generation.utils")
    muted = _NoSuppressTokensWarning()
    generation_logger.addFilter(muted)
    try:
        yield
    finally:
        generation_logger.removeFilter(muted)


class SpeechRecognizer:
    """Makes utterances of speech; greedy, so the same sound gives the same words.

    Args:
        model: Whisper of any size.
        processor: Its processor.
    """

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor):
        if silero_vad is None:
            raise ImportError("speech recognition needs the package silero-vad")
        self.model = model.eval()
        self.processor = processor
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
        """Returns a recognizer from a folder (or Hub id) with a Whisper model and its processor."""
        model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        model.to(torch.device(device))  # type: ignore[arg-type]  # transformers wraps the method for its docstring
        return cls(model, WhisperProcessor.from_pretrained(folder))

    def transcribe(
        self, waveform: np.ndarray, *, language: str | None = None, progress: Progress | None = None
    ) -> Transcription:
        """Returns what is said, in order; nothing where nobody speaks. Words that nobody can have said are `doubted`.

        Args:
            waveform: (S,) float32 mono in [-1, 1] at 16 kHz.
            language: Such as "en" or "german"; None lets a multilingual model hear it.
            progress: Called with ("speech", stretches done, all stretches).
        """
        if waveform.ndim != 1:
            raise ValueError(f"waveform must be mono (S,), got shape {waveform.shape}")
        options = self._language_options(language)
        spans = self.find_speech(waveform)
        believed: list[Utterance] = []
        doubted: list[Utterance] = []
        for first in range(0, len(spans), BATCH_SIZE):
            batch = spans[first : first + BATCH_SIZE]
            heard = self._listen([_cut(waveform, start, end) for start, end in batch], options)
            for utterance, is_believed in _weighed(batch, heard):
                (believed if is_believed else doubted).append(utterance)
            if progress is not None:
                progress("speech", first + len(batch), len(spans))
        return Transcription(believed, doubted=doubted)

    def find_speech(self, waveform: np.ndarray) -> list[tuple[float, float]]:
        """Returns (start, end) in seconds of the stretches of speech, none longer than `MAX_JOINED_SECONDS`."""
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
        return join_short_spans(spans)

    def _language_options(self, language: str | None) -> dict[str, Any]:
        if getattr(self.model.generation_config, "lang_to_id", None):
            return {"language": language, "task": "transcribe"}
        if language is not None and language.lower().split("-")[0] not in ("en", "english"):
            raise ValueError(
                f"language is {language!r}, but this speech model knows English only; give a transcript, or a "
                "recognizer with a multilingual Whisper"
            )
        return {}

    @torch.inference_mode()
    def _listen(self, pieces: list[np.ndarray], options: dict[str, Any]) -> list[_Heard]:
        inputs = self.processor.feature_extractor(
            pieces, sampling_rate=SAMPLING_RATE, return_attention_mask=True, return_tensors="pt"
        )
        features = inputs["input_features"].to(self.model.device, self.model.dtype)
        states = BaseModelOutput(last_hidden_state=self.model.get_encoder()(features).last_hidden_state)
        with _without_suppress_tokens_warning():
            tokens = self.model.generate(
                features,
                encoder_outputs=states,
                attention_mask=inputs["attention_mask"].to(self.model.device),
                do_sample=False,
                num_beams=1,
                return_dict_in_generate=True,
                **options,
            )["sequences"]
        start = torch.full_like(tokens[:, :1], self.model.generation_config.decoder_start_token_id)
        if not bool((tokens[:, :1] == start).all()):  # generation may leave the prompt out
            tokens = torch.cat([start, tokens], dim=1)
        logprobs = self.model(encoder_outputs=states, decoder_input_ids=tokens).logits.float().log_softmax(-1)
        chosen = logprobs[:, :-1].gather(-1, tokens[:, 1:, None]).squeeze(-1)
        spoken = tokens[:, 1:] < self.processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")
        means = (chosen * spoken).sum(1) / spoken.sum(1).clamp(min=1)
        silence = logprobs[:, 0, self._no_speech_id()].exp()
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [
            _Heard(" ".join(text.split()), float(p), float(mean))
            for text, p, mean in zip(texts, silence, means, strict=True)
        ]

    def _no_speech_id(self) -> int:
        tokenizer = self.processor.tokenizer
        names = [name for name in ("<|nospeech|>", "<|nocaptions|>") if name in tokenizer.get_vocab()]
        if not names:
            raise ValueError("the speech model's tokenizer has neither <|nospeech|> nor <|nocaptions|>")
        return tokenizer.convert_tokens_to_ids(names[0])


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


def _weighed(spans: list[tuple[float, float]], heard: list[_Heard]) -> Iterator[tuple[Utterance, bool]]:
    """Yields each stretch's utterance, and whether its words are believed."""
    for (start, end), words in zip(spans, heard, strict=True):
        doubt = reason_for_doubt(
            words.text,
            seconds=end - start,
            no_speech_probability=words.no_speech_probability,
            mean_logprob=words.mean_logprob,
        )
        if doubt is not None:
            logger.info(f"speech at {start:.1f}-{end:.1f} s is doubted, {doubt}: {words.text[:60]!r}")
        yield Utterance(start, end, words.text), doubt is None


def reason_for_doubt(text: str, *, seconds: float, no_speech_probability: float, mean_logprob: float) -> str | None:
    """Returns why nobody can have said `text`, None for believable words."""
    if not any(character.isalnum() for character in text):
        return "no words"
    if no_speech_probability > NO_SPEECH_PROBABILITY and mean_logprob < MIN_MEAN_LOGPROB:
        return f"no speech (probability {no_speech_probability:.2f}, mean log-probability {mean_logprob:.2f})"
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
