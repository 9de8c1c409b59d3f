"""Where a part's inputs go when the parts of one model live in different places or types."""

import torch


def like_weight(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The states where a weight lies and in its type.

    A weight that waits on the disk has no place yet: whoever fetches it moves the inputs as well. A quantized weight
    has no type to compute in.
    """
    device = states.device if weight.is_meta else weight.device
    dtype = weight.dtype if weight.is_floating_point() else states.dtype
    return states.to(device=device, dtype=dtype)
