"""Whisper by transformers: on a GPU, and for models that come as Hugging Face folders only."""

from __future__ import annotations

import logging as standard_logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging

SAMPLING_RATE = 16_000


@dataclass(frozen=True)
class HeardWords:
    """Words of one stretch of sound and how far the model trusts them."""

    text: str
    no_speech_probability: float
    mean_logprob: float


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


class TorchWhisper:
    """A Whisper of any size. `languages` are the codes it knows, none for an English-only model."""

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor) -> None:
        self.model = model.eval()
        self.processor = processor
        ids: dict[str, int] = getattr(model.generation_config, "lang_to_id", None) or {}
        self._language_ids = {token.strip("<|>"): index for token, index in ids.items()}
        self.languages = tuple(self._language_ids)

    @torch.inference_mode()
    def encode(self, pieces: Sequence[np.ndarray], *, context_seconds: int) -> list[torch.Tensor]:
        """Returns the encoder's states (1, T, D) of each piece; the model always reads 30 s, whatever is asked."""
        inputs = self.processor.feature_extractor(pieces, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        features = inputs["input_features"].to(self.model.device, self.model.dtype)
        return list(self.model.get_encoder()(features).last_hidden_state.split(1))

    @torch.inference_mode()
    def language_probabilities(self, states: Sequence[torch.Tensor]) -> list[dict[str, float]]:
        """Returns for each piece the probability of every language."""
        start = torch.full((len(states), 1), self._start, device=self.model.device)
        logits = self._logits(torch.cat(list(states)), start)[:, 0]
        rows = logits[:, list(self._language_ids.values())].softmax(-1).tolist()
        return [dict(zip(self.languages, row, strict=True)) for row in rows]

    @torch.inference_mode()
    def decode(
        self, states: Sequence[torch.Tensor], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[HeardWords]:
        """Returns the words of each piece, greedily. languages: of the pieces; ignored by an English-only model."""
        stacked = torch.cat(list(states))
        options: dict[str, Any] = {"language": list(languages), "task": task} if self.languages else {}
        prompts = [self._prompt(language, task=task) for language in languages]
        longest_allowed = min(len(prompts[0]) + max_new_tokens, self.model.config.max_target_positions)
        with _without_suppress_tokens_warning():
            sequences = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=stacked),
                do_sample=False,
                num_beams=1,
                max_length=longest_allowed,
                return_dict_in_generate=True,
                **options,
            )["sequences"]
        end = self.processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")
        words = [[token for token in row.tolist() if token < end] for row in sequences]
        longest = max(len(row) for row in words)
        rows = [prompt + row + [end] * (longest + 1 - len(row)) for prompt, row in zip(prompts, words, strict=True)]
        tokens = torch.tensor(rows, device=self.model.device)
        logprobs = self._logits(stacked, tokens[:, :-1]).log_softmax(-1)
        chosen = logprobs.gather(-1, tokens[:, 1:, None]).squeeze(-1)[:, len(prompts[0]) - 1 :]
        silence = logprobs[:, 0, self._no_speech_id()].exp().tolist()
        return [
            HeardWords(
                " ".join(self.processor.tokenizer.decode(row, skip_special_tokens=True).split()),
                probability,
                float(scores[: len(row) + 1].mean()),  # with the end, as OpenAI's decoder
            )
            for row, probability, scores in zip(words, silence, chosen, strict=True)
        ]

    @property
    def _start(self) -> int:
        return self.model.generation_config.decoder_start_token_id

    def _prompt(self, language: str | None, *, task: str) -> list[int]:
        settings = self.model.generation_config
        task_and_language = [self._language_ids[str(language)], settings.task_to_id[task]] if self.languages else []
        return [self._start, *task_and_language, settings.no_timestamps_token_id]

    def _logits(self, states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        output = self.model(encoder_outputs=BaseModelOutput(last_hidden_state=states), decoder_input_ids=tokens)
        return output.logits.float()

    def _no_speech_id(self) -> int:
        tokenizer = self.processor.tokenizer
        names = [name for name in ("<|nospeech|>", "<|nocaptions|>") if name in tokenizer.get_vocab()]
        if not names:
            raise ValueError("the speech model's tokenizer has neither <|nospeech|> nor <|nocaptions|>")
        return tokenizer.convert_tokens_to_ids(names[0])
