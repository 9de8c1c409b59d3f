"""Audio windows -> features with their times, for Whisper's log-mel front end and for towers that take raw samples."""

from dataclasses import dataclass

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from .placement import like_weight
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
    if audio_mask is None:
        shape = (*input_features.shape[:2], input_features.shape[-1])
        audio_mask = torch.ones(shape, dtype=torch.bool, device=input_features.device)
    audio_mask = audio_mask.bool()
    heard = audio_mask.any(-1)  # (B, W)
    if not heard.any():
        return silence(len(heard), width=width, tower=tower)
    windows = like_weight(input_features[heard], next(tower.parameters()))  # (M, ...)
    masks = audio_mask[heard].to(windows.device)
    chunks = [
        tower(chunk, return_dict=True, **attention_mask_of(tower, mask), **record)
        for chunk, mask in zip(windows.split(WINDOWS_A_CHUNK), masks.split(WINDOWS_A_CHUNK), strict=True)
    ]
    features = torch.cat([chunk.last_hidden_state for chunk in chunks])  # (M, n, C)
    rate = MEL_FRAMES_PER_SECOND if input_features.ndim == 4 else SAMPLES_PER_SECOND
    times, windows_of_features, real = place_in_time(
        audio_mask.to(features.device), count=features.shape[1], rate=rate
    )
    return AudioFeatures(
        states=_laid_out(features, heard),
        times=times,
        windows=windows_of_features,
        mask=real,
        hidden_states=joined([chunk.get("hidden_states") for chunk in chunks]),
        attentions=joined([chunk.get("attentions") for chunk in chunks]),
    )


def _laid_out(features: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
    """Features (M, n, C) of the M windows with sound, heard (B, W), laid out (B, W * n, C) with zeros between."""
    states = features.new_zeros(*heard.shape, *features.shape[1:])
    states[heard.to(states.device)] = features
    return states.flatten(1, 2)


def place_in_time(
    audio_mask: torch.Tensor, *, count: int, rate: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """When each feature is heard, (W * n,) seconds, in which window, (W * n,), and whether it is real, (B, W * n).

    A feature is as real as the sound in its middle.

    Args:
        audio_mask: (B, W, F) bool. count: n, features a window. rate: entries of the mask a second.
    """
    _, num_windows, length = audio_mask.shape
    middle = (torch.arange(count, device=audio_mask.device, dtype=torch.float32) + 0.5) / count  # of a window
    starts = torch.arange(num_windows, device=audio_mask.device).unsqueeze(1)
    real = audio_mask[..., (middle * length).long().clamp(max=length - 1)]  # (B, W, n)
    times = (starts + middle) * (length / rate)
    return times.flatten(), starts.expand(-1, count).flatten(), real.flatten(1)


def attention_mask_of(tower: PreTrainedModel, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """The mask for towers that were trained with one: raw samples normalised layer by layer."""
    if getattr(tower.config, "feat_extract_norm", None) == "layer":
        return {"attention_mask": mask.long()}
    return {}


def silence(num_clips: int, *, width: int, tower: PreTrainedModel) -> AudioFeatures:
    """The features of clips none of which holds sound: none."""
    states = like_weight(torch.zeros(num_clips, 0, width), next(tower.parameters()))
    device = states.device
    return AudioFeatures(
        states=states,
        times=torch.zeros(0, device=device),
        windows=torch.zeros(0, dtype=torch.long, device=device),
        mask=torch.zeros(num_clips, 0, dtype=torch.bool, device=device),
        hidden_states=None,
        attentions=None,
    )
