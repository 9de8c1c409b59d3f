"""Audio windows -> features with their times, for Whisper's log-mel front end and for towers that take raw samples."""

from dataclasses import dataclass

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from .visual_encoder import joined

MEL_FRAMES_PER_SECOND = 100  # Whisper: hops of 160 samples at 16 kHz
SAMPLES_PER_SECOND = 16_000
WINDOWS_A_CHUNK = 8


@dataclass(frozen=True)
class AudioFeatures:
    """Features of a batch of clips, W windows of n features each joined to N = W * n.

    states: (B, N, C), zeros where nothing was heard. times: (N,) float seconds, the middle of each feature.
    windows: (N,) long, number of its window. mask: (B, N) bool, False at padding. hidden_states, attentions: of the
    tower, for the windows that hold sound.
    """

    states: torch.Tensor
    times: torch.Tensor
    windows: torch.Tensor
    mask: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...] | None
    attentions: tuple[torch.Tensor, ...] | None


def build_audio_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """The tower of this config; of an encoder-decoder such as Whisper the encoder alone."""
    tower = AutoModel.from_config(config)
    return tower.get_encoder() if config.is_encoder_decoder else tower


def encode_audio(
    tower: PreTrainedModel,
    input_features: torch.Tensor,
    *,
    audio_mask: torch.Tensor | None,
    width: int,
    record: dict[str, bool],
) -> AudioFeatures:
    """Runs the tower over the windows that hold sound, a chunk at a time.

    Args:
        input_features: (B, W, mel, F) log-mel at 100 frames a second, or (B, W, F) samples at 16 kHz.
        audio_mask: (B, W, F) bool, True where sound is real; None: everywhere.
        width: C, the tower's width.
        record: what the tower shall return beside its features, as `recorded` gives it.
    """
    if input_features.ndim not in (3, 4):
        raise ValueError(
            "input_features must be (B, W, mel, frames) or (B, W, samples), got shape "
            + str(tuple(input_features.shape))
        )
    num_clips, num_windows, length = *input_features.shape[:2], input_features.shape[-1]
    if audio_mask is None:
        audio_mask = torch.ones(num_clips, num_windows, length, dtype=torch.bool, device=input_features.device)
    audio_mask = audio_mask.bool()
    heard = audio_mask.any(-1)  # (B, W)
    rate = MEL_FRAMES_PER_SECOND if input_features.ndim == 4 else SAMPLES_PER_SECOND

    windows = input_features[heard].to(dtype=tower.dtype, device=tower.device)  # (M, ...)
    masks = audio_mask[heard]
    chunks = [
        tower(chunk, return_dict=True, **attention_mask_of(tower, mask), **record)
        for chunk, mask in zip(windows.split(WINDOWS_A_CHUNK), masks.split(WINDOWS_A_CHUNK), strict=True)
        if len(chunk)
    ]
    if not chunks:
        return silence(num_clips, width=width, tower=tower)
    features = torch.cat([chunk.last_hidden_state for chunk in chunks])  # (M, n, C)
    states = features.new_zeros(num_clips, num_windows, *features.shape[1:])
    states[heard] = features

    count = features.shape[1]
    middle = (torch.arange(count, device=features.device, dtype=torch.float32) + 0.5) / count  # of a window
    starts = torch.arange(num_windows, device=features.device).unsqueeze(1)
    real = audio_mask[..., (middle * length).long().clamp(max=length - 1).to(audio_mask.device)]  # (B, W, n)
    return AudioFeatures(
        states=states.flatten(1, 2),
        times=((starts + middle) * (length / rate)).flatten(),
        windows=starts.expand(-1, count).flatten(),
        mask=real.flatten(1).to(features.device),
        hidden_states=joined([chunk.get("hidden_states") for chunk in chunks]),
        attentions=joined([chunk.get("attentions") for chunk in chunks]),
    )


def attention_mask_of(tower: PreTrainedModel, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """The mask for towers that were trained with one: raw samples normalised layer by layer."""
    if getattr(tower.config, "feat_extract_norm", None) == "layer":
        return {"attention_mask": mask.long()}
    return {}


def silence(num_clips: int, *, width: int, tower: PreTrainedModel) -> AudioFeatures:
    """The features of clips none of which holds sound: none."""
    device = tower.device
    return AudioFeatures(
        states=torch.zeros(num_clips, 0, width, dtype=tower.dtype, device=device),
        times=torch.zeros(0, device=device),
        windows=torch.zeros(0, dtype=torch.long, device=device),
        mask=torch.zeros(num_clips, 0, dtype=torch.bool, device=device),
        hidden_states=None,
        attentions=None,
    )
