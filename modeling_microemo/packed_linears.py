"""Weights of linear layers laid out for a few rows at a time, as a step of generation on a CPU has them.

PyTorch multiplies float32 matrices through MKL, which is slow where one of them has a handful of rows (three times
slower than oneDNN on two AMD cores). oneDNN's product wants the weight in an order of its own; `torch.compile` lays
frozen weights out like that too, but takes most of a minute to compile a decoder. Here it costs a tenth of a second
for 135 million weights, and the memory of a second copy while the answers are written.
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
    """Within the context and in its thread, the modules' float32 linear layers on the CPU use weights laid out anew.

    For inference: no gradient passes, and a weight must not change meanwhile. Other layers, and all layers where
    oneDNN is not there, compute as ever.

    Args:
        rows: how many rows a product has, about.
    """
    weights = _packable_weights(modules)
    if not weights:
        yield
        return
    with _PackedLinears(weights, rows=rows):
        yield


class _PackedLinears(TorchFunctionMode):
    """Answers `F.linear` for some weights: no module is changed, and no other thread sees it."""

    def __init__(self, weights: list[torch.Tensor], *, rows: int) -> None:
        super().__init__()
        pack = torch.ops.mkldnn._reorder_linear_weight
        # Beside its packed form each weight itself, so that its id stays its own.
        self.packed = {id(weight): (weight, pack(weight.detach(), rows)) for weight in weights}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is F.linear and not kwargs and (found := self.packed.get(id(args[1]))) is not None:
            bias = args[2] if len(args) > 2 else None
            return torch.ops.mkldnn._linear_pointwise(args[0], found[1], bias, "none", [], "")
        return function(*args, **(kwargs or {}))


def _packable_weights(modules: tuple[nn.Module, ...]) -> list[torch.Tensor]:
    """Each weight once; none where this machine or one of the modules does not suit."""
    if not _has_packed_product() or any(module._compiled_call_impl is not None for module in modules):
        return []
    linears = [part for module in modules for part in module.modules() if isinstance(part, nn.Linear)]
    weights = {id(part.weight): part.weight for part in linears}
    return [weight for weight in weights.values() if _is_plain(weight)]


def _is_plain(weight: torch.Tensor) -> bool:
    """A tensor of numbers in memory: not one that is quantized, sharded, or elsewhere."""
    return type(weight.data) is torch.Tensor and weight.device.type == "cpu" and weight.dtype == torch.float32


def _has_packed_product() -> bool:
    here = platform.machine() in ("x86_64", "AMD64") and not torch.is_autocast_enabled("cpu")
    onednn = torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return here and onednn and all(hasattr(torch.ops.mkldnn, name) for name in names)
