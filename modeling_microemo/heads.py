"""The heads: emotions of each utterance, and the timeline of the face alone."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .outputs import MicroEmoEmotionOutput, MicroEmoFaceOutput
from .placement import like_weight


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
        """states: (B, U, D)."""
        hidden = self.activation(self.dense(states))
        return MicroEmoEmotionOutput(
            logits=self.classifier(hidden), valence_arousal=self.valence_arousal(hidden).tanh()
        )


class FaceHead(nn.Module):
    """Crops -> micro-expression, expression and action-unit logits.

    The expression is read from the still face and, where they were measured, from the facial actions: movement that
    speech makes is no expression by itself, so what moves is told apart (`of_flow`). Whether something brief happens
    is the mean of two opinions, that of the difference pictures and that of the flow.
    """

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        region_size, width = config.dynamics_config.encoder_hidden_size, config.dynamics_config.hidden_size
        num_expressions = len(config.expression_id2label)
        self.static_expression = nn.Linear(region_size, num_expressions)
        self.action_expression = ZeroLinear(2 * config.num_facial_actions, num_expressions)
        self.dynamic_expression = ZeroLinear(width, num_expressions)
        self.micro_expression = nn.Linear(width, 1)
        self.flow_micro_expression = nn.Linear(width, 1)
        self.action_units = nn.Linear(width, len(config.action_unit_id2label))

    def forward(
        self,
        pooled_regions: torch.Tensor,
        dynamics: torch.Tensor,
        actions: torch.Tensor | None = None,
        actions_mask: torch.Tensor | None = None,
    ) -> MicroEmoFaceOutput:
        """pooled_regions (B, F, C) are the regions' mean, dynamics (B, F, 2 + R, D), movement and flow first.

        Args:
            actions: (B, F, 2 * 52), the facial actions, and the same against the person's own rest; None: unmeasured.
            actions_mask: (B, F) bool, where they were measured.
        """
        micro = self.of_movement(dynamics[..., 0, :]).micro_logits
        moved = self.of_flow(dynamics[..., 1, :])
        assert micro is not None and moved.micro_logits is not None
        expressions = self.static_expression(pooled_regions)
        if actions is not None and actions_mask is not None:
            shown = self.action_expression(like_weight(actions, self.action_expression.weight))
            expressions = expressions + shown.to(expressions) * actions_mask.unsqueeze(-1).to(expressions)
        return MicroEmoFaceOutput(
            micro_logits=(micro + moved.micro_logits) / 2,
            expression_logits=expressions,
            motion_logits=moved.expression_logits,
            action_unit_logits=moved.action_unit_logits,
        )

    def of_movement(self, movement: torch.Tensor) -> MicroEmoFaceOutput:
        """What the difference pictures' tokens (B, F, D) say alone: micro-expression logits (B, F)."""
        return MicroEmoFaceOutput(micro_logits=self.micro_expression(movement).squeeze(-1))

    def of_flow(self, flow: torch.Tensor) -> MicroEmoFaceOutput:
        """What the flow's tokens (B, F, D) say alone: all logits; a face at rest is neutral, however it looks."""
        return MicroEmoFaceOutput(
            micro_logits=self.flow_micro_expression(flow).squeeze(-1),
            expression_logits=self.dynamic_expression(flow),
            action_unit_logits=self.action_units(flow),
        )
