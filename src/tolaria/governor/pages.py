"""Memory that is there before it is used: pages that the system would otherwise hand out one by one, in the middle of a copy."""

import mmap
import sys

import torch

# Every tensor of an arena begins on a cache line.
ALIGNMENT = 64
# Huge pages save a tenth of a copy that no cache holds; smaller flats would waste more than they save.
HUGE_PAGE = 2 << 20
HUGE_FROM = 4 << 20

# A slice of one memoryview takes those of another with less around the copy than any array does, which shows where states are small.
Raw = memoryview


def prefaulted(size: int, dtype: torch.dtype, device: torch.device, pinned: bool = False) -> torch.Tensor:
    """A flat tensor of zeros on a cache line whose pages exist; in huge pages where it is large and the system has them.

    `pinned` is host memory that a device reads and writes without the host's help.
    """
    if pinned:
        return torch.zeros(size, dtype=dtype, pin_memory=True)
    if device.type == "cpu" and sys.platform == "linux" and size * dtype.itemsize >= HUGE_FROM:
        return _in_huge_pages(size * dtype.itemsize).view(dtype)
    return torch.empty(size, dtype=dtype, device=device).zero_()


def raw_bytes(tensor: torch.Tensor) -> Raw:
    """The bytes of a contiguous tensor in host memory, sharing its storage."""
    # By way of a flat view, because what has no dimension cannot be seen as bytes. Bytes, because NumPy knows no bfloat16.
    return tensor.detach().view(-1).view(torch.uint8).numpy().data


def _in_huge_pages(size: int) -> torch.Tensor:
    # Private, because shared memory has huge pages by another setting only. The tensor keeps the mapping alive.
    mapping = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(mapping, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_PAGE
    return whole[start : start + size].zero_()
