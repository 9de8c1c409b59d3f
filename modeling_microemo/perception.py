"""Predictions of each stream (face, voice, words) alone, before the language model combines them.

The processor turns these predictions into evidence in the prompt. The stream features are returned as well and can be
reused, so that each tower runs once.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import ModelOutput

FACE_INPUTS = (
    "face_pixel_values",
    "face_times",
    "face_mask",
    "face_track_ids",
    "face_actions",
    "relative_face_actions",
    "face_actions_mask",
)
UTTERANCE_INPUTS = ("utterance_times", "utterance_mask")
FRAME_INPUTS = ("frame_times", "frame_mask")
VIDEO_INPUTS = ("pixel_values_videos", *FRAME_INPUTS, "qformer_input_ids", "qformer_attention_mask")
SOUND_INPUTS = ("input_features", "audio_mask")
MEASURED_INPUTS = ("head_pose", "gaze")  # returned by the processor, not used by the model


@dataclass
class MicroEmoPerception(ModelOutput):
    """Probabilities in float32; None if the stream is missing.

    expressions (B, F, X), micro (B, F), motion (B, F, X), action_units (B, F, A): of each face crop; motion are the
    expression probabilities from optical flow. voice (B, U, V): of each utterance, NaN without sound. words (B, U, E):
    from the words alone, multi-label. labels: names of the columns by field. features: "video", "audio" and "face",
    for `mm_encoder_outputs`.
    """

    expressions: torch.Tensor | None = None
    micro: torch.Tensor | None = None
    motion: torch.Tensor | None = None
    action_units: torch.Tensor | None = None
    voice: torch.Tensor | None = None
    words: torch.Tensor | None = None
    labels: dict[str, tuple[str, ...]] | None = None
    features: dict[str, Any] | None = None


class PerceptionMixin:
    """Adds `perceive` to a model with a `.model`."""

    model: Any
    config: Any

    @torch.no_grad()
    def perceive(self, input_ids: torch.Tensor, *, words: bool = True, **streams: Any) -> MicroEmoPerception:
        """Returns the predictions of face, voice and words, each alone.

        Args:
            input_ids: (B, N) long, a prompt without evidence.
            words: whether to predict emotions from the words, which takes a separate pass of the language model.
            streams: tensors of the clips, see `MicroEmoModel.forward`.
        """
        features: dict[str, Any] = {}
        probabilities: dict[str, torch.Tensor] = {}
        if streams.get("face_pixel_values") is not None and self.config.use_local_branch:
            features["face"] = self.model.get_face_features(**_select(streams, FACE_INPUTS), return_dict=True)
            probabilities |= self._face_probabilities(features["face"])
        if streams.get("pixel_values_videos") is not None:
            faces = {"face_features": features.get("face"), **_select(streams, ("face_times", "face_mask"))}
            features["video"] = self.model.get_video_features(
                **_select(streams, (*VIDEO_INPUTS, *UTTERANCE_INPUTS)), **faces, return_dict=True
            )
        if streams.get("input_features") is not None and self.config.use_audio_branch:
            audio = self.model.get_audio_features(
                **_select(streams, (*SOUND_INPUTS, *FRAME_INPUTS, *UTTERANCE_INPUTS)), return_dict=True
            )
            features["audio"] = audio
            if audio.voice_logits is not None and streams.get("utterance_times") is not None:
                probabilities["voice"] = audio.voice_logits[:, 1:].float().softmax(-1)  # the first segment is the clip
        if words:
            probabilities["words"] = self._word_probabilities(input_ids, **streams)
        config = self.config
        id2label = {
            "expressions": config.expression_id2label,
            "action_units": config.action_unit_id2label,
            "voice": config.voice_id2label,
            "words": config.emotion_id2label,
        }
        labels = {name: tuple(table.values()) for name, table in id2label.items()}
        return MicroEmoPerception(**probabilities, labels=labels, features=features)

    def _face_probabilities(self, face_features: Any) -> dict[str, torch.Tensor]:
        logits = self.model._face_logits(face_features)
        return {
            "expressions": logits.expression_logits.float().softmax(-1),
            "micro": logits.micro_logits.float().sigmoid(),
            "motion": logits.motion_logits.float().softmax(-1),
            "action_units": logits.action_unit_logits.float().sigmoid(),
        }

    def _word_probabilities(self, input_ids: torch.Tensor, **streams: Any) -> torch.Tensor:
        """(B, U, E) from the emotion head, for the prompt without placeholders of video and audio."""
        is_text = (input_ids != self.config.video_token_id) & (input_ids != self.config.audio_token_id)
        mask = streams.get("attention_mask")
        is_text = is_text if mask is None else is_text & mask.bool()
        rows = [ids[row] for ids, row in zip(input_ids, is_text, strict=True)]
        lengths = torch.tensor([len(row) for row in rows], device=input_ids.device)
        text_ids = pad_sequence(rows, batch_first=True)
        text_mask = torch.arange(text_ids.shape[1], device=text_ids.device) < lengths.unsqueeze(1)
        output = self.model(
            input_ids=text_ids,
            attention_mask=text_mask.long(),
            use_cache=False,
            return_dict=True,
            **_select(streams, UTTERANCE_INPUTS),
        )
        return output.emotion_logits.float().sigmoid()


def _select(streams: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: streams[name] for name in names if streams.get(name) is not None}
