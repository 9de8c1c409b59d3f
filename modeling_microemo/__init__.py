"""MicroEmo: open-vocabulary emotion recognition from dialogue video."""

from transformers import AutoConfig

from .configuration_microemo import (
    MicroEmoConfig,
    MicroEmoDynamicsConfig,
    MicroEmoQFormerConfig,
    MicroEmoSegmentQFormerConfig,
)

AutoConfig.register("microemo", MicroEmoConfig)

__all__ = ["MicroEmoConfig", "MicroEmoDynamicsConfig", "MicroEmoQFormerConfig", "MicroEmoSegmentQFormerConfig"]
