"""The face's timeline as a model of its own to train: crops in, curves out, no language model in the way."""

from __future__ import annotations

from typing import Any

import torch

from microemo import MicroEmoConfig, MicroEmoModel, MicroEmoPreTrainedModel
from microemo.losses import Labels, face_loss, weighted_loss
from microemo.outputs import MicroEmoEmotionClassifierOutput, MicroEmoModelOutputWithPast


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
        logits = self.model.get_face_logits(face_pixel_values, face_times, face_mask, face_track_ids)
        targets = Labels(micro=micro_labels, expressions=expression_labels, action_units=action_unit_labels)
        loss = face_loss(MicroEmoModelOutputWithPast(**logits), targets)
        return MicroEmoEmotionClassifierOutput(
            loss=weighted_loss({"face_loss": loss}, self.config), face_loss=loss, **logits
        )
