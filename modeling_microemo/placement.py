"""Where a part's inputs go when the parts of one model live in different places or types, and what suits a CPU."""

import torch
from torch import nn


def like_weight(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The states where a weight lies and in its type.

    A weight that waits on the disk has no place yet: whoever fetches it moves the inputs as well. A quantized weight
    has no type to compute in.
    """
    device = states.device if weight.is_meta else weight.device
    dtype = weight.dtype if weight.is_floating_point() else states.dtype
    return states.to(device=device, dtype=dtype)


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices several times as fast as float32 (AMX)."""
    return _can("amx_bf16")


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 at all (AMX, AVX512-BF16); elsewhere that takes a hundred times as long."""
    return _can("amx_bf16") or _can("avx512_bf16")


def _can(instructions: str) -> bool:
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
    return bool(known.get(instructions, False))


def lay_out_for_cpu(tower: nn.Module) -> None:
    """Orders the weights of a convolutional tower on a CPU as its convolutions read them: channels last.

    The features stay, but for the last digits.
    """
    for parameter in tower.parameters():
        if parameter.device.type == "cpu" and parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
