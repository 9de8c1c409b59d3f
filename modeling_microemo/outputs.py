"""What the models return. Key for shapes in `modeling_microemo.py`."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.utils import ModelOutput


@dataclass
class MicroEmoModelOutputWithPast(BaseModelOutputWithPast):
    """The language model's states, with its cache, and what the heads say.

    last_hidden_state: (B, N, D). emotion_logits: (B, U, E), one sigmoid each. valence_arousal: (B, U, 2) in [-1, 1].
    micro_logits: (B, F). expression_logits: (B, F, X). action_unit_logits: (B, F, A). Heads whose stream is missing
    give None; at padded utterances and crops the values mean nothing.
    """

    emotion_logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None
    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None


@dataclass
class MicroEmoCausalLMOutputWithPast(CausalLMOutputWithPast):
    """As `MicroEmoModelOutputWithPast`, with logits (B, N, V) and the losses.

    loss is the weighted sum of language_loss, emotion_loss and face_loss, each None without its labels.
    """

    language_loss: torch.Tensor | None = None
    emotion_loss: torch.Tensor | None = None
    face_loss: torch.Tensor | None = None
    emotion_logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None
    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None


@dataclass
class MicroEmoEmotionClassifierOutput(ModelOutput):
    """As `MicroEmoCausalLMOutputWithPast`, without a language head."""

    loss: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    emotion_loss: torch.Tensor | None = None
    face_loss: torch.Tensor | None = None
    emotion_logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None
    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None


@dataclass
class MicroEmoEmotionOutput(ModelOutput):
    """The emotion head's part: logits (B, U, E), valence_arousal (B, U, 2) in [-1, 1]."""

    logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None


@dataclass
class MicroEmoFaceOutput(ModelOutput):
    """The face head's part: micro_logits (B, F), expression_logits (B, F, X), action_unit_logits (B, F, A), and
    motion_logits (B, F, X) of the expressions that move."""

    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    motion_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None

    @property
    def scored(self) -> dict[str, Any]:
        """What has labels and losses, by name: all but the motion."""
        return {name: self.get(name) for name in ("micro_logits", "expression_logits", "action_unit_logits")}


@dataclass
class MicroEmoFaceFeatures(BaseModelOutputWithPooling):
    """Dynamics tokens (B, F, 2 + R, D), and as pooler_output the mean of the tower's regions (B, F, C).

    actions: (B, F, 2 * 52) facial actions and the same against the person's own rest; actions_mask: (B, F) bool, where
    they were measured; both None where they were not given.
    """

    actions: torch.Tensor | None = None
    actions_mask: torch.Tensor | None = None


@dataclass
class MicroEmoStreamOutput(BaseModelOutputWithPooling):
    """A stream's features; pooler_output has each clip's own number of projected tokens: B tensors (S_b * K, D).

    voice_logits: (B, S, X) of the voice's emotions in each segment, NaN where nothing is heard; None without a voice
    head.
    """

    pooler_output: tuple[torch.Tensor, ...] | None = None  # type: ignore[assignment]
    voice_logits: torch.Tensor | None = None


HEAD_FIELDS = ("emotion_logits", "valence_arousal", "micro_logits", "expression_logits", "action_unit_logits")


def head_outputs(output: MicroEmoModelOutputWithPast) -> dict[str, Any]:
    """The heads' fields, by name."""
    return {name: output.get(name) for name in HEAD_FIELDS}
