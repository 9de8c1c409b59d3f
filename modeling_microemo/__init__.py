"""MicroEmo: open-vocabulary emotion recognition from dialogue video.

`import microemo` makes MicroEmo available to transformers' Auto classes. The import is cheap: public names are loaded
on first access, and the Auto classes are registered when transformers imports them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .auto_registration import install

if TYPE_CHECKING:
    from .configuration_microemo import (
        MicroEmoAudioQFormerConfig,
        MicroEmoConfig,
        MicroEmoDynamicsConfig,
        MicroEmoQFormerConfig,
        MicroEmoVideoQFormerConfig,
    )
    from .inference import EmotionAnalyzer, EmotionReport
    from .modeling_microemo import (
        MicroEmoForConditionalGeneration,
        MicroEmoForEmotionClassification,
        MicroEmoModel,
        MicroEmoPreTrainedModel,
    )
    from .processing.processing_microemo import MicroEmoProcessor
    from .processing.video_processing_microemo import MicroEmoVideoProcessor

__all__ = [
    "EmotionAnalyzer",
    "EmotionReport",
    "MicroEmoAudioQFormerConfig",
    "MicroEmoConfig",
    "MicroEmoDynamicsConfig",
    "MicroEmoForConditionalGeneration",
    "MicroEmoForEmotionClassification",
    "MicroEmoModel",
    "MicroEmoPreTrainedModel",
    "MicroEmoProcessor",
    "MicroEmoQFormerConfig",
    "MicroEmoVideoProcessor",
    "MicroEmoVideoQFormerConfig",
]

LAZY_NAMES = {
    "EmotionAnalyzer": "microemo.inference",
    "EmotionReport": "microemo.inference",
    "MicroEmoAudioQFormerConfig": "microemo.configuration_microemo",
    "MicroEmoConfig": "microemo.configuration_microemo",
    "MicroEmoDynamicsConfig": "microemo.configuration_microemo",
    "MicroEmoForConditionalGeneration": "microemo.modeling_microemo",
    "MicroEmoForEmotionClassification": "microemo.modeling_microemo",
    "MicroEmoModel": "microemo.modeling_microemo",
    "MicroEmoPreTrainedModel": "microemo.modeling_microemo",
    "MicroEmoProcessor": "microemo.processing.processing_microemo",
    "MicroEmoQFormerConfig": "microemo.configuration_microemo",
    "MicroEmoVideoProcessor": "microemo.processing.video_processing_microemo",
    "MicroEmoVideoQFormerConfig": "microemo.configuration_microemo",
}
LAZY_MODULES = ("configuration_microemo", "modeling_microemo", "processing", "inference")


def __getattr__(name: str) -> Any:
    if name in LAZY_MODULES:
        return import_module(f"microemo.{name}")
    if name not in LAZY_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *LAZY_MODULES})


install()
