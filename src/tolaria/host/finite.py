"""Whether tensors are finite, asked every step of every host, and so in as few calls as possible."""

import math
from collections.abc import Iterable

import torch

# Elements up to which a tensor costs more in the call that sums it than in its elements; such are summed together.
SMALL = 1 << 15


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no floating-point tensor holds NaN or Inf; healthy ones cost one read of each of their devices."""
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    for tensor in tensors:
        if tensor.is_floating_point():
            by_device.setdefault(tensor.device, []).append(tensor)
    with torch.no_grad():
        # A finite sum proves that every term is finite. One that is not may have overflowed, so then each tensor is asked.
        return all(
            math.isfinite(_sum(found).item()) or all(bool(torch.isfinite(tensor).all()) for tensor in found) for found in by_device.values()
        )


def _sum(tensors: list[torch.Tensor]) -> torch.Tensor:
    small = [tensor.reshape(-1) for tensor in tensors if tensor.numel() <= SMALL]
    sums = [tensor.sum().float() for tensor in tensors if tensor.numel() > SMALL]
    if small:
        sums.append(torch.cat(small).sum().float())
    return torch.stack(sums).sum() if len(sums) > 1 else sums[0]
