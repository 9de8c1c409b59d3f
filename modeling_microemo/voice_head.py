"""Voice emotion head: classifies each segment from statistics of the audio tower's intermediate states.

The last layer of a tower trained for speech recognition mostly encodes which words are said. Intermediate layers also
encode how they are said; mean and standard deviation over a segment summarise this (statistics pooling: Snyder et al.,
"X-vectors", ICASSP 2018).

In a window of 30 s the intermediate states also depend on the position in the window, through position embeddings, and
on speech around the segment. The tower is therefore run once more on each utterance alone, at a cost proportional to
its length:

    window      [....|-- utterance 1 --|.....|- 2 -|..............)     features of the audio stream
    alone            [-- utterance 1 --)     [- 2 -)                    statistics
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .audio_encoder import MEL_FRAMES_PER_SECOND, SAMPLES_PER_SECOND, attention_mask_of
from .configuration_microemo import MicroEmoConfig
from .placement import match_weight
from .segments import Segments

MIN_SECONDS = 0.04  # shorter audio yields no state


class VoiceStatistics(NamedTuple):
    """Mean and standard deviation of the tower's intermediate states in every segment.

    values: (B, S, 2 * L * C) float32, all means before all deviations, zeros in segments without sound.
    heard: (B, S) bool, True for segments with sound.
    """

    values: torch.Tensor
    heard: torch.Tensor


class VoiceHead(nn.Module):
    """Predicts the emotion logits of the voice from `VoiceStatistics` with one linear layer.

    `centre` and `scale` standardise the statistics to mean 0 and standard deviation 1 over the training recordings.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        num_inner_states = config.audio_config.num_hidden_layers - 1
        size = 2 * num_inner_states * config.audio_qformer_config.encoder_hidden_size
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.emotion = nn.Linear(size, len(config.voice_id2label))

    def forward(self, statistics: VoiceStatistics) -> torch.Tensor:
        """Returns the logits of the voice's emotions, (B, S, X)."""
        # Without autocast, as half precision loses small differences between large means.
        with torch.autocast(statistics.values.device.type, enabled=False):
            values = (statistics.values - self.centre.float()) * self.scale.float()
            return self.emotion(match_weight(values, self.emotion.weight))


class _Moments(NamedTuple):
    """Count, sum and sum of squares of states (L * C,)."""

    num_states: int
    total: torch.Tensor
    squares: torch.Tensor


def voice_statistics(
    tower: PreTrainedModel, input_features: torch.Tensor, *, audio_mask: torch.Tensor | None, segments: Segments
) -> VoiceStatistics:
    """Computes the statistics of each segment.

    An unbounded segment (the whole clip) pools all bounded segments of its clip, or all audio if there are none.

    Args:
        input_features: (B, W, mel, F) log-mel at 100 frames per second, or (B, W, F) samples at 16 kHz.
        audio_mask: (B, W, F) bool, False at padding; None: no padding.
        segments: the S segments of each clip.
    """
    rate = MEL_FRAMES_PER_SECOND if input_features.ndim == 4 else SAMPLES_PER_SECOND
    num_clips, num_segments = segments.mask.shape
    width = 2 * (tower.config.num_hidden_layers - 1) * tower.config.hidden_size
    values = torch.zeros(num_clips, num_segments, width, device=input_features.device)
    heard = torch.zeros(num_clips, num_segments, dtype=torch.bool, device=input_features.device)
    for clip, (windows, spans, present) in enumerate(zip(input_features, segments.spans, segments.mask, strict=True)):
        mask = None if audio_mask is None else audio_mask[clip]
        lengths = _valid_lengths(windows, mask)
        moments: dict[int, list[_Moments]] = {}
        unbounded = [row for row in range(num_segments) if present[row] and not spans[row].isfinite().all()]
        bounded = [row for row in range(num_segments) if present[row] and row not in unbounded]
        for row in bounded:
            start, end = (float(seconds) * rate for seconds in spans[row])
            moments[row] = list(_moments(tower, windows, lengths=lengths, start=start, end=end, rate=rate))
        clip_moments = [part for row in bounded for part in moments[row]]
        if unbounded and not bounded:
            end = float(windows.shape[0] * windows.shape[-1])
            clip_moments = list(_moments(tower, windows, lengths=lengths, start=0.0, end=end, rate=rate))
        for row in range(num_segments):
            parts = clip_moments if row in unbounded else moments.get(row, [])
            if parts:
                values[clip, row], heard[clip, row] = _mean_and_deviation(parts), True
    return VoiceStatistics(values, heard)


def _moments(
    tower: PreTrainedModel, windows: torch.Tensor, *, lengths: list[int], start: float, end: float, rate: int
) -> Iterator[_Moments]:
    """Yields the moments of the part of each window (W, ..., F) between start and end, in entries of the audio."""
    size = windows.shape[-1]
    for index, length in enumerate(lengths):
        first, last = round(max(start - index * size, 0)), round(min(end - index * size, length))
        if last - first < MIN_SECONDS * rate:
            continue
        states = torch.cat(inner_states(tower, windows[None, index, ..., first:last]), dim=-1)[0].double()
        yield _Moments(len(states), states.sum(0), states.square().sum(0))


def inner_states(tower: PreTrainedModel, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns the states (M, n, C) between the tower's layers for audio (M, mel, F) or (M, F) of up to one window."""
    audio = match_weight(audio, next(tower.parameters()))
    if isinstance(tower, WhisperEncoder):
        return _whisper_states(tower, audio)
    mask = torch.ones(audio.shape, dtype=torch.bool, device=audio.device)
    output = tower(audio, return_dict=True, output_hidden_states=True, **attention_mask_of(tower, mask))
    return tuple(output.hidden_states[1:-1])


def _whisper_states(tower: WhisperEncoder, mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """As `WhisperEncoder.forward`, but for audio shorter than 30 s, which uses the first position embeddings."""
    mel = mel[..., : mel.shape[-1] // 2 * 2]  # two frames per state
    states = F.gelu(tower.conv2(F.gelu(tower.conv1(mel)))).permute(0, 2, 1)  # (M, n, C)
    states = states + tower.embed_positions(torch.arange(states.shape[1], device=states.device))
    between = []
    for layer in tower.layers[:-1]:
        states = layer(states, None)
        between.append(states)
    return tuple(between)


def _valid_lengths(windows: torch.Tensor, mask: torch.Tensor | None) -> list[int]:
    """Number of unpadded entries of each window (W, ..., F); padding is at the end of a window."""
    if mask is None:
        return [windows.shape[-1]] * len(windows)
    return mask.bool().sum(-1).tolist()


def _mean_and_deviation(parts: list[_Moments]) -> torch.Tensor:
    count = sum(part.num_states for part in parts)
    mean = torch.stack([part.total for part in parts]).sum(0) / count
    squares = torch.stack([part.squares for part in parts]).sum(0) / count
    return torch.cat((mean, (squares - mean.square()).clamp(min=0).sqrt())).float()
