"""Models that train the face branch alone: face crops in, face logits out, without the language model."""

from __future__ import annotations

from typing import Any

import torch

from microemo import MicroEmoConfig, MicroEmoModel, MicroEmoPreTrainedModel
from microemo.losses import Labels, expression_weights, face_loss, weighted_loss
from microemo.outputs import MicroEmoEmotionClassifierOutput, MicroEmoFaceOutput, MicroEmoModelOutputWithPast
from microemo.stream_features import track_groups, unpack


class MicroEmoForFaceTimeline(MicroEmoPreTrainedModel):
    """The face branch with its loss. It has all weights of `MicroEmoModel`, so its folder loads as any other model."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        if not config.use_local_branch:
            raise ValueError("config.use_local_branch must be True to train the face branch, got False")
        self.model = MicroEmoModel(config)
        self.post_init()

    def forward(
        self,
        face_pixel_values: torch.FloatTensor | None = None,
        face_times: torch.FloatTensor | None = None,
        face_mask: torch.BoolTensor | None = None,
        face_track_ids: torch.LongTensor | None = None,
        micro_labels: torch.FloatTensor | None = None,
        expression_labels: torch.LongTensor | None = None,
        action_unit_labels: torch.FloatTensor | None = None,
        **kwargs: Any,
    ) -> MicroEmoEmotionClassifierOutput:
        """As `MicroEmoForConditionalGeneration.forward`, for the face inputs only.

        Args:
            **kwargs: inputs of the other streams; ignored.
        """
        if face_pixel_values is None or face_times is None:
            raise ValueError("no clip of the batch has a face; face objectives need face_pixel_values and face_times")
        logits = self.logits(face_pixel_values, face_times, face_mask, face_track_ids)
        targets = Labels(
            micro=micro_labels,
            expressions=None if logits.expression_logits is None else expression_labels,
            action_units=None if logits.action_unit_logits is None else action_unit_labels,
        )
        loss = face_loss(
            MicroEmoModelOutputWithPast(**logits.scored), targets, expression_weights=expression_weights(self.config)
        )
        return MicroEmoEmotionClassifierOutput(
            loss=weighted_loss({"face_loss": loss}, self.config), face_loss=loss, **logits.scored
        )

    def logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """Logits of the face head; shapes as in `forward`."""
        return self.model.get_face_logits(face_pixel_values, face_times, face_mask, face_track_ids)


class _SingleTokenTimeline(MicroEmoForFaceTimeline):
    """Base of models that compute the face logits from a single dynamics token and run no tower."""

    def logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """Logits of the face head; shapes as in `forward`."""
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        tokens = self.tokens(face_pixel_values[mask], face_times[mask], track_groups(mask, face_track_ids))
        return self.head(unpack(tokens, mask))

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Tokens (N, D) of N crops; arguments as in `MicroDynamics`."""
        raise NotImplementedError

    def head(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """Logits of tokens (B, F, D)."""
        raise NotImplementedError


class MicroEmoForFaceMovement(_SingleTokenTimeline):
    """Micro-expression logits from the movement token, which attends to no face regions.

    A step takes less than half the time of `MicroEmoForFaceTimeline`.
    """

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        no_regions = pixel_values.new_zeros(len(pixel_values), 0, self.config.dynamics_config.encoder_hidden_size)
        dynamics = self.model.micro_dynamics
        return dynamics.movement(no_regions, pixel_values=pixel_values, times=times, groups=groups)[:, 0]

    def head(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """See the base class."""
        return self.model.face_head.of_movement(tokens)


class MicroEmoForFaceFlow(_SingleTokenTimeline):
    """Face logits from the optical-flow token."""

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """See the base class."""
        return self.model.micro_dynamics.flow(pixel_values, times=times, groups=groups)

    def head(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """See the base class."""
        return self.model.face_head.of_flow(tokens)
