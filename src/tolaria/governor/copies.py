"""Copies between tensors of any kind: conjugates, tensors from inference, and such as show one element many times."""

from itertools import compress

import torch


def is_lazy(tensor: torch.Tensor) -> bool:
    """Whether its numbers are not what its bytes say until somebody asks for them."""
    return tensor.is_conj() or tensor.is_neg()


def _is_alone(tensor: torch.Tensor) -> bool:
    """Whether a fused copy refuses it."""
    return tensor.is_inference() or is_lazy(tensor) or 0 in tensor.stride()


def copy_fused(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
    """Each source into its target of the same shape: in one call, but for those that such a call refuses."""
    alone = [_is_alone(target) or _is_alone(source) for target, source in zip(targets, sources, strict=True)]
    for target, source in zip(compress(targets, alone), compress(sources, alone), strict=True):
        copy_alone(target, source)
    if not all(alone):
        fused = [not one for one in alone]
        torch._foreach_copy_(list(compress(targets, fused)), list(compress(sources, fused)))


def copy_alone(target: torch.Tensor, source: torch.Tensor) -> None:
    """One source into its target of the same shape, whatever kind of tensor that is."""
    # Inside, because leaving inference mode switches gradients on.
    with torch.inference_mode(target.is_inference()), torch.no_grad():
        for dim, (stride, size) in enumerate(zip(target.stride(), target.shape, strict=True)):
            if stride == 0 and size > 1:
                # One element that is seen many times is written once.
                source, target = source.narrow(dim, 0, 1), target.narrow(dim, 0, 1)
        target.copy_(source)
