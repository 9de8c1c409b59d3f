"""The MicroEmo model: towers, Q-Formers, a language model, and heads for emotions and facial expressions.

Key for shapes: B clips, N text tokens, T global frames, F face crops, U utterances, W audio windows, S segments,
K tokens per segment, Q tokens per frame, R regions per crop, D width, E emotions, X expressions, A action units. Times
are in seconds.
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoModel, Cache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils import logging
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults

from .audio_encoder import build_audio_tower
from .configuration_microemo import MicroEmoConfig
from .generation_cache import CACHE_NAME
from .global_local_attention import GlobalLocalAttention
from .heads import EmotionHead, FaceHead, ZeroLinear
from .losses import UNKNOWN, Labels, head_losses, weighted_loss
from .micro_dynamics import MicroDynamics
from .outputs import (
    MicroEmoCausalLMOutputWithPast,
    MicroEmoEmotionClassifierOutput,
    MicroEmoEmotionOutput,
    MicroEmoFaceOutput,
    MicroEmoModelOutputWithPast,
    head_outputs,
)
from .perception import PerceptionMixin
from .placeholders import check_counts, place_features, states_at, token_mask
from .prefix_generation import PrefixGenerationMixin
from .segment_qformer import SegmentQFormer
from .stream_features import StreamFeaturesMixin, all_true
from .strict_loading import StrictLoadingMixin
from .visual_encoder import FrameQFormer, build_tower
from .visual_projection import MultiPerspectiveProjection
from .voice_head import VoiceHead

logger = logging.get_logger(__name__)


class MicroEmoPreTrainedModel(StrictLoadingMixin, PreTrainedModel):
    config: MicroEmoConfig
    base_model_prefix = "model"
    input_modalities = ["video", "audio", "text"]
    supports_gradient_checkpointing = True
    _no_split_modules = ["QFormerLayer", "DynamicsLayer"]
    _skip_keys_device_placement = ["past_key_values", "cache"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    # The sizes of segments, time bands and owners depend on the times.
    _can_compile_fullgraph = False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, FrameQFormer):
            init.normal_(module.queries, mean=0.0, std=std)
        elif isinstance(module, MultiPerspectiveProjection):
            module.reset_queries(std)
        elif isinstance(module, SegmentQFormer):
            init.normal_(module.queries, mean=0.0, std=std)
            init.normal_(module.null_key, mean=0.0, std=std)
        elif isinstance(module, GlobalLocalAttention):
            init.zeros_(module.gate)
        elif isinstance(module, VoiceHead):
            init.zeros_(module.centre)
            init.ones_(module.scale)
        elif isinstance(module, ZeroLinear):
            init.zeros_(module.weight)


class MicroEmoModel(StreamFeaturesMixin, MicroEmoPreTrainedModel):
    """MicroEmo without a language modelling head."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        self.frame_tower = build_tower(config.vision_config, output_norm_eps=config.vision_output_norm_eps)
        self.frame_qformer = FrameQFormer(
            config.qformer_config, timestamp=config.timestamp, visual_projection=config.visual_projection
        )
        if config.use_local_branch:
            self.face_tower = None if config.face_config is None else build_tower(config.face_config)
            self.micro_dynamics = MicroDynamics(config.dynamics_config)
            self.global_local_attention = GlobalLocalAttention(
                config.qformer_config, dynamics_config=config.dynamics_config
            )
            self.face_head = FaceHead(config)
        self.video_qformer = SegmentQFormer(config.video_qformer_config)
        if config.use_audio_branch:
            self.audio_tower = build_audio_tower(config.audio_config)
            self.audio_qformer = SegmentQFormer(config.audio_qformer_config)
        width = config.text_config.hidden_size
        self.video_projector = nn.Linear(config.video_qformer_config.hidden_size, width)
        if config.use_audio_branch:
            self.audio_projector = nn.Linear(config.audio_qformer_config.hidden_size, width)
        self.language_model = AutoModel.from_config(config.text_config)
        self.emotion_head = EmotionHead(config)
        if config.use_audio_branch and config.use_voice_head:
            self.voice_head = VoiceHead(config)
        self.post_init()

    def train(self, mode: bool = True) -> "MicroEmoModel":
        """As in `nn.Module`, but frozen towers stay in evaluation mode (batch norm, layer drop)."""
        super().train(mode)
        for tower in (self.frame_tower, getattr(self, "face_tower", None), getattr(self, "audio_tower", None)):
            if tower is not None and not any(parameter.requires_grad for parameter in tower.parameters()):
                tower.eval()
        return self

    def get_placeholder_mask(
        self,
        input_ids: torch.Tensor | None,
        inputs_embeds: torch.Tensor,
        video_features: tuple[torch.Tensor, ...] | None = None,
        audio_features: tuple[torch.Tensor, ...] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the masks of the <|video|> and <|audio|> tokens, (B, N) bool each.

        Raises `ValueError` with both counts of every clip if features and placeholders do not match. Placeholders
        without any stream are allowed, as elsewhere in transformers, with a warning.
        """
        video_mask = self._token_mask(self.config.video_token_id, input_ids, inputs_embeds)
        audio_mask = self._token_mask(self.config.audio_token_id, input_ids, inputs_embeds)
        if video_features is None and audio_features is None:
            if (video_mask | audio_mask).any():
                logger.warning_once("input_ids contain video or audio placeholders, but neither stream was given")
            return video_mask, audio_mask
        check_counts("video", video_mask, video_features)
        check_counts("audio", audio_mask, audio_features)
        return video_mask, audio_mask

    def _token_mask(self, token_id: int, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor) -> torch.Tensor:
        return token_mask(
            token_id, input_ids=input_ids, inputs_embeds=inputs_embeds, embedding=self.get_input_embeddings()
        )

    @merge_with_config_defaults
    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        frame_times: torch.FloatTensor | None = None,
        frame_mask: torch.BoolTensor | None = None,
        qformer_input_ids: torch.LongTensor | None = None,
        qformer_attention_mask: torch.LongTensor | None = None,
        face_pixel_values: torch.FloatTensor | None = None,
        face_times: torch.FloatTensor | None = None,
        face_mask: torch.BoolTensor | None = None,
        face_track_ids: torch.LongTensor | None = None,
        face_actions: torch.FloatTensor | None = None,
        relative_face_actions: torch.FloatTensor | None = None,
        face_actions_mask: torch.BoolTensor | None = None,
        head_pose: torch.FloatTensor | None = None,
        gaze: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        audio_mask: torch.BoolTensor | None = None,
        utterance_times: torch.FloatTensor | None = None,
        utterance_mask: torch.BoolTensor | None = None,
        use_cache: bool | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoModelOutputWithPast:
        """Encodes a batch of clips. Arguments not listed: see `get_video_features`, `get_audio_features` and
        `get_face_features`.

        Args:
            input_ids: (B, N) with <|video|> and <|audio|> placeholders and <|utterance_end|> after each utterance;
                alternatively inputs_embeds (B, N, D).
            mm_encoder_outputs: precomputed "video", "audio" and "face" features, instead of pixels and audio.
            cache: the name of `past_key_values` from transformers 5.24 on.
            head_pose, gaze: (B, F, 3) and (B, F, 2) degrees, returned by the processor; not used.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("exactly one of input_ids and inputs_embeds must be given")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        features: dict[str, Any] = dict(mm_encoder_outputs or {})
        if face_pixel_values is not None and self.config.use_local_branch:
            features["face"] = self.get_face_features(
                face_pixel_values,
                face_times,
                face_mask,
                face_track_ids,
                face_actions,
                relative_face_actions,
                face_actions_mask,
                return_dict=True,
            )
        if pixel_values_videos is not None:
            features["video"] = self.get_video_features(
                pixel_values_videos,
                frame_times,
                frame_mask,
                qformer_input_ids,
                qformer_attention_mask,
                features.get("face"),
                face_times,
                face_mask,
                utterance_times,
                utterance_mask,
                return_dict=True,
            )
        if input_features is not None:
            features["audio"] = self.get_audio_features(
                input_features, audio_mask, frame_times, frame_mask, utterance_times, utterance_mask, return_dict=True
            )
        ends = self._token_mask(self.config.utterance_end_token_id, input_ids, inputs_embeds)
        cache = past_key_values if cache is None else cache
        if cache is None or cache.get_seq_length() == 0:
            inputs_embeds = self._with_streams(input_ids, inputs_embeds, features)
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **{CACHE_NAME: cache},
            **kwargs,
        )
        emotion = self._emotions(outputs.last_hidden_state, ends, utterance_times, utterance_mask)
        face = self._face_logits(features["face"]) if "face" in features else MicroEmoFaceOutput()
        return MicroEmoModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            emotion_logits=emotion.logits,
            valence_arousal=emotion.valence_arousal,
            **{CACHE_NAME: outputs.get(CACHE_NAME)},
            **face.scored,
        )

    def _with_streams(
        self,
        input_ids: torch.Tensor | None,
        inputs_embeds: torch.Tensor,
        features: dict[str, Any],
    ) -> torch.Tensor:
        """Inserts the streams' tokens at their placeholders."""
        video = features["video"].pooler_output if "video" in features else None
        audio = features["audio"].pooler_output if "audio" in features else None
        video_mask, audio_mask = self.get_placeholder_mask(input_ids, inputs_embeds, video, audio)
        if video is not None:
            inputs_embeds = place_features(inputs_embeds, mask=video_mask, features=video)
        if audio is not None:
            inputs_embeds = place_features(inputs_embeds, mask=audio_mask, features=audio)
        return inputs_embeds

    def _emotions(
        self,
        states: torch.Tensor,
        ends: torch.Tensor,
        utterance_times: torch.Tensor | None,
        utterance_mask: torch.Tensor | None,
    ) -> MicroEmoEmotionOutput:
        """Applies the emotion head at the ends (B, N) of the utterances; empty output if there are none."""
        counts = ends.sum(1)
        if not counts.any():
            return MicroEmoEmotionOutput()
        count = int(counts.max())
        if utterance_times is not None:
            count = utterance_times.shape[1]
            mask = all_true(utterance_times[..., 0]) if utterance_mask is None else utterance_mask
            if counts.tolist() != mask.sum(1).tolist():
                raise ValueError(
                    f"<|utterance_end|> tokens and utterances do not match: tokens per clip {counts.tolist()}, "
                    f"utterances per clip {mask.sum(1).tolist()}"
                )
        return self.emotion_head(states_at(states, mask=ends.to(states.device), count=count))


class MicroEmoForConditionalGeneration(
    PrefixGenerationMixin, PerceptionMixin, MicroEmoPreTrainedModel, GenerationMixin
):
    """MicroEmo with a language modelling head: generates text and predicts the scores of all heads."""

    # The losses of the heads are means over their labels: Trainer must not rescale them by the number of answer
    # tokens.
    accepts_loss_kwargs = False
    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        self.model = MicroEmoModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        # A generated placeholder would have no features.
        self.generation_config.suppress_tokens = [
            config.video_token_id,
            config.audio_token_id,
            config.utterance_end_token_id,
        ]
        self.post_init()

    def get_video_features(
        self, pixel_values_videos: torch.Tensor, frame_times: torch.Tensor, **kwargs: Any
    ) -> tuple | BaseModelOutputWithPooling:
        """As `MicroEmoModel.get_video_features`."""
        return self.model.get_video_features(pixel_values_videos, frame_times, **kwargs)

    def get_audio_features(self, input_features: torch.Tensor, **kwargs: Any) -> tuple | BaseModelOutputWithPooling:
        """As `MicroEmoModel.get_audio_features`."""
        return self.model.get_audio_features(input_features, **kwargs)

    def get_face_features(
        self, face_pixel_values: torch.Tensor, face_times: torch.Tensor, **kwargs: Any
    ) -> tuple | BaseModelOutputWithPooling:
        """As `MicroEmoModel.get_face_features`."""
        return self.model.get_face_features(face_pixel_values, face_times, **kwargs)

    @merge_with_config_defaults
    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        frame_times: torch.FloatTensor | None = None,
        frame_mask: torch.BoolTensor | None = None,
        qformer_input_ids: torch.LongTensor | None = None,
        qformer_attention_mask: torch.LongTensor | None = None,
        face_pixel_values: torch.FloatTensor | None = None,
        face_times: torch.FloatTensor | None = None,
        face_mask: torch.BoolTensor | None = None,
        face_track_ids: torch.LongTensor | None = None,
        face_actions: torch.FloatTensor | None = None,
        relative_face_actions: torch.FloatTensor | None = None,
        face_actions_mask: torch.BoolTensor | None = None,
        head_pose: torch.FloatTensor | None = None,
        gaze: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        audio_mask: torch.BoolTensor | None = None,
        utterance_times: torch.FloatTensor | None = None,
        utterance_mask: torch.BoolTensor | None = None,
        labels: torch.LongTensor | None = None,
        emotion_labels: torch.FloatTensor | None = None,
        valence_arousal_labels: torch.FloatTensor | None = None,
        micro_labels: torch.FloatTensor | None = None,
        expression_labels: torch.LongTensor | None = None,
        action_unit_labels: torch.FloatTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoCausalLMOutputWithPast:
        """As `MicroEmoModel.forward`, with labels. Labels of -100 are ignored.

        Args:
            labels: (B, N) long. emotion_labels: (B, U, E) in [0, 1]. valence_arousal_labels: (B, U, 2) in [-1, 1].
            micro_labels: (B, F) in [0, 1]. expression_labels: (B, F) long. action_unit_labels: (B, F, A) in [0, 1].
            logits_to_keep: number of last tokens, or indices of the tokens, to compute logits for; 0: all. Labels are
                sliced alike and must include the token before the first label.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=past_key_values if cache is None else cache,
            inputs_embeds=inputs_embeds,
            pixel_values_videos=pixel_values_videos,
            frame_times=frame_times,
            frame_mask=frame_mask,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            face_pixel_values=face_pixel_values,
            face_times=face_times,
            face_mask=face_mask,
            face_track_ids=face_track_ids,
            face_actions=face_actions,
            relative_face_actions=relative_face_actions,
            face_actions_mask=face_actions_mask,
            input_features=input_features,
            audio_mask=audio_mask,
            utterance_times=utterance_times,
            utterance_mask=utterance_mask,
            use_cache=use_cache,
            mm_encoder_outputs=mm_encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        targets = Labels(emotion_labels, valence_arousal_labels, micro_labels, expression_labels, action_unit_labels)
        losses: dict[str, Any] = {
            "language_loss": None
            if labels is None
            else self._language_loss(
                logits, slice_logits_to_keep(labels[..., None], logits_to_keep)[..., 0], **kwargs
            ),
            **head_losses(outputs, targets, self.config),
        }
        return MicroEmoCausalLMOutputWithPast(
            loss=weighted_loss(losses, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE_NAME: outputs.get(CACHE_NAME)},
            **losses,
            **head_outputs(outputs),
        )

    def _language_loss(self, logits: torch.Tensor, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        if (labels != UNKNOWN).any():
            return self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
        return logits.sum() * 0.0  # without answers in the batch, the mean over no token would be NaN

    def _supports_mm_encoder_outputs(self) -> bool:
        # `generate` would encode only the video and drop the times, which the audio needs as well.
        return False


class MicroEmoForEmotionClassification(PerceptionMixin, MicroEmoPreTrainedModel):
    """MicroEmo without a language modelling head and cache: predicts the scores of all heads."""

    accepts_loss_kwargs = False
    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]

    def __init__(self, config: MicroEmoConfig):
        super().__init__(config)
        self.model = MicroEmoModel(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pixel_values_videos: torch.FloatTensor | None = None,
        frame_times: torch.FloatTensor | None = None,
        frame_mask: torch.BoolTensor | None = None,
        qformer_input_ids: torch.LongTensor | None = None,
        qformer_attention_mask: torch.LongTensor | None = None,
        face_pixel_values: torch.FloatTensor | None = None,
        face_times: torch.FloatTensor | None = None,
        face_mask: torch.BoolTensor | None = None,
        face_track_ids: torch.LongTensor | None = None,
        face_actions: torch.FloatTensor | None = None,
        relative_face_actions: torch.FloatTensor | None = None,
        face_actions_mask: torch.BoolTensor | None = None,
        head_pose: torch.FloatTensor | None = None,
        gaze: torch.FloatTensor | None = None,
        input_features: torch.FloatTensor | None = None,
        audio_mask: torch.BoolTensor | None = None,
        utterance_times: torch.FloatTensor | None = None,
        utterance_mask: torch.BoolTensor | None = None,
        emotion_labels: torch.FloatTensor | None = None,
        valence_arousal_labels: torch.FloatTensor | None = None,
        micro_labels: torch.FloatTensor | None = None,
        expression_labels: torch.LongTensor | None = None,
        action_unit_labels: torch.FloatTensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,
    ) -> tuple | MicroEmoEmotionClassifierOutput:
        """As `MicroEmoForConditionalGeneration.forward`, without the arguments of text generation."""
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            pixel_values_videos=pixel_values_videos,
            frame_times=frame_times,
            frame_mask=frame_mask,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            face_pixel_values=face_pixel_values,
            face_times=face_times,
            face_mask=face_mask,
            face_track_ids=face_track_ids,
            face_actions=face_actions,
            relative_face_actions=relative_face_actions,
            face_actions_mask=face_actions_mask,
            input_features=input_features,
            audio_mask=audio_mask,
            utterance_times=utterance_times,
            utterance_mask=utterance_mask,
            use_cache=False,
            mm_encoder_outputs=mm_encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        targets = Labels(emotion_labels, valence_arousal_labels, micro_labels, expression_labels, action_unit_labels)
        losses = head_losses(outputs, targets, self.config)
        return MicroEmoEmotionClassifierOutput(
            loss=weighted_loss(losses, self.config),
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **losses,
            **head_outputs(outputs),
        )


__all__ = [
    "MicroEmoForConditionalGeneration",
    "MicroEmoForEmotionClassification",
    "MicroEmoModel",
    "MicroEmoPreTrainedModel",
]
