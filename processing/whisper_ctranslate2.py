"""Whisper by CTranslate2 in int8: on a CPU several times faster than torch, above all as it need not read 30 s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperProcessor

from .whisper_torch import SAMPLING_RATE, HeardWords

try:
    import ctranslate2
except ImportError:
    ctranslate2 = None

FOLDER = "ctranslate2"  # below that of the Hugging Face model
START, TRANSCRIBE_PROMPT_END = "<|startoftranscript|>", "<|notimestamps|>"


def has_ctranslate2_model(folder: str | Path) -> bool:
    """True where `folder` brings a CTranslate2 model and the package that runs it is there."""
    return ctranslate2 is not None and (Path(folder) / FOLDER / "model.bin").is_file()


class CTranslate2Whisper:
    """A multilingual Whisper in `folder`'s subfolder `FOLDER`, with the processor of `folder`."""

    def __init__(self, folder: str | Path) -> None:
        if ctranslate2 is None:
            raise ImportError("this speech model needs the package ctranslate2")
        self.processor = WhisperProcessor.from_pretrained(folder)
        self.model = ctranslate2.models.Whisper(
            str(Path(folder) / FOLDER), device="cpu", compute_type="int8", intra_threads=torch.get_num_threads()
        )
        if not self.model.is_multilingual:
            raise ValueError(f"{folder} must hold a multilingual Whisper, got an English-only one")
        tokens = self.processor.tokenizer.get_vocab()
        between = sorted((index, token) for token, index in tokens.items() if token.startswith("<|"))
        names = [token for _, token in between]
        self.languages = tuple(
            name.strip("<|>") for name in names[names.index(START) + 1 : names.index("<|translate|>")]
        )

    def encode(self, pieces: Sequence[np.ndarray], *, context_seconds: int) -> list[np.ndarray]:
        """Returns the encoder's states (T, D) of each piece, read with silence up to `context_seconds`."""
        features = self.processor.feature_extractor(
            list(pieces),
            sampling_rate=SAMPLING_RATE,
            padding="max_length",
            max_length=context_seconds * SAMPLING_RATE,
            return_tensors="np",
        )["input_features"]
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features, dtype=np.float32))
        return list(np.array(self.model.encode(view, to_cpu=True)))

    def language_probabilities(self, states: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Returns for each piece the probability of every language."""
        found = self.model.detect_language(_stacked(states))
        return [{token.strip("<|>"): probability for token, probability in row} for row in found]

    def decode(
        self, states: Sequence[np.ndarray], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[HeardWords]:
        """Returns the words of each piece, greedily. languages: of the pieces."""
        prompts = [[START, f"<|{language}|>", f"<|{task}|>", TRANSCRIBE_PROMPT_END] for language in languages]
        results = self.model.generate(
            _stacked(states),
            prompts,
            beam_size=1,
            max_length=max_new_tokens + len(prompts[0]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        heard = []
        for result in results:
            tokens = result.sequences_ids[0]
            text = " ".join(self.processor.tokenizer.decode(tokens, skip_special_tokens=True).split())
            # CTranslate2's score is the sum over the tokens and the end, by the number of tokens.
            mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
            heard.append(HeardWords(text, result.no_speech_prob, mean))
        return heard


def _stacked(states: Sequence[np.ndarray]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.stack(states)))
