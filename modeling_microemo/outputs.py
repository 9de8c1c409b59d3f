"""Output classes of the models. Shapes use the key in `modeling_microemo.py`."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.utils import ModelOutput


@dataclass
class MicroEmoModelOutputWithPast(BaseModelOutputWithPast):
    """States and cache of the language model, and the outputs of the heads.

    last_hidden_state: (B, N, D). emotion_logits: (B, U, E), for sigmoids. valence_arousal: (B, U, 2) in [-1, 1].
    micro_logits: (B, F). expression_logits: (B, F, X). action_unit_logits: (B, F, A). Fields are None if their stream
    is missing. Values at padded utterances and crops are undefined.
    """

    emotion_logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None
    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None


@dataclass
class MicroEmoCausalLMOutputWithPast(CausalLMOutputWithPast):
    """As `MicroEmoModelOutputWithPast`, plus logits (B, N, V) and losses.

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
    """Output of the emotion head: logits (B, U, E), valence_arousal (B, U, 2) in [-1, 1]."""

    logits: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None


@dataclass
class MicroEmoFaceOutput(ModelOutput):
    """Output of the face head: micro_logits (B, F), expression_logits (B, F, X) from appearance, motion_logits
    (B, F, X), the expression logits from optical flow, and action_unit_logits (B, F, A)."""

    micro_logits: torch.Tensor | None = None
    expression_logits: torch.Tensor | None = None
    motion_logits: torch.Tensor | None = None
    action_unit_logits: torch.Tensor | None = None

    @property
    def scored(self) -> dict[str, Any]:
        """The fields that have labels and losses, by name: all but motion_logits."""
        return {name: self.get(name) for name in ("micro_logits", "expression_logits", "action_unit_logits")}


@dataclass
class MicroEmoFaceFeatures(BaseModelOutputWithPooling):
    """Dynamics tokens (B, F, 2 + R, D) and, as pooler_output, the mean of the tower's regions (B, F, C).

    actions: (B, F, 2 * 52) facial actions, absolute and relative to the person's neutral face. actions_mask: (B, F)
    bool, True where they were measured. Both are None if not given.
    """

    actions: torch.Tensor | None = None
    actions_mask: torch.Tensor | None = None


@dataclass
class MicroEmoStreamOutput(BaseModelOutputWithPooling):
    """Features of one stream; pooler_output are the projected tokens of each clip: B tensors (S_b * K, D).

    voice_logits: (B, S, X) emotion logits of the voice in each segment, NaN for segments without sound; None without a
    voice head.
    """

    pooler_output: tuple[torch.Tensor, ...] | None = None  # type: ignore[assignment]
    voice_logits: torch.Tensor | None = None


HEAD_FIELDS = ("emotion_logits", "valence_arousal", "micro_logits", "expression_logits", "action_unit_logits")


def head_outputs(output: MicroEmoModelOutputWithPast) -> dict[str, Any]:
    """Returns the outputs of the heads by name."""
    return {name: output.get(name) for name in HEAD_FIELDS}
