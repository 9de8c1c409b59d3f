"""How each segment sounds, said to the language model: the emotion of the voice as a word, in place of a token.

A single linear layer tells it by the segment's `VoiceStatistics`.
"""

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .placement import all_rows, like_weight
from .voice_statistics import VoiceStatistics


class VoiceReadout(nn.Module):
    """Statistics of the voice -> its emotion, as a word in the place of each segment's first token.

    `centre` and `scale` bring the statistics to mean 0 and spread 1 over the recordings that `emotion` learned from.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        width, names = config.text_config.hidden_size, config.voice_id2label
        size = 2 * num_inner_states(config) * config.audio_qformer_config.encoder_hidden_size
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.emotion = nn.Linear(size, len(names))
        self.words = nn.Embedding(len(names), width)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: torch.Tensor, *, logits: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """The segments' tokens (B, S, K, D), the first of which says the emotion where a voice is heard.

        What the token was stays behind a gate that begins at zero, as in `FaceReadout`.

        Args:
            logits: (B, S, X) of `logits`. heard: (B, S) bool.
        """
        shares = logits.float().softmax(-1).to(tokens)
        said = shares @ all_rows(self.words, device=tokens.device).to(tokens)  # (B, S, D)
        first = tokens[:, :, 0]
        spoken = torch.where(heard.unsqueeze(-1), said + self.gate.to(first) * first, first)
        return torch.cat((spoken.unsqueeze(2), tokens[:, :, 1:]), dim=2)

    def logits(self, statistics: VoiceStatistics) -> torch.Tensor:
        """Of the voice's emotions, (B, S, X)."""
        # Half precision would round statistics of large means, and autocast with it.
        with torch.autocast(statistics.values.device.type, enabled=False):
            values = (statistics.values - self.centre.float()) * self.scale.float()
            return self.emotion(like_weight(values, self.emotion.weight))


def num_inner_states(config: MicroEmoConfig) -> int:
    """How many states lie between the audio tower's layers."""
    return config.audio_config.num_hidden_layers - 1
