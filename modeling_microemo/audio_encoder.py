"""Encodes audio windows to features with timestamps, from log-mel spectrograms (Whisper) or raw samples."""

from dataclasses import dataclass

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from .placement import match_weight
from .visual_encoder import concatenate_layers

MEL_FRAMES_PER_SECOND = 100  # Whisper: hops of 160 samples at 16 kHz
SAMPLES_PER_SECOND = 16_000
WINDOWS_PER_CHUNK = 8


@dataclass(frozen=True)
class AudioFeatures:
    """Features of a batch of clips: W windows of n features each, concatenated to N = W * n.

    states: (B, N, C), zeros in windows without sound. times: (N,) float seconds, the centre of each feature.
    windows: (N,) long, index of the window. mask: (B, N) bool, False at padding. hidden_states, attentions: outputs of
    the tower for the windows that contain sound.
    """

    states: torch.Tensor
    times: torch.Tensor
    windows: torch.Tensor
    mask: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...] | None
    attentions: tuple[torch.Tensor, ...] | None


def build_audio_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """Builds the audio tower; of an encoder-decoder such as Whisper only the encoder."""
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
    """Runs the tower over the windows that contain sound, one chunk of windows at a time.

    Args:
        input_features: (B, W, mel, F) log-mel at 100 frames a second, or (B, W, F) samples at 16 kHz.
        audio_mask: (B, W, F) bool, True where sound is real; None: everywhere.
        width: C, the tower's width.
        record: additional outputs to return, see `recorded_outputs`.
    """
    if input_features.ndim not in (3, 4):
        raise ValueError(
            "input_features must be (B, W, mel, frames) or (B, W, samples), got shape "
            + str(tuple(input_features.shape))
        )
    if audio_mask is None:
        shape = (*input_features.shape[:2], input_features.shape[-1])
        audio_mask = torch.ones(shape, dtype=torch.bool, device=input_features.device)
    audio_mask = audio_mask.bool()
    has_sound = audio_mask.any(-1)  # (B, W)
    if not has_sound.any():
        return empty_features(len(has_sound), width=width, tower=tower)
    windows = match_weight(input_features[has_sound], next(tower.parameters()))  # (M, ...)
    masks = audio_mask[has_sound].to(windows.device)
    chunks = [
        tower(chunk, return_dict=True, **attention_mask_of(tower, mask), **record)
        for chunk, mask in zip(windows.split(WINDOWS_PER_CHUNK), masks.split(WINDOWS_PER_CHUNK), strict=True)
    ]
    features = torch.cat([chunk.last_hidden_state for chunk in chunks])  # (M, n, C)
    rate = MEL_FRAMES_PER_SECOND if input_features.ndim == 4 else SAMPLES_PER_SECOND
    times, feature_windows, mask = feature_times(
        audio_mask.to(features.device), num_features=features.shape[1], rate=rate
    )
    return AudioFeatures(
        states=_pad_silent_windows(features, has_sound),
        times=times,
        windows=feature_windows,
        mask=mask,
        hidden_states=concatenate_layers([chunk.get("hidden_states") for chunk in chunks]),
        attentions=concatenate_layers([chunk.get("attentions") for chunk in chunks]),
    )


def _pad_silent_windows(features: torch.Tensor, has_sound: torch.Tensor) -> torch.Tensor:
    """Features (M, n, C) of the M windows with sound -> (B, W * n, C), zeros where has_sound (B, W) is False."""
    states = features.new_zeros(*has_sound.shape, *features.shape[1:])
    states[has_sound.to(states.device)] = features
    return states.flatten(1, 2)


def feature_times(
    audio_mask: torch.Tensor, *, num_features: int, rate: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the features' times (W * n,) in seconds, window indices (W * n,) and padding mask (B, W * n).

    A feature is valid if the audio mask is True at its centre.

    Args:
        audio_mask: (B, W, F) bool.
        num_features: n, features per window.
        rate: entries of the mask per second.
    """
    _, num_windows, length = audio_mask.shape
    # Centre of each feature as a fraction of the window.
    centres = (torch.arange(num_features, device=audio_mask.device, dtype=torch.float32) + 0.5) / num_features
    windows = torch.arange(num_windows, device=audio_mask.device).unsqueeze(1)
    valid = audio_mask[..., (centres * length).long().clamp(max=length - 1)]  # (B, W, n)
    times = (windows + centres) * (length / rate)
    return times.flatten(), windows.expand(-1, num_features).flatten(), valid.flatten(1)


def attention_mask_of(tower: PreTrainedModel, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Keyword arguments with the attention mask, for towers that were trained with one (layer-normalised wav2vec2)."""
    if getattr(tower.config, "feat_extract_norm", None) == "layer":
        return {"attention_mask": mask.long()}
    return {}


def empty_features(num_clips: int, *, width: int, tower: PreTrainedModel) -> AudioFeatures:
    """Zero features per clip, for a batch without any sound."""
    states = match_weight(torch.zeros(num_clips, 0, width), next(tower.parameters()))
    device = states.device
    return AudioFeatures(
        states=states,
        times=torch.zeros(0, device=device),
        windows=torch.zeros(0, dtype=torch.long, device=device),
        mask=torch.zeros(num_clips, 0, dtype=torch.bool, device=device),
        hidden_states=None,
        attentions=None,
    )
