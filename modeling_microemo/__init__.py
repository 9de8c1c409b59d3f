"""MicroEmo: open-vocabulary emotion recognition from dialogue video."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM

from .configuration_microemo import (
    MicroEmoConfig,
    MicroEmoDynamicsConfig,
    MicroEmoQFormerConfig,
    MicroEmoSegmentQFormerConfig,
)
from .modeling_microemo import (
    MicroEmoForConditionalGeneration,
    MicroEmoForEmotionClassification,
    MicroEmoModel,
    MicroEmoPreTrainedModel,
)

AutoConfig.register("microemo", MicroEmoConfig)
AutoModel.register(MicroEmoConfig, MicroEmoModel)
AutoModelForImageTextToText.register(MicroEmoConfig, MicroEmoForConditionalGeneration)
AutoModelForMultimodalLM.register(MicroEmoConfig, MicroEmoForConditionalGeneration)

__all__ = [
    "MicroEmoConfig",
    "MicroEmoDynamicsConfig",
    "MicroEmoForConditionalGeneration",
    "MicroEmoForEmotionClassification",
    "MicroEmoModel",
    "MicroEmoPreTrainedModel",
    "MicroEmoQFormerConfig",
    "MicroEmoSegmentQFormerConfig",
]
