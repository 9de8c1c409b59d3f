"""The heads: emotions of each utterance, and the timeline of the face alone."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .outputs import MicroEmoEmotionOutput, MicroEmoFaceOutput


class ZeroLinear(nn.Linear):
    """A linear layer that begins at zero.

    A class of its own, because transformers calls `_init_weights` of classes outside the library only for modules that
    own parameters themselves: a head cannot set its layers.
    """


class EmotionHead(nn.Module):
    """Hidden state at an utterance's end -> logits of the emotions, valence and arousal."""

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        width = config.text_config.hidden_size
        self.dense = nn.Linear(width, width)
        self.activation = nn.GELU()
        self.classifier = nn.Linear(width, len(config.emotion_id2label))
        self.valence_arousal = nn.Linear(width, 2)

    def forward(self, states: torch.Tensor) -> MicroEmoEmotionOutput:
        """states (B, U, D)."""
        hidden = self.activation(self.dense(states))
        return MicroEmoEmotionOutput(
            logits=self.classifier(hidden), valence_arousal=self.valence_arousal(hidden).tanh()
        )


class FaceHead(nn.Module):
    """Crops -> micro-expression, expression and action-unit logits.

    The expression has two terms: a classifier of the still face, trained with the tower, and what the movement adds,
    which begins at zero.
    """

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        region_size, width = config.dynamics_config.encoder_hidden_size, config.dynamics_config.hidden_size
        num_expressions = len(config.expression_id2label)
        self.static_expression = nn.Linear(region_size, num_expressions)
        self.dynamic_expression = ZeroLinear(width, num_expressions)
        self.micro_expression = nn.Linear(width, 1)
        self.action_units = nn.Linear(width, len(config.action_unit_id2label))

    def forward(self, pooled_regions: torch.Tensor, dynamics: torch.Tensor) -> MicroEmoFaceOutput:
        """pooled_regions (B, F, C) are the regions' mean, dynamics (B, F, 1 + R, D), the movement first."""
        movement = dynamics[..., 0, :]  # (B, F, D)
        return MicroEmoFaceOutput(
            micro_logits=self.micro_expression(movement).squeeze(-1),
            expression_logits=self.static_expression(pooled_regions) + self.dynamic_expression(movement),
            action_unit_logits=self.action_units(movement),
        )
