"""Packs the weights of linear layers for products with few rows, as in generation on a CPU.

PyTorch multiplies float32 matrices with MKL, which is slow if one of them has only a few rows (three times slower than
oneDNN on two AMD cores). oneDNN needs the weight in a packed layout. `torch.compile` packs frozen weights as well, but
takes most of a minute to compile a decoder. Packing takes a tenth of a second for 135 million weights, and the memory
of a second copy during generation.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@contextmanager
def packed_linears(*modules: nn.Module, rows: int) -> Iterator[None]:
    """Context manager in which float32 linear layers on the CPU use packed weights, in the current thread.

    For inference only: gradients are not supported, and weights must not change in the context. Other layers, and all
    layers if oneDNN is not available, are unaffected.

    Args:
        rows: approximate number of rows of the products.
    """
    weights = _packable_weights(modules)
    if not weights:
        yield
        return
    with _PackedLinears(weights, rows=rows):
        yield


class _PackedLinears(TorchFunctionMode):
    """Overrides `F.linear` for the given weights, without changing modules and only in the current thread."""

    def __init__(self, weights: list[torch.Tensor], *, rows: int) -> None:
        super().__init__()
        pack = torch.ops.mkldnn._reorder_linear_weight
        # The weight is stored with its packed form, so that its id is not reused.
        self.packed = {id(weight): (weight, pack(weight.detach(), rows)) for weight in weights}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is F.linear and not kwargs and (entry := self.packed.get(id(args[1]))) is not None:
            bias = args[2] if len(args) > 2 else None
            return torch.ops.mkldnn._linear_pointwise(args[0], entry[1], bias, "none", [], "")
        return function(*args, **(kwargs or {}))


def _packable_weights(modules: tuple[nn.Module, ...]) -> list[torch.Tensor]:
    """Returns the distinct weights; none if the machine or one of the modules does not support packing."""
    if not _has_packed_product() or any(module._compiled_call_impl is not None for module in modules):
        return []
    linears = [part for module in modules for part in module.modules() if isinstance(part, nn.Linear)]
    weights = {id(part.weight): part.weight for part in linears}
    return [weight for weight in weights.values() if _is_plain(weight)]


def _is_plain(weight: torch.Tensor) -> bool:
    """Whether the weight is a plain float32 tensor on the CPU: not quantized, sharded or offloaded."""
    return type(weight.data) is torch.Tensor and weight.device.type == "cpu" and weight.dtype == torch.float32


def _has_packed_product() -> bool:
    is_x86 = platform.machine() in ("x86_64", "AMD64") and not torch.is_autocast_enabled("cpu")
    has_onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return is_x86 and has_onednn and all(hasattr(torch.ops.mkldnn, name) for name in names)
