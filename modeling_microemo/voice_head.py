"""How each segment sounds: the emotion of the voice, told by a single linear layer from its `VoiceStatistics`."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .placement import like_weight
from .voice_statistics import VoiceStatistics


class VoiceHead(nn.Module):
    """Statistics of the voice -> logits of its emotions.

    `centre` and `scale` bring the statistics to mean 0 and spread 1 over the recordings that `emotion` learned from.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        size = 2 * num_inner_states(config) * config.audio_qformer_config.encoder_hidden_size
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.emotion = nn.Linear(size, len(config.voice_id2label))

    def forward(self, statistics: VoiceStatistics) -> torch.Tensor:
        """Of the voice's emotions, (B, S, X)."""
        # Half precision would round statistics of large means, and autocast with it.
        with torch.autocast(statistics.values.device.type, enabled=False):
            values = (statistics.values - self.centre.float()) * self.scale.float()
            return self.emotion(like_weight(values, self.emotion.weight))


def num_inner_states(config: MicroEmoConfig) -> int:
    """How many states lie between the audio tower's layers."""
    return config.audio_config.num_hidden_layers - 1
