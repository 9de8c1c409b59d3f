"""Features of each stream (faces, frames, audio) from the towers and Q-Formers."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults

from .audio_encoder import AudioFeatures, encode_audio
from .global_local_attention import GlobalLocalAttention, nearest_frame
from .heads import FaceHead
from .micro_dynamics import MicroDynamics
from .outputs import MicroEmoFaceFeatures, MicroEmoFaceOutput, MicroEmoStreamOutput
from .placement import match_weight
from .segment_qformer import SegmentQFormer
from .segments import Segments, clip_and_utterances, sliding_windows, whole_clip
from .time_embedding import check_times
from .visual_encoder import FrameQFormer, encode_images, recorded_outputs
from .voice_head import VoiceHead, voice_statistics


class StreamFeaturesMixin:
    """Adds get_face_features, get_video_features and get_audio_features to a model with these parts.

    Shapes use the key in `modeling_microemo.py`.
    """

    config: Any  # MicroEmoConfig
    frame_tower: PreTrainedModel
    frame_qformer: FrameQFormer
    face_tower: PreTrainedModel | None
    micro_dynamics: MicroDynamics
    global_local_attention: GlobalLocalAttention
    face_head: FaceHead
    video_qformer: SegmentQFormer
    video_projector: nn.Linear
    audio_tower: PreTrainedModel
    audio_qformer: SegmentQFormer
    audio_projector: nn.Linear
    voice_head: VoiceHead

    @merge_with_config_defaults
    @can_return_tuple
    def get_face_features(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None = None,
        face_track_ids: torch.Tensor | None = None,
        face_actions: torch.Tensor | None = None,
        relative_face_actions: torch.Tensor | None = None,
        face_actions_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoFaceFeatures:
        """Returns dynamics tokens (B, F, 2 + R, D) and, as pooler_output, the mean of the tower's regions (B, F, C).

        Args:
            face_pixel_values: (B, F, 3, h, w) float.
            face_times: (B, F) float.
            face_mask: (B, F) bool, False at padding.
            face_track_ids: (B, F) long; crops of different tracks do not attend to each other.
            face_actions: (B, F, 52) in 0..1. relative_face_actions: the same, relative to the person's neutral face.
            face_actions_mask: (B, F) bool, True where they were measured; None: at every face.
        """
        if not self.config.use_local_branch:
            raise ValueError("this model was built without a local branch (config.use_local_branch is False)")
        mask = all_true(face_times) if face_mask is None else face_mask.bool()
        dynamics_config = self.config.dynamics_config
        if not mask.any():
            return MicroEmoFaceFeatures(
                last_hidden_state=torch.zeros(*mask.shape, 2, dynamics_config.hidden_size, device=mask.device),
                pooler_output=torch.zeros(*mask.shape, dynamics_config.encoder_hidden_size, device=mask.device),
            )
        tower = self.frame_tower if self.face_tower is None else self.face_tower
        images = encode_images(tower, face_pixel_values[mask], record=recorded_outputs(kwargs))
        regions = images.patches
        tokens = self.micro_dynamics(
            regions,
            pixel_values=face_pixel_values[mask],
            times=face_times[mask],
            groups=track_groups(mask, face_track_ids),
        )
        actions = actions_mask = None
        if face_actions is not None and relative_face_actions is not None:
            actions = torch.cat((face_actions, relative_face_actions), dim=-1)
            actions_mask = mask if face_actions_mask is None else face_actions_mask.bool() & mask
        return MicroEmoFaceFeatures(
            actions=actions,
            actions_mask=actions_mask,
            last_hidden_state=unpack(tokens, mask),
            pooler_output=unpack(regions.mean(1), mask),
            hidden_states=images.hidden_states,
            attentions=images.attentions,
        )

    def get_face_logits(
        self,
        face_pixel_values: torch.Tensor,
        face_times: torch.Tensor,
        face_mask: torch.Tensor | None = None,
        face_track_ids: torch.Tensor | None = None,
        **actions: torch.Tensor | None,
    ) -> MicroEmoFaceOutput:
        """Returns the logits of the face head, without the language model. Arguments as for `get_face_features`."""
        features = self.get_face_features(
            face_pixel_values, face_times, face_mask, face_track_ids, **actions, return_dict=True
        )
        return self._face_logits(features)

    def _face_logits(self, features: BaseModelOutputWithPooling) -> MicroEmoFaceOutput:
        weight = self.face_head.static_expression.weight
        regions, dynamics = features["pooler_output"], features["last_hidden_state"]
        return self.face_head(
            match_weight(regions, weight),
            match_weight(dynamics, weight),
            features.get("actions"),
            features.get("actions_mask"),
        )

    @merge_with_config_defaults
    @can_return_tuple
    def get_video_features(
        self,
        pixel_values_videos: torch.Tensor,
        frame_times: torch.Tensor,
        frame_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        face_features: BaseModelOutputWithPooling | None = None,
        face_times: torch.Tensor | None = None,
        face_mask: torch.Tensor | None = None,
        utterance_times: torch.Tensor | None = None,
        utterance_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoStreamOutput:
        """Returns the frame tokens (B, T, Q, D) and, as pooler_output, the projected tokens (S_b * K, D) of each clip.

        Args:
            pixel_values_videos: (B, T, 3, H, W) float.
            frame_times: (B, T) float. frame_mask: (B, T) bool, False at padding.
            qformer_input_ids, qformer_attention_mask: (B, T, L), the time of each frame as a sentence; required if
                config.timestamp is "text".
            face_features: output of `get_face_features`; face_times and face_mask as passed there.
            utterance_times: (B, U, 2) float. utterance_mask: (B, U) bool.
        """
        mask = all_true(frame_times) if frame_mask is None else frame_mask.bool()
        check_times("frame_times", frame_times)
        if not mask.any():
            return MicroEmoStreamOutput(pooler_output=self._no_tokens(len(mask)))
        images = encode_images(self.frame_tower, pixel_values_videos[mask], record=recorded_outputs(kwargs))
        tokens, valid = self.frame_qformer(
            images.patches,
            times=frame_times[mask],
            input_ids=None if qformer_input_ids is None else qformer_input_ids[mask],
            attention_mask=None if qformer_attention_mask is None else qformer_attention_mask[mask],
        )
        tokens, valid = unpack(tokens, mask), unpack(valid, mask)  # (B, T, Q, D), (B, T, Q)
        if face_features is not None and self.config.use_local_branch and self.config.use_global_local_attention:
            if face_times is None:
                raise ValueError("face_times must be given with face_features")
            faces = all_true(face_times) if face_mask is None else face_mask.bool()
            owners = nearest_frame(face_times[faces], faces.nonzero()[:, 0], frame_times=frame_times, frame_mask=mask)
            local_tokens = face_features["last_hidden_state"][faces].to(tokens)
            tokens = self.global_local_attention(
                tokens.flatten(0, 1), local_tokens, times=face_times[faces], owners=owners
            ).view_as(tokens)

        segments = self._segments(frame_times, mask, utterance_times, utterance_mask).where(mask.any(1))
        membership = segments.membership(frame_times, mask=mask).unsqueeze(-1) & valid.unsqueeze(1)  # (B, S, T, Q)
        positions = (mask.cumsum(1) - 1).clamp(min=0).unsqueeze(-1).expand_as(valid)
        segment_tokens = self.video_qformer(
            tokens.flatten(1, 2), positions=positions.flatten(1), membership=membership.flatten(2)
        )
        projected = self.video_projector(segment_tokens)
        return MicroEmoStreamOutput(
            last_hidden_state=tokens,
            pooler_output=tokens_by_clip(projected, segments.mask),
            hidden_states=images.hidden_states,
            attentions=images.attentions,
        )

    @merge_with_config_defaults
    @can_return_tuple
    def get_audio_features(
        self,
        input_features: torch.Tensor,
        audio_mask: torch.Tensor | None = None,
        frame_times: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        utterance_times: torch.Tensor | None = None,
        utterance_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoStreamOutput:
        """Returns the tower features (B, W * n, C) and, as pooler_output, each clip's projected tokens (S_b * K, D).

        Args:
            input_features: (B, W, mel, frames) log-mel at 100 frames per second, or (B, W, samples) at 16 kHz.
            audio_mask: (B, W, frames) or (B, W, samples) bool, False at padding.
            frame_times, frame_mask: (B, T), used by the sliding windows of utterance_mode "window".
            utterance_times: (B, U, 2) float. utterance_mask: (B, U) bool.
        """
        audio = self._encode_audio(input_features, audio_mask, record=recorded_outputs(kwargs))
        segments = self._audio_segments(audio.mask.any(1), frame_times, frame_mask, utterance_times, utterance_mask)
        membership = audio_membership(audio, segments)
        tokens = self.audio_qformer(
            audio.states, positions=audio.windows.expand(len(audio.states), -1), membership=membership
        )
        projected = self.audio_projector(tokens)
        voice_logits = None
        if self.config.use_voice_head:
            statistics = voice_statistics(
                self.audio_tower,
                input_features,
                audio_mask=audio_mask,
                segments=_voice_segments(audio.mask.any(1), utterance_times, utterance_mask),
            )
            voice_logits = self.voice_head(statistics).masked_fill(~statistics.heard.unsqueeze(-1), float("nan"))
        return MicroEmoStreamOutput(
            last_hidden_state=audio.states,
            pooler_output=tokens_by_clip(projected, segments.mask),
            hidden_states=audio.hidden_states,
            attentions=audio.attentions,
            voice_logits=voice_logits,
        )

    def _encode_audio(
        self, input_features: torch.Tensor, audio_mask: torch.Tensor | None, *, record: dict[str, bool]
    ) -> AudioFeatures:
        if not self.config.use_audio_branch:
            raise ValueError("this model was built without an audio branch (config.use_audio_branch is False)")
        return encode_audio(
            self.audio_tower,
            input_features,
            audio_mask=audio_mask,
            width=self.config.audio_qformer_config.encoder_hidden_size,
            record=record,
        )

    def _audio_segments(
        self,
        has_sound: torch.Tensor,
        frame_times: torch.Tensor | None,
        frame_mask: torch.Tensor | None,
        utterance_times: torch.Tensor | None,
        utterance_mask: torch.Tensor | None,
    ) -> Segments:
        """Returns the segments, masked for clips without sound. has_sound: (B,) bool."""
        if frame_times is None:
            frame_times = torch.zeros(len(has_sound), 0, device=has_sound.device)
        mask = all_true(frame_times) if frame_mask is None else frame_mask.bool()
        return self._segments(frame_times, mask, utterance_times, utterance_mask).where(has_sound)

    def _segments(
        self,
        frame_times: torch.Tensor,
        frame_mask: torch.Tensor,
        utterance_times: torch.Tensor | None,
        utterance_mask: torch.Tensor | None,
    ) -> Segments:
        """Returns the segments of the configured utterance mode."""
        if self.config.utterance_mode == "window":
            return sliding_windows(
                frame_times,
                frame_mask=frame_mask,
                window_frames=self.config.window_frames,
                window_stride=self.config.window_stride,
            )
        if self.config.utterance_mode == "clip" or utterance_times is None:
            return whole_clip(len(frame_times), device=frame_times.device)
        check_times("utterance_times", utterance_times)
        mask = all_true(utterance_times[..., 0]) if utterance_mask is None else utterance_mask.bool()
        return clip_and_utterances(utterance_times, utterance_mask=mask)

    def _no_tokens(self, num_clips: int) -> tuple[torch.Tensor, ...]:
        weight = self.video_projector.weight
        return (match_weight(torch.zeros(0, weight.shape[0]), weight),) * num_clips


def _voice_segments(
    has_sound: torch.Tensor, utterance_times: torch.Tensor | None, utterance_mask: torch.Tensor | None
) -> Segments:
    """Returns the clip and its utterances, independent of the utterance mode, as the voice head needs utterances."""
    if utterance_times is None:
        return whole_clip(len(has_sound), device=has_sound.device).where(has_sound)
    check_times("utterance_times", utterance_times)
    mask = all_true(utterance_times[..., 0]) if utterance_mask is None else utterance_mask.bool()
    return clip_and_utterances(utterance_times, utterance_mask=mask).where(has_sound)


def audio_membership(audio: AudioFeatures, segments: Segments) -> torch.Tensor:
    """Returns (B, S, N) bool: True if an audio feature lies in the segment."""
    return segments.membership(audio.times.expand(len(audio.states), -1), mask=audio.mask)


def all_true(times: torch.Tensor) -> torch.Tensor:
    """Returns a mask without padding."""
    return torch.ones(times.shape, dtype=torch.bool, device=times.device)


def unpack(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Scatters values (M, ...) to the M True entries of mask (B, L): (B, L, ...), zeros elsewhere."""
    padded = values.new_zeros(*mask.shape, *values.shape[1:])
    padded[mask.to(values.device)] = values
    return padded


def track_groups(mask: torch.Tensor, track_ids: torch.Tensor | None) -> torch.Tensor:
    """Returns a distinct index for each clip and track, for the True entries of mask (B, F)."""
    clips = mask.nonzero()[:, 0]
    if track_ids is None:
        return clips
    tracks = torch.unique(track_ids[mask], return_inverse=True)[1]
    return clips * (int(tracks.max()) + 1) + tracks


def tokens_by_clip(tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Splits tokens (B, S, K, D) with segment mask (B, S) to one tensor (S_b * K, D) per clip."""
    return tuple(clip[valid].flatten(0, 1) for clip, valid in zip(tokens, mask.to(tokens.device), strict=True))
