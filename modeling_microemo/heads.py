"""Prediction heads: emotions of each utterance, and expressions and action units of each face crop."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .outputs import MicroEmoEmotionOutput, MicroEmoFaceOutput
from .placement import match_weight


class ZeroLinear(nn.Linear):
    """A linear layer with zero-initialised weights.

    A separate class, because transformers calls `_init_weights` only for modules that own parameters directly.
    """


class EmotionHead(nn.Module):
    """Predicts emotion logits, valence and arousal from the hidden state at the end of each utterance."""

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
    """Predicts micro-expression, expression and action-unit logits of each face crop.

    Expression logits come from the appearance of the face, plus the facial actions where they were measured. Movement
    is classified separately (`of_flow`), because speech also moves the face. Micro-expression logits are the mean of
    the predictions from the difference images and from the optical flow.
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
        """Returns the logits of all crops.

        Args:
            pooled_regions: (B, F, C), mean over the regions of each crop.
            dynamics: (B, F, 2 + R, D), the tokens of difference images, optical flow and regions, in this order.
            actions: (B, F, 2 * 52), the facial actions, absolute and relative to the person's neutral face; None: not
                measured.
            actions_mask: (B, F) bool, True where they were measured.
        """
        micro = self.of_movement(dynamics[..., 0, :]).micro_logits
        motion = self.of_flow(dynamics[..., 1, :])
        assert micro is not None and motion.micro_logits is not None
        expressions = self.static_expression(pooled_regions)
        if actions is not None and actions_mask is not None:
            action_logits = self.action_expression(match_weight(actions, self.action_expression.weight))
            expressions = expressions + action_logits.to(expressions) * actions_mask.unsqueeze(-1).to(expressions)
        return MicroEmoFaceOutput(
            micro_logits=(micro + motion.micro_logits) / 2,
            expression_logits=expressions,
            motion_logits=motion.expression_logits,
            action_unit_logits=motion.action_unit_logits,
        )

    def of_movement(self, movement: torch.Tensor) -> MicroEmoFaceOutput:
        """Micro-expression logits (B, F) from the tokens (B, F, D) of the difference images."""
        return MicroEmoFaceOutput(micro_logits=self.micro_expression(movement).squeeze(-1))

    def of_flow(self, flow: torch.Tensor) -> MicroEmoFaceOutput:
        """All logits from the tokens (B, F, D) of the optical flow. A face without movement is neutral."""
        return MicroEmoFaceOutput(
            micro_logits=self.flow_micro_expression(flow).squeeze(-1),
            expression_logits=self.dynamic_expression(flow),
            action_unit_logits=self.action_units(flow),
        )
