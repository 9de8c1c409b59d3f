"""Configuration of a MicroEmo model and of its Q-Formers and micro-dynamics transformer."""

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

if TYPE_CHECKING:
    SubConfig = Any  # always a config after __init__, which a type checker cannot infer
else:
    SubConfig = dict | PreTrainedConfig | None

# GoEmotions (Demszky et al., 2020): 27 emotions and neutral, in the order of its label file.
# fmt: off
GO_EMOTIONS = [
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]
# fmt: on
# Classes of RAVDESS and EmoDB that GoEmotions, a corpus of written comments, does not have.
VOICE_EMOTIONS = ["calm", "boredom"]
NEUTRAL = "neutral"
EXPRESSIONS = [NEUTRAL, "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
ACTION_UNITS = [f"AU{number}" for number in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 43)]
# The classes of RAVDESS and EmoDB, under the names of the emotions above.
VOICES = [NEUTRAL, "calm", "joy", "surprise", "sadness", "anger", "disgust", "fear", "boredom"]
TRAINABLE_PARTS = ("face_tower", "micro_dynamics", "voice_head", "emotion_head", "explanations")
# Fields of older configs and their replacements.
REMOVED_FIELDS = {
    "use_face_readout": "evidence in the prompt (use_evidence_prompt)",
    "use_voice_readout": "the voice head (use_voice_head) and evidence in the prompt (use_evidence_prompt)",
    "use_found_expressions": "evidence in the prompt (use_evidence_prompt)",
    "use_answer_rules": "the check of explanations against the evidence",
}


@strict
class MicroEmoPartConfig(PreTrainedConfig):
    """Fields shared by the Q-Formers and the micro-dynamics transformer."""

    # Architecture
    hidden_size: int = 256
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    encoder_hidden_size: int = 0  # width of the inputs; set by MicroEmoConfig

    # Training
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02


@strict
class MicroEmoQFormerConfig(MicroEmoPartConfig):
    """The frame Q-Former: a few queries attend to the patches of one frame, conditioned on the frame's time.

    vocab_size, max_position_embeddings and keep_text_tokens are used only when the timestamp is a sentence
    (`MicroEmoConfig.timestamp="text"`). The sizes are those of the BERT vocabulary of InstructBLIP.
    """

    model_type = "microemo_qformer"
    base_config_key = "qformer_config"

    num_query_tokens: int = 8
    cross_attention_frequency: int = 1  # every n-th layer attends to the patches; InstructBLIP: 2

    # Timestamp as a sentence
    vocab_size: int = 30_523
    max_position_embeddings: int = 512
    pad_token_id: int | None = 0
    keep_text_tokens: bool = False  # also return the outputs of the sentence's tokens, as TimeChat does
    mask_text_padding: bool = True  # mask padding among these outputs; TimeChat does not


@strict
class MicroEmoSegmentQFormerConfig(MicroEmoPartConfig):
    """The utterance-aware Q-Former of one stream: the same queries attend to the whole clip and to every utterance.

    Each stream has a separate class, so that its config can be loaded from the file of the whole model's config.
    """

    num_query_tokens: int = 32  # tokens per segment
    cross_attention_frequency: int = 1
    max_encoder_positions: int = 96


@strict
class MicroEmoVideoQFormerConfig(MicroEmoSegmentQFormerConfig):
    """The Q-Former over the tokens of the global frames."""

    model_type = "microemo_video_qformer"
    base_config_key = "video_qformer_config"

    num_query_tokens: int = 8
    max_encoder_positions: int = 256  # global frames per clip


@strict
class MicroEmoAudioQFormerConfig(MicroEmoSegmentQFormerConfig):
    """The Q-Former over the features of the audio tower."""

    model_type = "microemo_audio_qformer"
    base_config_key = "audio_qformer_config"

    num_query_tokens: int = 4
    max_encoder_positions: int = 32  # 30 s windows per clip


@strict
class MicroEmoDynamicsConfig(MicroEmoPartConfig):
    """The micro-dynamics transformer over the regions of the face crops."""

    model_type = "microemo_dynamics"
    base_config_key = "dynamics_config"

    layer_norm_eps: float = 1e-6
    max_regions: int = 64  # regions per crop: 4 x 4 for mini's tower; a shared ViT needs 257
    dynamics_window_seconds: float = 0.5  # a micro-expression lasts at most half a second
    use_mirrored_view: bool = False  # average the outputs for each face and its horizontally flipped copy


@strict
class MicroEmoConfig(PreTrainedConfig):
    """Configuration of a MicroEmo model. The defaults are `microemo-mini` without a separate face tower.

    Towers and the language model may be any model that `AutoModel` supports. `face_config=None` shares the frame
    tower.

    Example:
        >>> config = MicroEmoConfig(text_config={"model_type": "llama", "hidden_size": 64}, utterance_mode="clip")
    """

    model_type = "microemo"
    # `Trainer` gathers all other outputs during evaluation. These would take gigabytes, as the logits have one row of
    # the vocabulary per token. To get them, use `trainer.predict(..., ignore_keys=["past_key_values"])`.
    keys_to_ignore_at_inference = ["past_key_values", "cache", "logits", "hidden_states", "attentions"]
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="mobilenet_v2"),
        "face_config": SubConfigSpec(config_class=AutoConfig, model_type="mobilenet_v2", optional=True),
        "audio_config": SubConfigSpec(
            config_class=AutoConfig,
            model_type="whisper",
            init_kwargs={  # the encoder of Whisper base
                "d_model": 512,
                "encoder_layers": 6,
                "encoder_attention_heads": 8,
                "encoder_ffn_dim": 2048,
                "decoder_layers": 6,
                "decoder_attention_heads": 8,
                "decoder_ffn_dim": 2048,
                "vocab_size": 51_865,
            },
        ),
        "text_config": SubConfigSpec(
            config_class=AutoConfig,
            model_type="llama",
            init_kwargs={  # SmolLM2-135M and three special tokens
                "vocab_size": 49_155,
                "hidden_size": 576,
                "intermediate_size": 1536,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "max_position_embeddings": 8192,
                "rms_norm_eps": 1e-5,
                "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
                "tie_word_embeddings": True,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "pad_token_id": 2,
            },
        ),
        "qformer_config": SubConfigSpec(config_class=MicroEmoQFormerConfig),
        "video_qformer_config": SubConfigSpec(config_class=MicroEmoVideoQFormerConfig),
        "audio_qformer_config": SubConfigSpec(config_class=MicroEmoAudioQFormerConfig),
        "dynamics_config": SubConfigSpec(config_class=MicroEmoDynamicsConfig),
    }

    # Parts: a config, its dict, or None for the default
    vision_config: SubConfig = None
    face_config: SubConfig = None
    audio_config: SubConfig = None
    text_config: SubConfig = None
    qformer_config: SubConfig = None
    video_qformer_config: SubConfig = None
    audio_qformer_config: SubConfig = None
    dynamics_config: SubConfig = None

    # Placeholder tokens
    video_token_id: int = 49_152
    audio_token_id: int = 49_153
    utterance_end_token_id: int = 49_154

    vision_output_norm_eps: float | None = None  # of the frame tower's last norm; BLIP-2: 1e-5, its layers 1e-6

    # Ablation switches
    timestamp: Literal["fourier", "text", "none"] = "fourier"  # "none": as in Video-LLaMA
    visual_projection: Literal["none", "multi_perspective"] = "none"  # of patches before the frame Q-Former
    use_local_branch: bool = True
    use_global_local_attention: bool = True  # frames attend to the face crops nearest in time
    use_audio_branch: bool = True
    use_voice_head: bool = False  # classify the emotion of the voice separately; not in the paper
    use_evidence_prompt: bool = False  # write the evidence of each stream under each utterance (EmoPrompt)
    use_soft_tokens: bool = True  # insert the Q-Formers' tokens into the prompt
    utterance_mode: Literal["utterance", "window", "clip"] = "utterance"
    window_frames: int = 32  # TimeChat's sliding window, used only by utterance_mode="window"
    window_stride: int = 32

    # Losses
    language_loss_weight: float = 1.0
    emotion_loss_weight: float = 1.0
    face_loss_weight: float = 1.0

    # Label sets
    emotion_id2label: dict = field(default_factory=lambda: dict(enumerate(GO_EMOTIONS + VOICE_EMOTIONS)))
    expression_id2label: dict = field(default_factory=lambda: dict(enumerate(EXPRESSIONS)))
    action_unit_id2label: dict = field(default_factory=lambda: dict(enumerate(ACTION_UNITS)))
    voice_id2label: dict = field(default_factory=lambda: dict(enumerate(VOICES)))
    num_facial_actions: int = 52  # width of the processor's `face_actions`

    # Parts that have been trained; reports mark the others as untrained
    trained_parts: list[str] = field(default_factory=list)

    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        removed = sorted(set(kwargs) & set(REMOVED_FIELDS))
        if removed:
            replacements = "; ".join(f"{name}: use {REMOVED_FIELDS[name]}" for name in removed)
            raise ValueError(f"this config is from an older version and has removed fields ({replacements})")
        super().__post_init__(**kwargs)
        self.emotion_id2label = labels_by_index(self.emotion_id2label)
        self.expression_id2label = labels_by_index(self.expression_id2label)
        self.action_unit_id2label = labels_by_index(self.action_unit_id2label)
        self.voice_id2label = labels_by_index(self.voice_id2label)
        # The language model's config determines whether its output shares the input embeddings.
        self.tie_word_embeddings = self.tie_word_embeddings or bool(self.text_config.tie_word_embeddings)
        self._fill_widths()
        self._check_rules()

    @property
    def neutral_expression(self) -> int | None:
        """Index of the neutral expression; None if there is no such label."""
        return next((index for index, name in self.expression_id2label.items() if name == NEUTRAL), None)

    def _fill_widths(self) -> None:
        """Sets each part's input width to the output width of the part before it."""
        face_config = self.vision_config if self.face_config is None else self.face_config
        self.qformer_config.encoder_hidden_size = tower_width(self.vision_config)
        self.dynamics_config.encoder_hidden_size = tower_width(face_config)
        self.video_qformer_config.encoder_hidden_size = self.qformer_config.hidden_size
        self.audio_qformer_config.encoder_hidden_size = tower_width(self.audio_config)

    def _check_rules(self) -> None:
        for name in ("qformer_config", "video_qformer_config", "audio_qformer_config", "dynamics_config"):
            part = getattr(self, name)
            if part.hidden_size % part.num_attention_heads:
                raise ValueError(
                    f"{name}.hidden_size ({part.hidden_size}) must be a multiple of "
                    f"num_attention_heads ({part.num_attention_heads})"
                )
        if self.dynamics_config.dynamics_window_seconds <= 0:
            seconds = self.dynamics_config.dynamics_window_seconds
            raise ValueError(f"dynamics_config.dynamics_window_seconds ({seconds}) must be > 0")
        head_size = self.dynamics_config.hidden_size // self.dynamics_config.num_attention_heads
        if head_size % 2:
            raise ValueError(f"dynamics_config needs an even hidden_size / num_attention_heads, got {head_size}")
        if not 0 < self.window_stride <= self.window_frames:
            raise ValueError(
                f"window_stride ({self.window_stride}) must be between 1 and window_frames ({self.window_frames}): "
                "a longer stride would skip frames"
            )
        if self.use_voice_head and self.audio_config.num_hidden_layers < 2:
            raise ValueError(
                "use_voice_head reads the states between layers and needs an audio_config of at least 2 layers, got "
                f"{self.audio_config.num_hidden_layers}"
            )
        token_ids = (self.video_token_id, self.audio_token_id, self.utterance_end_token_id)
        if len(set(token_ids)) < len(token_ids):
            raise ValueError(f"video, audio and utterance_end token ids must differ, got {token_ids}")
        for name in ("language_loss_weight", "emotion_loss_weight", "face_loss_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be >= 0")
        unknown = sorted(set(self.trained_parts) - set(TRAINABLE_PARTS))
        if unknown:
            raise ValueError(f"trained_parts has {unknown}; allowed are {list(TRAINABLE_PARTS)}")


def labels_by_index(labels: dict) -> dict[int, str]:
    """Returns the labels with integer keys in increasing order. JSON stores the keys as strings, sorted "10" < "2"."""
    return dict(sorted((int(index), label) for index, label in labels.items()))


def tower_width(config: PreTrainedConfig) -> int:
    """Returns the width of the features of a tower with this config.

    Raises `ValueError` if the config does not specify it.
    """
    if config.model_type == "mobilenet_v2":
        return mobilenet_v2_width(config)
    if hasattr(config, "hidden_size"):
        return config.hidden_size
    if hasattr(config, "hidden_sizes"):
        return config.hidden_sizes[-1]
    raise ValueError(f"the config of a {config.model_type!r} tower has neither hidden_size nor hidden_sizes")


def mobilenet_v2_width(config: PreTrainedConfig) -> int:
    """Returns the channels of MobileNetV2's last convolution: 1280 at full depth, rounded as in the network."""
    channels = 1280
    if config.finegrained_output and config.depth_multiplier < 1.0:
        return channels
    target, divisor = channels * config.depth_multiplier, config.depth_divisible_by
    rounded = max(config.min_depth, int(target + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * target else rounded


__all__ = [
    "MicroEmoAudioQFormerConfig",
    "MicroEmoConfig",
    "MicroEmoDynamicsConfig",
    "MicroEmoQFormerConfig",
    "MicroEmoVideoQFormerConfig",
]
