"""Whether tensors are finite, asked every step of every host, and so in as few calls as possible."""

import math
from collections.abc import Iterable

import torch
from torch._utils import _flatten_dense_tensors

# Elements up to which a tensor costs more in the call that sums it than in its elements; such are summed together.
SMALL = 1 << 15


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no floating-point or complex tensor holds NaN or Inf; healthy ones cost one read of each of their devices."""
    by_device: dict[torch.device, list[torch.Tensor]] = {}
    with torch.no_grad():
        for tensor in tensors:
            if tensor.is_floating_point():
                # Eight bits know no arithmetic.
                by_device.setdefault(tensor.device, []).append(tensor.float() if tensor.itemsize == 1 else tensor)
            elif tensor.is_complex():
                by_device.setdefault(tensor.device, []).append(torch.view_as_real(tensor.resolve_conj()))
        # A finite sum proves that every term is finite. One that is not may have overflowed, so then each tensor is asked.
        return all(
            math.isfinite(_sum(found).item()) or all(bool(torch.isfinite(tensor).all()) for tensor in found) for found in by_device.values()
        )


def held(module: torch.nn.Module) -> tuple[list[torch.nn.Parameter], list[torch.Tensor]]:
    """Parameters and buffers of a module and of everything below it, in one walk; tied ones as often as they are held."""
    modules = list(module.modules())
    parameters = [tensor for one in modules for tensor in one._parameters.values() if tensor is not None]
    return parameters, [tensor for one in modules for tensor in one._buffers.values() if tensor is not None]


def _sum(tensors: list[torch.Tensor]) -> torch.Tensor:
    small = [tensor for tensor in tensors if tensor.numel() <= SMALL]
    sums = [tensor.sum() for tensor in tensors if tensor.numel() > SMALL]
    if small:
        # In one call; most of what many small tensors cost is calls.
        sums.append(_flatten_dense_tensors(small).sum())
    return torch.stack([one.float() for one in sums]).sum() if len(sums) > 1 else sums[0]
