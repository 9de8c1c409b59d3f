"""Generation with a shared prefix: the streams are encoded once, and all questions about a clip share one prefill."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache

from .generation_cache import CACHE_NAME
from .outputs import MicroEmoModelOutputWithPast
from .packed_linears import packed_linears
from .perception import FACE_INPUTS, MEASURED_INPUTS, SOUND_INPUTS, UTTERANCE_INPUTS, VIDEO_INPUTS
from .shared_prefix import continued_cache

# Inputs of the first generation step only; later steps use the cache.
STREAM_INPUTS = (
    *VIDEO_INPUTS,
    *FACE_INPUTS,
    *MEASURED_INPUTS,
    *SOUND_INPUTS,
    *UTTERANCE_INPUTS,
    "mm_encoder_outputs",
)


@dataclass(frozen=True)
class MicroEmoPrefix:
    """A prefilled clip: all tokens before the question.

    input_ids: (1, P) long. output: of `MicroEmoModel`, with the cache of these P tokens and the heads' logits.
    """

    input_ids: torch.Tensor
    output: MicroEmoModelOutputWithPast


class PrefixGenerationMixin:
    """Adds shared-prefix generation to a model with a `.model`. Must precede `GenerationMixin` in the base classes."""

    model: Any
    lm_head: Any
    generate: Any
    generation_config: Any

    @torch.no_grad()
    def encode_prefix(self, input_ids: torch.Tensor, **streams: Any) -> MicroEmoPrefix:
        """Prefills one clip, up to the question.

        Args:
            input_ids: (1, P) long, without padding.
            streams: tensors of the clip, see `MicroEmoModel.forward`.
        """
        if input_ids.shape[0] != 1:
            raise ValueError(f"a prefix holds one clip, got input_ids of {input_ids.shape[0]} clips")
        attention_mask = streams.pop("attention_mask", None)
        if attention_mask is not None and not attention_mask.bool().all():
            raise ValueError("a prefix must not be padded, but attention_mask has zeros")
        output = self.model(input_ids=input_ids, use_cache=True, return_dict=True, **streams)
        return MicroEmoPrefix(input_ids=input_ids, output=output)

    @torch.no_grad()
    def generate_from_prefix(
        self, prefix: MicroEmoPrefix, question_input_ids: list[torch.Tensor], **generation_kwargs: Any
    ) -> torch.Tensor:
        """Answers questions about the clip of the prefix in one batch. The prefix can be reused.

            prefix tokens | pad pad question 1 | answer 1      Padding is between prefix and question. It is masked
            prefix tokens | long question two  | answer 2      and takes no position.

        Args:
            question_input_ids: U tensors (L_i,) long, the tokens after the prefix, at least one each.
            generation_kwargs: passed to `generate`.

        Returns:
            (U * num_return_sequences, M) long, the answers without the prompt.
        """
        input_ids, attention_mask = self._continued(prefix, question_input_ids)
        settings = self.generation_config
        num_beams = generation_kwargs.get("num_beams") or settings.num_beams or 1
        num_sequences = generation_kwargs.get("num_return_sequences") or settings.num_return_sequences or 1
        rows = len(question_input_ids) * max(num_beams, num_sequences)
        language_model = self.model.language_model
        with (
            continued_cache(language_model, prefix.output[CACHE_NAME], rows=rows) as cache,
            packed_linears(language_model, self.lm_head, rows=rows),
        ):
            sequences = self.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                return_dict_in_generate=False,
                **{CACHE_NAME: cache},
                **generation_kwargs,
            )
        return sequences[:, input_ids.shape[1] :]

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.LongTensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        is_first_iteration: bool | None = False,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As in `GenerationMixin`, but removes the stream inputs after the first step."""
        inputs = super().prepare_inputs_for_generation(  # type: ignore[misc]  # defined by GenerationMixin
            input_ids,
            next_sequence_length=next_sequence_length,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **{CACHE_NAME: past_key_values if cache is None else cache},
            **kwargs,
        )
        if not is_first_iteration and inputs.get("use_cache", True):
            for name in STREAM_INPUTS:
                inputs.pop(name, None)
        return inputs

    def _continued(self, prefix: MicroEmoPrefix, questions: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the prefix followed by each question, padded in between, and its mask; both (U, P + L) long."""
        lengths = [len(question) for question in questions]
        if not lengths or min(lengths) == 0:
            raise ValueError(f"every question needs at least one token, got questions of {lengths} tokens")
        device = prefix.input_ids.device
        tail = torch.zeros(len(questions), max(lengths), dtype=torch.long, device=device)
        tail_mask = torch.zeros_like(tail)
        for row, question in enumerate(questions):
            tail[row, -len(question) :] = question.to(device)
            tail_mask[row, -len(question) :] = 1
        head = prefix.input_ids.expand(len(questions), -1)
        return torch.cat((head, tail), dim=1), torch.cat((torch.ones_like(head), tail_mask), dim=1)
