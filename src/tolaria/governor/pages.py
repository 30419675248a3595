"""Memory that is there before it is used: pages that the system would otherwise hand out one by one, in the middle of a copy."""

import ctypes
import mmap
import sys
from typing import Any, Protocol

import numpy as np
import torch

# Every tensor of an arena begins on a cache line.
ALIGNMENT = 64
# Huge pages save a tenth of a copy that no cache holds; smaller flats would waste more than they save.
HUGE_PAGE = 2 << 20
HUGE_FROM = 4 << 20
# States from this size on share huge pages among their arenas; of smaller ones caches and page tables keep enough anyway.
SHARED_FROM = 64 << 10

# Tensors from this size on are copied by NumPy, smaller ones by libc.
STREAMED_FROM = 256 << 10
_or = np.bitwise_or
_touch = np.bitwise_or.reduce


class Raw(Protocol):
    """Bytes where they are: assigning to a slice copies into it. A memoryview is one, and has the least around a copy."""

    def __len__(self) -> int:
        """How many bytes."""

    def __getitem__(self, part: slice, /) -> "Raw":
        """Some of them, where they are."""

    def __setitem__(self, part: slice, source: Any, /) -> None:
        """Copy as many others into a part."""


class Streamed:
    """The bytes of a large tensor, copied by a vector loop of NumPy.

    Where no cache holds both sides, libc's string instructions were a sixth slower than that; within caches, and of less than
    `STREAMED_FROM` bytes, they were faster. `pages` has a byte of every page where these are small. They are read before the copy:
    finding one page after the other in the middle of it took a tenth more.
    """

    __slots__ = ("array", "pages")

    def __init__(self, array: np.ndarray, in_small_pages: bool) -> None:
        self.array = array
        self.pages = array[:: mmap.PAGESIZE] if in_small_pages else None

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, part: slice) -> "Streamed":
        return Streamed(self.array[part], self.pages is not None)

    def __setitem__(self, part: slice, source: "Streamed") -> None:
        if self.pages is not None:
            _touch(self.pages)
        if source.pages is not None:
            _touch(source.pages)
        # Of all loops that leave bytes as they are, the fastest.
        _or(source.array, source.array, self.array[part])


class SharedPages:
    """Huge pages that the arenas of one small state share, so that none of them wastes most of a page.

    There is room for so many copies of the state as it is. What is given back is not given out again: a state that has grown since
    has pages of its own for what is new.
    """

    def __init__(self, state: int, copies: int) -> None:
        fits = sys.platform == "linux" and SHARED_FROM <= state < HUGE_FROM
        self._left = _in_huge_pages(state * copies) if fits else torch.empty(0, dtype=torch.uint8)

    def take(self, size: int) -> torch.Tensor | None:
        """So many bytes of zeros on a cache line; None where they do not fit any more."""
        if not 0 < size <= len(self._left):
            return None
        taken = self._left[:size]
        self._left = self._left[size + -size % ALIGNMENT :]
        return taken


def prefaulted(
    size: int, dtype: torch.dtype, device: torch.device, pinned: bool = False, shared: SharedPages | None = None
) -> torch.Tensor:
    """A flat tensor of zeros on a cache line whose pages exist; in huge pages where there are some to share, or it is large.

    `pinned` is host memory that a device reads and writes without the host's help.
    """
    if pinned:
        return torch.zeros(size, dtype=dtype, pin_memory=True)
    if device.type == "cpu":
        found = shared.take(size * dtype.itemsize) if shared is not None else None
        if found is None and sys.platform == "linux" and size * dtype.itemsize >= HUGE_FROM:
            found = _in_huge_pages(size * dtype.itemsize)
        if found is not None:
            return found.view(dtype).zero_()
    return torch.empty(size, dtype=dtype, device=device).zero_()


def raw_bytes(tensor: torch.Tensor, in_small_pages: bool = False) -> Raw:
    """The bytes of a contiguous tensor in host memory, where they are. Whoever holds them must hold its storage as well.

    `in_small_pages`: it is not one of those that lie in huge pages here.
    """
    raw = memory_of(tensor)
    return raw if len(raw) < STREAMED_FROM else Streamed(np.frombuffer(raw, np.uint8), in_small_pages)


def readable(raw: Raw) -> Any:
    """What a digest can read."""
    return raw.array if isinstance(raw, Streamed) else raw


def memory_of(tensor: torch.Tensor) -> memoryview:
    """The same for whoever reads them, however many there are.

    By address, because an array made of it would forbid its owner to resize it from then on.
    """
    return memoryview((ctypes.c_ubyte * tensor.nbytes).from_address(tensor.data_ptr())).cast("B")


def _in_huge_pages(size: int) -> torch.Tensor:
    # Private, because shared memory has huge pages by another setting only. The tensor keeps the mapping alive. Wherever the mapping
    # begins, there must be room for whole pages, the last one included.
    whole_pages = size + -size % HUGE_PAGE
    mapping = mmap.mmap(-1, whole_pages + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(mapping, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_PAGE
    return whole[start : start + size]
