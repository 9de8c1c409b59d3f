"""What quantization leaves alone: everything but the language model's layers.

The language model is four fifths of the mini and of the paper's size, and was made for it. Towers, Q-Formers and heads
are small, see times and logits in full precision, and some of them read the type of their own weights.
"""

import copy
from typing import Any

KEPT_PARTS = (
    "frame_tower",
    "frame_qformer",
    "face_tower",
    "micro_dynamics",
    "global_local_attention",
    "face_head",
    "video_qformer",
    "audio_tower",
    "audio_qformer",
    "video_projector",
    "audio_projector",
    "voice_head",
    "emotion_head",
)
# Names from the whole model and from `MicroEmoModel` alone.
KEPT_MODULES = ("lm_head", *KEPT_PARTS, *(f"model.{part}" for part in KEPT_PARTS))
# How the configs of bitsandbytes, and those of torchao, quanto and others, call the modules to leave alone.
KEPT_FIELDS = ("llm_int8_skip_modules", "modules_to_not_convert")


def with_kept_modules(quantization_config: Any) -> Any:
    """Returns a quantization config that keeps `KEPT_MODULES`, unless the user has named the modules to keep."""
    field = next((name for name in KEPT_FIELDS if hasattr(quantization_config, name)), None)
    if field is None or getattr(quantization_config, field) is not None:
        return quantization_config
    changed = copy.copy(quantization_config)
    setattr(changed, field, list(KEPT_MODULES))
    return changed
