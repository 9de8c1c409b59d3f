"""What a frozen language model makes of a prompt is computed once: its last hidden states, kept on disk.

For the heads that read them (`training/recipes/emotion_head.yaml`): a later epoch reads the clips, and runs the
language model only where other streams are hidden than before. A prompt with pictures or sound is found again only
where its stream tokens are the same to the last bit: in batches of one (`gradient_accumulation_steps` in place of the
batch), and without dropout in Q-Formers and dynamics. Else it is computed again, and kept once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from microemo import MicroEmoModel
from microemo.processing.crop_cache import CropCache
from microemo.training.tower_features import STORED_DTYPE, weights_hash

STATES = "states"
WITHOUT_EFFECT = ("labels",)  # on states; a model without a language head passes on what its batch brings along


def remember_states(model: nn.Module, *, folder: Path) -> None:
    """Lets the language model of a model look up the prompts that it has seen before.

    States are kept in float16, under a hash of the prompt's embeddings and of the weights.

    Raises `ValueError` where the language model is trained, whose states change with every step.
    """
    core = next(module for module in model.modules() if isinstance(module, MicroEmoModel))
    if any(parameter.requires_grad for parameter in core.language_model.parameters()):
        raise ValueError("the states of language_model cannot be kept, as it is trained")
    cache = CropCache(folder / f"states-{weights_hash(core.language_model)}")
    # On the instance, as the towers' forwards are: the names of the weights stay.
    core.language_model.forward = _remembering(core.language_model.forward, cache=cache)


def _remembering(forward: Callable[..., Any], *, cache: CropCache) -> Callable[..., Any]:
    """The forward that computes, prompt by prompt, only what the cache does not have."""

    def remembered(
        inputs_embeds: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        **asked: Any,
    ) -> Any:
        wanted = [name for name, value in asked.items() if value is not None and name not in WITHOUT_EFFECT]
        if inputs_embeds is None or attention_mask is None or use_cache is not False or wanted:
            return forward(
                inputs_embeds=inputs_embeds,
                attention_mask=attention_mask,
                use_cache=use_cache,
                return_dict=return_dict,
                **asked,
            )
        states = torch.zeros_like(inputs_embeds)
        for row, real in enumerate(attention_mask.bool()):
            states[row, real] = _states(forward, inputs_embeds[row, real].detach(), cache=cache)
        return BaseModelOutputWithPast(last_hidden_state=states)

    return remembered


def _states(forward: Callable[..., Any], prompt: torch.Tensor, *, cache: CropCache) -> torch.Tensor:
    """(N, D) of a prompt (N, D) without padding."""
    key = hashlib.blake2b(prompt.cpu().float().contiguous().numpy().tobytes(), digest_size=16).hexdigest()
    stored = cache.load(key)
    if stored is None:
        mask = torch.ones(1, len(prompt), dtype=torch.long, device=prompt.device)
        # What is kept serves every precision, so it is computed in the weights' own.
        with torch.no_grad(), torch.autocast(prompt.device.type, enabled=False):
            output = forward(inputs_embeds=prompt[None], attention_mask=mask, use_cache=False, return_dict=True)
        stored = {STATES: output.last_hidden_state[0].float().cpu().numpy().astype(STORED_DTYPE)}
        cache.store(key, stored)
    return torch.from_numpy(stored[STATES]).to(prompt)
