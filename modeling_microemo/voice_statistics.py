"""How each segment sounds: mean and spread of the audio tower's inner states, of the segment heard by itself.

What a tower that was trained to write speech down hands on at its end is which words are said. How they are said is
in its states further in, and is told by their mean and spread over a segment (statistics pooling: Snyder et al.,
"X-vectors", ICASSP 2018).

In a window of 30 s these states also tell where in the window a sound lies, by the tower's position embeddings, and
what others say around it: an utterance at 20 s would sound unlike the same one at 0 s. So the tower hears each
utterance once more from its beginning to its end alone, which costs in proportion to its length:

    window      [....|-- utterance 1 --|.....|- 2 -|..............)     streams' features
    by itself        [-- utterance 1 --)     [- 2 -)                    statistics
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .audio_encoder import MEL_FRAMES_PER_SECOND, SAMPLES_PER_SECOND, attention_mask_of
from .placement import like_weight
from .segments import Segments

SHORTEST_SECONDS = 0.04  # less sound has no state


class VoiceStatistics(NamedTuple):
    """Mean and spread (standard deviation) of the tower's inner states in every segment.

    values: (B, S, 2 * L * C) float32, all means before all spreads, zeros where nothing is heard. heard: (B, S) bool.
    """

    values: torch.Tensor
    heard: torch.Tensor


class _Moments(NamedTuple):
    """Number, sum and sum of squares of states (L * C,)."""

    number: int
    total: torch.Tensor
    squares: torch.Tensor


def voice_statistics(
    tower: PreTrainedModel, input_features: torch.Tensor, *, audio_mask: torch.Tensor | None, segments: Segments
) -> VoiceStatistics:
    """The statistics of each segment. One that has no bounds is what the others of its clip are together, or all of
    the sound where there are no others.

    Args:
        input_features: (B, W, mel, F) log-mel at 100 frames a second, or (B, W, F) samples at 16 kHz.
        audio_mask: (B, W, F) bool, True where sound is real; None: everywhere.
        segments: S of each clip.
    """
    rate = MEL_FRAMES_PER_SECOND if input_features.ndim == 4 else SAMPLES_PER_SECOND
    num_clips, num_segments = segments.mask.shape
    width = 2 * (tower.config.num_hidden_layers - 1) * tower.config.hidden_size
    values = torch.zeros(num_clips, num_segments, width, device=input_features.device)
    heard = torch.zeros(num_clips, num_segments, dtype=torch.bool, device=input_features.device)
    for clip, (windows, spans, present) in enumerate(zip(input_features, segments.spans, segments.mask, strict=True)):
        mask = None if audio_mask is None else audio_mask[clip]
        lengths = _real_lengths(windows, mask)
        found: dict[int, list[_Moments]] = {}
        unbounded = [row for row in range(num_segments) if present[row] and not spans[row].isfinite().all()]
        bounded = [row for row in range(num_segments) if present[row] and row not in unbounded]
        for row in bounded:
            start, end = (float(seconds) * rate for seconds in spans[row])
            found[row] = list(_moments(tower, windows, lengths=lengths, start=start, end=end, rate=rate))
        everything = [each for row in bounded for each in found[row]]
        if unbounded and not bounded:
            end = float(windows.shape[0] * windows.shape[-1])
            everything = list(_moments(tower, windows, lengths=lengths, start=0.0, end=end, rate=rate))
        for row in range(num_segments):
            parts = everything if row in unbounded else found.get(row, [])
            if parts:
                values[clip, row], heard[clip, row] = _pooled(parts), True
    return VoiceStatistics(values, heard)


def _moments(
    tower: PreTrainedModel, windows: torch.Tensor, *, lengths: list[int], start: float, end: float, rate: int
) -> Iterator[_Moments]:
    """Of the part of each window (W, ..., F) from start to end, in entries of the sound."""
    size = windows.shape[-1]
    for number, length in enumerate(lengths):
        first, last = round(max(start - number * size, 0)), round(min(end - number * size, length))
        if last - first < SHORTEST_SECONDS * rate:
            continue
        states = torch.cat(inner_states(tower, windows[None, number, ..., first:last]), dim=-1)[0].double()
        yield _Moments(len(states), states.sum(0), states.square().sum(0))


def inner_states(tower: PreTrainedModel, sound: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The states (M, n, C) between the tower's layers for sound (M, mel, F) or (M, F) of any length up to a window."""
    sound = like_weight(sound, next(tower.parameters()))
    if isinstance(tower, WhisperEncoder):
        return _whisper_states(tower, sound)
    real = torch.ones(sound.shape, dtype=torch.bool, device=sound.device)
    output = tower(sound, return_dict=True, output_hidden_states=True, **attention_mask_of(tower, real))
    return tuple(output.hidden_states[1:-1])


def _whisper_states(tower: WhisperEncoder, mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """`WhisperEncoder.forward` without its demand for 30 s: shorter sound has the first of the positions."""
    mel = mel[..., : mel.shape[-1] // 2 * 2]  # two frames a state
    states = F.gelu(tower.conv2(F.gelu(tower.conv1(mel)))).permute(0, 2, 1)  # (M, n, C)
    states = states + tower.embed_positions(torch.arange(states.shape[1], device=states.device))
    between = []
    for layer in tower.layers[:-1]:
        states = layer(states, None)
        between.append(states)
    return tuple(between)


def _real_lengths(windows: torch.Tensor, mask: torch.Tensor | None) -> list[int]:
    """How many entries of each window (W, ..., F) are sound; real sound begins a window."""
    if mask is None:
        return [windows.shape[-1]] * len(windows)
    return mask.bool().sum(-1).tolist()


def _pooled(parts: list[_Moments]) -> torch.Tensor:
    count = sum(part.number for part in parts)
    mean = torch.stack([part.total for part in parts]).sum(0) / count
    squares = torch.stack([part.squares for part in parts]).sum(0) / count
    return torch.cat((mean, (squares - mean.square()).clamp(min=0).sqrt())).float()
