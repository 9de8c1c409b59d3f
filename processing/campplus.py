"""CAM++, a network for speaker embeddings (Wang et al. 2023, arXiv 2303.00332).

After the code of the 3D-Speaker project (Apache-2.0); the weights keep their names there. B segments, T frames of
10 ms, F mel bands, C channels.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

MEL_BANDS = 80
WIDTH = 192  # of an embedding
PICTURE_CHANNELS = 32  # of the 2D convolutions over time and frequency
START_CHANNELS = 128
GROWTH = 32  # channels added by a dense layer
BOTTLENECK = 128
BLOCKS = ((12, 1), (24, 2), (16, 2))  # dense layers, dilation
KERNEL = 3
CONTEXT_FRAMES = 100  # of 20 ms: a layer's mask uses their mean and the global mean


class CAMPlusPlus(nn.Module):
    """(B, T, F) log mel bands to (B, WIDTH) embeddings, not of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.head = _PictureHead()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["tdnn"] = _TimeConvolution(PICTURE_CHANNELS * MEL_BANDS // 8)
        channels = START_CHANNELS
        for number, (count, dilation) in enumerate(BLOCKS, start=1):
            layers[f"block{number}"] = _DenseBlock(channels, count=count, dilation=dilation)
            channels += count * GROWTH
            layers[f"transit{number}"] = _Transition(channels)
            channels //= 2
        layers["out_nonlinear"] = _norm_relu(channels)
        layers["stats"] = _Statistics()
        layers["dense"] = _Projection(2 * channels)
        self.xvector = nn.Sequential(layers)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.xvector(self.head(features.transpose(1, 2)))


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class _PictureHead(nn.Module):
    """2D convolutions over the spectrogram: (B, F, T) to (B, C, T), frequency reduced to an eighth."""

    def __init__(self) -> None:
        super().__init__()
        width = PICTURE_CHANNELS
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(_Residual(stride=2), _Residual(stride=1))
        self.layer2 = nn.Sequential(_Residual(stride=2), _Residual(stride=1))
        self.conv2 = nn.Conv2d(width, width, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        picture = torch.relu(self.bn1(self.conv1(bands[:, None])))
        picture = self.layer2(self.layer1(picture))
        return torch.relu(self.bn2(self.conv2(picture))).flatten(1, 2)


class _Residual(nn.Module):
    """Two convolutions and a shortcut; `stride` applies to frequency."""

    def __init__(self, *, stride: int) -> None:
        super().__init__()
        width = PICTURE_CHANNELS
        self.conv1 = nn.Conv2d(width, width, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width, width, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(picture)))))
        return torch.relu(inner + self.shortcut(picture))


class _TimeConvolution(nn.Module):
    """Reduces frames of 10 ms to frames of 20 ms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, START_CHANNELS, 5, stride=2, padding=2, bias=False)
        self.nonlinear = _norm_relu(START_CHANNELS)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.nonlinear(self.linear(states))


class _DenseBlock(nn.Module):
    """Densely connected layers: each gets the outputs of all previous ones."""

    def __init__(self, channels: int, *, count: int, dilation: int) -> None:
        super().__init__()
        for number in range(count):
            self.add_module(f"tdnnd{number + 1}", _DenseLayer(channels + number * GROWTH, dilation=dilation))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            states = torch.cat([states, layer(states)], dim=1)
        return states


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, *, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm_relu(BOTTLENECK)
        self.cam_layer = _ContextMask(dilation=dilation)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(states))))


class _ContextMask(nn.Module):
    """Context-aware masking (CAM): a convolution whose channels are weighted by the context."""

    def __init__(self, *, dilation: int) -> None:
        super().__init__()
        padding = (KERNEL - 1) // 2 * dilation
        self.linear_local = nn.Conv1d(BOTTLENECK, GROWTH, KERNEL, padding=padding, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        context = states.mean(-1, keepdim=True) + _segment_means(states)
        mask = torch.sigmoid(self.linear2(torch.relu(self.linear1(context))))
        return self.linear_local(states) * mask


def _segment_means(states: torch.Tensor) -> torch.Tensor:
    """(B, C, T): each frame replaced by the mean of its segment of `CONTEXT_FRAMES`."""
    means = functional.avg_pool1d(states, kernel_size=CONTEXT_FRAMES, stride=CONTEXT_FRAMES, ceil_mode=True)
    return means.repeat_interleave(CONTEXT_FRAMES, dim=-1)[..., : states.shape[-1]]


class _Transition(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = _norm_relu(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.linear(self.nonlinear(states))


class _Statistics(nn.Module):
    """(B, C, T) to the mean and standard deviation over time, (B, 2C)."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.cat([states.mean(-1), states.std(-1)], dim=-1)


class _Projection(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, WIDTH, 1, bias=False)
        self.nonlinear = nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(WIDTH, affine=False)))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.nonlinear(self.linear(states[..., None]).squeeze(-1))
