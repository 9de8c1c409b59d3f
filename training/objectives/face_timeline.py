"""The face's timeline as a model of its own to train: crops in, curves out, no language model in the way."""

from __future__ import annotations

from typing import Any

import torch

from microemo import MicroEmoConfig, MicroEmoModel, MicroEmoPreTrainedModel
from microemo.losses import Labels, expression_weights, face_loss, weighted_loss
from microemo.outputs import MicroEmoEmotionClassifierOutput, MicroEmoFaceOutput, MicroEmoModelOutputWithPast
from microemo.stream_features import track_groups, unpack


class MicroEmoForFaceTimeline(MicroEmoPreTrainedModel):
    """Scores of every crop. Its weights are those of the whole model, so that its folder is one to go on from."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        if not config.use_local_branch:
            raise ValueError("a model without a local branch (config.use_local_branch is False) has no face timeline")
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
        """As `MicroEmoForConditionalGeneration.forward`, for the face alone.

        Args:
            **kwargs: what concerns the other streams, not used.
        """
        if face_pixel_values is None or face_times is None:
            raise ValueError("no clip of the batch shows a face; a face timeline is trained on clips that do")
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
        """What the timeline is scored by; shapes as in `forward`."""
        return self.model.get_face_logits(face_pixel_values, face_times, face_mask, face_track_ids)


class _OneTokenTimeline(MicroEmoForFaceTimeline):
    """A timeline out of one of the dynamics' tokens alone: no tower is run."""

    def logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """The token's logits; shapes as in `forward`."""
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        tokens = self.tokens(face_pixel_values[mask], face_times[mask], track_groups(mask, face_track_ids))
        return self.scored(unpack(tokens, mask))

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """(N, D) of N crops; arguments as `MicroDynamics`."""
        raise NotImplementedError

    def scored(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """The head's logits of tokens (B, F, D)."""
        raise NotImplementedError


class MicroEmoForFaceMovement(_OneTokenTimeline):
    """Micro-expressions out of the movement's token alone, which has no regions to attend to.

    A step costs less than half of the whole timeline's.
    """

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """As `_OneTokenTimeline`."""
        no_regions = pixel_values.new_zeros(len(pixel_values), 0, self.config.dynamics_config.encoder_hidden_size)
        dynamics = self.model.micro_dynamics
        return dynamics.movement(no_regions, pixel_values=pixel_values, times=times, groups=groups)[:, 0]

    def scored(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """As `_OneTokenTimeline`."""
        return self.model.face_head.of_movement(tokens)


class MicroEmoForFaceFlow(_OneTokenTimeline):
    """The timeline out of the flow's token alone."""

    def tokens(self, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """As `_OneTokenTimeline`."""
        return self.model.micro_dynamics.flow(pixel_values, times=times, groups=groups)

    def scored(self, tokens: torch.Tensor) -> MicroEmoFaceOutput:
        """As `_OneTokenTimeline`."""
        return self.model.face_head.of_flow(tokens)
