"""The face's timeline as a model of its own to train: crops in, curves out, no language model in the way."""

from __future__ import annotations

from typing import Any

import torch

from microemo import MicroEmoConfig, MicroEmoModel, MicroEmoPreTrainedModel
from microemo.losses import Labels, expression_weights, face_loss, weighted_loss
from microemo.outputs import MicroEmoEmotionClassifierOutput, MicroEmoFaceOutput, MicroEmoModelOutputWithPast
from microemo.stream_features import groups_of, unpacked


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
            MicroEmoModelOutputWithPast(**logits), targets, expression_weights=expression_weights(self.config)
        )
        return MicroEmoEmotionClassifierOutput(
            loss=weighted_loss({"face_loss": loss}, self.config), face_loss=loss, **logits
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


class MicroEmoForFaceMovement(MicroEmoForFaceTimeline):
    """Micro-expressions out of the movement's token alone: no tower is run, and there are no regions to attend to.

    A step costs less than half of the whole timeline's.
    """

    def logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """The movement's logits."""
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        pixels = face_pixel_values[mask]
        tokens = self.model.micro_dynamics.movement(
            pixels.new_zeros(len(pixels), 0, self.config.dynamics_config.encoder_hidden_size),
            pixel_values=pixels,
            times=face_times[mask],
            groups=groups_of(mask, face_track_ids),
        )
        return self.model.face_head.of_movement(unpacked(tokens, mask))


class MicroEmoForFaceFlow(MicroEmoForFaceTimeline):
    """The timeline out of the flow's token alone, without a tower."""

    def logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """The flow's logits."""
        mask = torch.ones_like(face_times, dtype=torch.bool) if face_mask is None else face_mask.bool()
        tokens = self.model.micro_dynamics.flow(
            face_pixel_values[mask], times=face_times[mask], groups=groups_of(mask, face_track_ids)
        )
        tokens = unpacked(tokens, mask).unsqueeze(2)
        return self.model.face_head.of_flow(tokens.expand(-1, -1, 2, -1))
