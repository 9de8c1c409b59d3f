"""Device, data type and memory layout of parts of the model."""

import torch
from torch import nn


def match_weight(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Moves the states to the device and data type of a weight.

    Parts of one model may be on different devices or have different types. A weight offloaded to the disk is on the
    meta device; the hook that loads it moves the inputs as well. A quantized weight does not determine the type.
    """
    device = states.device if weight.is_meta else weight.device
    dtype = weight.dtype if weight.is_floating_point() else states.dtype
    return states.to(device=device, dtype=dtype)


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices several times faster than float32 (AMX)."""
    return _supports("amx_bf16")


def has_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions (AMX, AVX512-BF16); without them it is a hundred times slower."""
    return _supports("amx_bf16") or _supports("avx512_bf16")


def _supports(instructions: str) -> bool:
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    return bool(capabilities.get(instructions, False))


def lay_out_for_cpu(tower: nn.Module) -> None:
    """Converts the weights of a convolutional tower on a CPU to channels last, which is faster.

    The features are equal up to rounding.
    """
    for parameter in tower.parameters():
        if parameter.device.type == "cpu" and parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
