"""MicroEmo: open-vocabulary emotion recognition from dialogue video.

Importing it registers the config, models and processors with transformers' Auto classes. The analyzer and its reports
are loaded when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
    AutoVideoProcessor,
)

from .configuration_microemo import (
    MicroEmoAudioQFormerConfig,
    MicroEmoConfig,
    MicroEmoDynamicsConfig,
    MicroEmoQFormerConfig,
    MicroEmoVideoQFormerConfig,
)
from .modeling_microemo import (
    MicroEmoForConditionalGeneration,
    MicroEmoForEmotionClassification,
    MicroEmoModel,
    MicroEmoPreTrainedModel,
)
from .processing.processing_microemo import MicroEmoProcessor
from .processing.video_processing_microemo import MicroEmoVideoProcessor

if TYPE_CHECKING:
    from .inference import EmotionAnalyzer, EmotionReport

AutoConfig.register("microemo", MicroEmoConfig)
AutoModel.register(MicroEmoConfig, MicroEmoModel)
AutoModelForImageTextToText.register(MicroEmoConfig, MicroEmoForConditionalGeneration)
AutoModelForMultimodalLM.register(MicroEmoConfig, MicroEmoForConditionalGeneration)
AutoVideoProcessor.register(MicroEmoConfig, MicroEmoVideoProcessor)
AutoProcessor.register(MicroEmoConfig, MicroEmoProcessor)

LAZY_MODULES = {"EmotionAnalyzer": "microemo.inference", "EmotionReport": "microemo.inference"}


def __getattr__(name: str) -> Any:
    if name not in LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
