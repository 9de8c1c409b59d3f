"""Loading that refuses what transformers would fill up with random numbers, and quantizes what bears it."""

from typing import Any

from .quantized_loading import with_kept_modules

SHOWN_KEYS = 8


class StrictLoadingMixin:
    """Makes `from_pretrained`, and with it every Auto class, raise where weights and model do not match."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any
    ) -> Any:
        """As `PreTrainedModel.from_pretrained`, but raises `ValueError` that names missing and unexpected weights.

        Who asks for `output_loading_info`, or gives a `state_dict`, judges the match and gets the model in any case;
        `ignore_mismatched_sizes=True` allows weights of another shape, which then start at random. A
        `quantization_config` that names no modules to keep is applied to the language model alone.
        """
        if kwargs.get("quantization_config") is not None:
            kwargs["quantization_config"] = with_kept_modules(kwargs["quantization_config"])
        loaded: Any = super()
        model, found = loaded.from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        if output_loading_info:
            return model, found
        if "state_dict" not in kwargs:
            problems = {
                "lacks weights that the model needs": found["missing_keys"],
                "has weights that the model has no place for": found["unexpected_keys"],
            }
            refuse_unmatched(problems, source=str(pretrained_model_name_or_path))
        return model


def refuse_unmatched(problems: dict[str, Any], *, source: str) -> None:
    """Raises `ValueError` for the first problem that has keys."""
    for problem, keys in problems.items():
        if keys:
            named = ", ".join(sorted(keys)[:SHOWN_KEYS])
            more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
            raise ValueError(f"{source} {problem}: {named}{more}. What comes out would rest on random numbers.")
