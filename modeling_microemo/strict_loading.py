"""Loading fails on missing or unexpected weights; quantization applies only to the language model.

Without the check, transformers would initialise missing weights at random and only warn. The language model has about
four fifths of the parameters, of the mini model and at the paper's size. The other parts are small, compute times and
logits in full precision, and some of them read the data type of their weights, so they are not quantized.
"""

import copy
from typing import Any

MAX_LISTED_KEYS = 8
UNQUANTIZED_PARTS = (
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
# Module names as seen from the model with a head and from `MicroEmoModel`.
UNQUANTIZED_MODULES = ("lm_head", *UNQUANTIZED_PARTS, *(f"model.{part}" for part in UNQUANTIZED_PARTS))
# The field for modules to skip, in configs of bitsandbytes and in those of torchao, quanto and others.
SKIP_FIELDS = ("llm_int8_skip_modules", "modules_to_not_convert")


class StrictLoadingMixin:
    """Makes `from_pretrained`, and with it every Auto class, raise if the checkpoint does not match the model."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any
    ) -> Any:
        """As `PreTrainedModel.from_pretrained`, but raises `ValueError` on missing or unexpected weights.

        The check is skipped with `output_loading_info=True` or a `state_dict`. `ignore_mismatched_sizes=True` accepts
        weights of another shape and initialises them at random. A `quantization_config` that does not name modules to
        skip is applied to the language model only.
        """
        if kwargs.get("quantization_config") is not None:
            kwargs["quantization_config"] = with_skipped_modules(kwargs["quantization_config"])
        parent: Any = super()
        model, info = parent.from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        if output_loading_info:
            return model, info
        if "state_dict" not in kwargs:
            problems = {
                "lacks weights that the model needs": info["missing_keys"],
                "has weights that the model has no place for": info["unexpected_keys"],
            }
            refuse_unmatched(problems, source=str(pretrained_model_name_or_path))
        return model


def refuse_unmatched(problems: dict[str, Any], *, source: str) -> None:
    """Raises `ValueError` for the first problem with a non-empty collection of keys."""
    for problem, keys in problems.items():
        if keys:
            listed = ", ".join(sorted(keys)[:MAX_LISTED_KEYS])
            more = f" and {len(keys) - MAX_LISTED_KEYS} more" if len(keys) > MAX_LISTED_KEYS else ""
            raise ValueError(
                f"{source} {problem}: {listed}{more}. Outputs would depend on randomly initialised weights."
            )


def with_skipped_modules(quantization_config: Any) -> Any:
    """Returns a quantization config that skips `UNQUANTIZED_MODULES`, unless the user has named modules to skip."""
    field = next((name for name in SKIP_FIELDS if hasattr(quantization_config, name)), None)
    if field is None or getattr(quantization_config, field) is not None:
        return quantization_config
    changed = copy.copy(quantization_config)
    setattr(changed, field, list(UNQUANTIZED_MODULES))
    return changed
