"""How each segment sounds, said to the language model: the emotion of the voice as a word, in place of a token.

What a tower that was trained to write speech down hands on at its end is which words are said. How they are said is
in its states further in, and is told by their mean and spread over a segment (statistics pooling: Snyder et al.,
"X-vectors", ICASSP 2018) to a single linear layer.
"""

from typing import NamedTuple

import torch
from torch import nn

from .configuration_microemo import MicroEmoConfig
from .placement import all_rows, like_weight


class VoiceStatistics(NamedTuple):
    """Mean and spread (standard deviation) of the tower's inner states in every segment.

    values: (B, S, 2 * L * C) float32, all means before all spreads, zeros where nothing is heard. heard: (B, S) bool.
    """

    values: torch.Tensor
    heard: torch.Tensor


def voice_statistics(inner_states: tuple[torch.Tensor, ...], *, membership: torch.Tensor) -> VoiceStatistics:
    """The statistics of L states (B, N, C) over the moments of each segment, membership (B, S, N) bool."""
    weights = membership.float()
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1.0)
    states = torch.cat(inner_states, dim=-1).float()  # (B, N, L * C)
    means = weights @ states
    variances = (weights @ states.square() - means.square()).clamp(min=0)
    return VoiceStatistics(torch.cat((means, variances.sqrt()), dim=-1), heard=membership.any(-1))


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

    def forward(self, tokens: torch.Tensor, *, statistics: VoiceStatistics) -> torch.Tensor:
        """The segments' tokens (B, S, K, D), the first of which says the emotion where a voice is heard.

        What the token was stays behind a gate that begins at zero, as in `FaceReadout`.
        """
        shares = self.logits(statistics).float().softmax(-1).to(tokens)
        said = shares @ all_rows(self.words, device=tokens.device).to(tokens)  # (B, S, D)
        first = tokens[:, :, 0]
        spoken = torch.where(statistics.heard.unsqueeze(-1), said + self.gate.to(first) * first, first)
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
