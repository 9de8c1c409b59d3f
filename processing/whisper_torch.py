"""Whisper with transformers: for GPUs, and for models without a CTranslate2 version."""

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
class RecognisedWords:
    """Words of one segment of audio and the model's confidence."""

    text: str
    no_speech_probability: float
    mean_logprob: float


class _NoSuppressTokensWarning(standard_logging.Filter):
    """Suppresses a log message: Whisper's `generate` passes `suppress_tokens` in a deprecated way."""

    def filter(self, record: standard_logging.LogRecord) -> bool:
        return "suppress_tokens" not in record.getMessage()


@contextmanager
def _without_suppress_tokens_warning() -> Iterator[None]:
    generation_logger = logging.get_logger("transformers.generation.utils")
    message_filter = _NoSuppressTokensWarning()
    generation_logger.addFilter(message_filter)
    try:
        yield
    finally:
        generation_logger.removeFilter(message_filter)


class TorchWhisper:
    """A Whisper model of any size. `languages` are the supported codes, empty for English-only models."""

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor) -> None:
        self.model = model.eval()
        self.processor = processor
        ids: dict[str, int] = getattr(model.generation_config, "lang_to_id", None) or {}
        self._language_ids = {token.strip("<|>"): index for token, index in ids.items()}
        self.languages = tuple(self._language_ids)

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[np.ndarray], *, context_seconds: int) -> list[torch.Tensor]:
        """Returns encoder states (1, T, D) of each waveform; `context_seconds` is ignored, inputs are 30 s."""
        inputs = self.processor.feature_extractor(waveforms, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        features = inputs["input_features"].to(self.model.device, self.model.dtype)
        return list(self.model.get_encoder()(features).last_hidden_state.split(1))

    @torch.inference_mode()
    def language_probabilities(self, states: Sequence[torch.Tensor]) -> list[dict[str, float]]:
        """Returns the probability of every language for each segment."""
        start = torch.full((len(states), 1), self._start, device=self.model.device)
        logits = self._logits(torch.cat(list(states)), start)[:, 0]
        rows = logits[:, list(self._language_ids.values())].softmax(-1).tolist()
        return [dict(zip(self.languages, row, strict=True)) for row in rows]

    @torch.inference_mode()
    def decode(
        self, states: Sequence[torch.Tensor], *, languages: Sequence[str | None], task: str, max_new_tokens: int
    ) -> list[RecognisedWords]:
        """Decodes each segment greedily. languages: of the segments; ignored by English-only models."""
        stacked = torch.cat(list(states))
        options: dict[str, Any] = {"language": list(languages), "task": task} if self.languages else {}
        prompts = [self._prompt(language, task=task) for language in languages]
        max_length = min(len(prompts[0]) + max_new_tokens, self.model.config.max_target_positions)
        with _without_suppress_tokens_warning():
            sequences = self.model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=stacked),
                do_sample=False,
                num_beams=1,
                max_length=max_length,
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
        no_speech = logprobs[:, 0, self._no_speech_id()].exp().tolist()
        return [
            RecognisedWords(
                " ".join(self.processor.tokenizer.decode(row, skip_special_tokens=True).split()),
                probability,
                float(scores[: len(row) + 1].mean()),  # including the end token, as in OpenAI's decoder
            )
            for row, probability, scores in zip(words, no_speech, chosen, strict=True)
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
