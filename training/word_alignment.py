"""Streams that learn the language model's vocabulary before they meet it: every token of a segment says one word.

A step through the language model costs far more than one through the streams. Here the projected tokens are compared
with the model's word embeddings themselves, as a language head would, so that what the language model sees afterwards
lies where its own words lie (a Q-Former's caption objective, as in BLIP-2, Li et al. 2023, with one word a query).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutputWithPooling

from microemo import MicroEmoConfig, MicroEmoModel, MicroEmoPreTrainedModel
from microemo.losses import UNKNOWN, known_mean
from microemo.outputs import MicroEmoEmotionClassifierOutput

SHARPNESS = 30.0  # of cosines as logits: the right word must be able to win against 49,000 others
NORM_WEIGHT = 0.1


class MicroEmoForWordAlignment(MicroEmoPreTrainedModel):
    """Video and audio tokens -> words. Its weights are those of the whole model; the language model is not run."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        self.model = MicroEmoModel(config)
        self.post_init()

    def forward(
        self,
        pixel_values_videos: torch.FloatTensor | None = None,
        frame_times: torch.FloatTensor | None = None,
        frame_mask: torch.BoolTensor | None = None,
        face_pixel_values: torch.FloatTensor | None = None,
        face_times: torch.FloatTensor | None = None,
        face_mask: torch.BoolTensor | None = None,
        face_track_ids: torch.LongTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        audio_mask: torch.BoolTensor | None = None,
        utterance_times: torch.FloatTensor | None = None,
        utterance_mask: torch.BoolTensor | None = None,
        video_word_labels: torch.LongTensor | None = None,
        audio_word_labels: torch.LongTensor | None = None,
        time_shifts: torch.FloatTensor | None = None,
        **kwargs: Any,
    ) -> MicroEmoEmotionClassifierOutput:
        """The loss of what the tokens say.

        Args:
            video_word_labels, audio_word_labels: (B, S, K) long, a word of the vocabulary for each token of each
                segment (the clip, then its utterances), -100 unknown.
            time_shifts: (B,) seconds by which the pictures' times are moved, and the words with them.
            **kwargs: what concerns the text, not used.
        """
        losses = []
        if pixel_values_videos is not None and frame_times is not None and video_word_labels is not None:
            shifts = torch.zeros(len(frame_times)) if time_shifts is None else time_shifts
            face = self._faces(face_pixel_values, face_times, face_mask, face_track_ids)
            features = self.model.get_video_features(
                pixel_values_videos,
                frame_times + shifts[:, None].to(frame_times),
                frame_mask,
                face_features=face,
                face_times=None if face_times is None else face_times + shifts[:, None].to(face_times),
                face_mask=face_mask,
                utterance_times=None
                if utterance_times is None
                else utterance_times + shifts[:, None, None].to(utterance_times),
                utterance_mask=utterance_mask,
                return_dict=True,
            )
            losses.append(self._said(features.pooler_output, video_word_labels))
        if input_features is not None and audio_word_labels is not None:
            features = self.model.get_audio_features(
                input_features, audio_mask, frame_times, frame_mask, utterance_times, utterance_mask, return_dict=True
            )
            losses.append(self._said(features.pooler_output, audio_word_labels))
        loss = torch.stack(losses).sum() if losses else None
        return MicroEmoEmotionClassifierOutput(loss=loss)

    def _faces(
        self,
        face_pixel_values: torch.Tensor | None,
        face_times: torch.Tensor | None,
        face_mask: torch.Tensor | None,
        face_track_ids: torch.Tensor | None,
    ) -> BaseModelOutputWithPooling | None:
        if face_pixel_values is None or face_times is None or not self.config.use_local_branch:
            return None
        return self.model.get_face_features(face_pixel_values, face_times, face_mask, face_track_ids, return_dict=True)

    def _said(self, tokens: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the vocabulary, and a pull towards the length of a word embedding.

        Args:
            tokens: each clip's (S_b * K, D). labels: (B, S, K).
        """
        wanted = torch.cat([row.flatten()[: len(said)] for row, said in zip(labels, tokens, strict=True)])
        known = wanted != UNKNOWN
        said = torch.cat(tokens)[known].float()
        if not len(said):
            return torch.cat(tokens).sum() * 0.0
        embedding: Any = self.get_input_embeddings()
        words = embedding.weight.detach().float()
        logits = SHARPNESS * F.normalize(said, dim=-1) @ F.normalize(words, dim=-1).T
        losses = F.cross_entropy(logits, wanted[known].to(logits.device), reduction="none")
        length = (said.norm(dim=-1) / words.norm(dim=-1).mean() - 1) ** 2
        return known_mean(losses + NORM_WEIGHT * length, torch.ones_like(losses))
