"""Whisper with CTranslate2 in int8: several times faster on a CPU than torch, mainly as its input may be shorter than
30 s.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperProcessor

from .whisper_torch import SAMPLING_RATE, RecognisedWords

try:
    import ctranslate2
except ImportError:
    ctranslate2 = None

FOLDER = "ctranslate2"  # subfolder of the Hugging Face model's folder
START, TRANSCRIBE_PROMPT_END = "<|startoftranscript|>", "<|notimestamps|>"
_MODELS_OF_PARENT: list[Any] = []  # models of the process that this one was forked from


def has_ctranslate2_model(folder: str | Path) -> bool:
    """True if `folder` contains a CTranslate2 model and the package ctranslate2 is installed."""
    return ctranslate2 is not None and (Path(folder) / FOLDER / "model.bin").is_file()


class CTranslate2Whisper:
    """A multilingual Whisper model in the subfolder `FOLDER` of `folder`, with the processor of `folder`.

    It can be pickled, and used in forked processes: each loads the model again.
    """

    def __init__(self, folder: str | Path) -> None:
        if ctranslate2 is None:
            raise ImportError("this speech model needs the package ctranslate2")
        self.folder = Path(folder).absolute()
        self.processor = WhisperProcessor.from_pretrained(folder)
        self._model: Any = None
        self._process: int | None = None  # the process that owns the model's threads
        if not self.model.is_multilingual:
            raise ValueError(f"{folder} must hold a multilingual Whisper, got an English-only one")
        tokens = self.processor.tokenizer.get_vocab()
        special_tokens = sorted((index, token) for token, index in tokens.items() if token.startswith("<|"))
        names = [token for _, token in special_tokens]
        self.languages = tuple(
            name.strip("<|>") for name in names[names.index(START) + 1 : names.index("<|translate|>")]
        )

    @property
    def model(self) -> Any:
        """CTranslate2's model, loaded once per process."""
        if self._process != os.getpid():
            # Threads do not survive a fork: calls to the parent's model, and its destructor, would hang.
            _MODELS_OF_PARENT.extend([] if self._model is None else [self._model])
            self._model = ctranslate2.models.Whisper(
                str(self.folder / FOLDER), device="cpu", compute_type="int8", intra_threads=torch.get_num_threads()
            )
            self._process = os.getpid()
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_process": None}

    def encode(self, waveforms: Sequence[np.ndarray], *, context_seconds: int) -> list[np.ndarray]:
        """Returns encoder states (T, D) of each waveform, padded with silence to `context_seconds`."""
        features = self.processor.feature_extractor(
            list(waveforms),
            sampling_rate=SAMPLING_RATE,
            padding="max_length",
            max_length=context_seconds * SAMPLING_RATE,
            return_tensors="np",
        )["input_features"]
        storage = ctranslate2.StorageView.from_array(np.ascontiguousarray(features, dtype=np.float32))
        return list(np.array(self.model.encode(storage, to_cpu=True)))

    def language_probabilities(self, states: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Returns the probability of every language for each segment."""
        detected = self.model.detect_language(_stacked(states))
        return [{token.strip("<|>"): probability for token, probability in row} for row in detected]

    def decode(
        self, states: Sequence[np.ndarray], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[RecognisedWords]:
        """Decodes each segment greedily. languages: of the segments."""
        prompts = [[START, f"<|{language}|>", f"<|{task}|>", TRANSCRIBE_PROMPT_END] for language in languages]
        results = self.model.generate(
            _stacked(states),
            prompts,
            beam_size=1,
            max_length=max_new_tokens + len(prompts[0]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        recognised = []
        for result in results:
            tokens = result.sequences_ids[0]
            text = " ".join(self.processor.tokenizer.decode(tokens, skip_special_tokens=True).split())
            # CTranslate2's score is the sum over the tokens and the end token, divided by the number of tokens.
            mean_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
            recognised.append(RecognisedWords(text, result.no_speech_prob, mean_logprob))
        return recognised


def _stacked(states: Sequence[np.ndarray]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.stack(states)))
