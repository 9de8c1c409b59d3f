"""Which expression moves in a face, and when: a temporal transformer over optical flow alone."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoDynamicsConfig
from .dynamics_layer import DynamicsLayer
from .flow_stem import FlowStem
from .time_band import pack_order, time_band


class FlowDynamics(nn.Module):
    """Face crops -> one token of the flow for each, which knows the moments around it."""

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        self.config = config
        self.stem = FlowStem(config)
        self.layers = nn.ModuleList(DynamicsLayer(config, one_token=True) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixel_values: torch.Tensor, *, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """pixel_values (N, 3, h, w), times (N,) and groups (N,) as in `MicroDynamics`, in any order -> (N, D)."""
        order = pack_order(times, groups)
        times, groups = times[order], groups[order]
        band = time_band(times, groups, window_seconds=self.config.dynamics_window_seconds)
        states = self.stem(pixel_values[order], times=times, groups=groups).unsqueeze(1)
        for layer in self.layers:
            states = layer(states, times, band)
        return self.norm(states).squeeze(1)[torch.argsort(order)]
