"""Arenas: flat storage that a whole state is copied into and out of at the speed of memory.

A copy of many small tensors costs less in bytes than in everything around them: a Python call a tensor, pages that the
system hands out one by one, a finiteness check a tensor. So an arena holds one flat tensor a dtype, whose pages exist
before it is used, with a view for every tensor; views and the lists of live tensors are made once and kept. What is left
in a steady state is one scan whether the live tensors are still those that were bound, one fused copy a dtype, and one
sum a dtype that says whether all of it is finite.
"""

import cmath
import json
import math
import mmap
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter, is_
from typing import Any

import numpy as np
import torch
import xxhash

from tolaria.errors import TolariaError
from tolaria.governor.governed import Spec

# Every tensor of an arena begins on a cache line.
ALIGNMENT = 64
# Huge pages save a tenth of a copy that no cache holds; smaller flats would waste more than they save.
HUGE_PAGE = 2 << 20
HUGE_FROM = 4 << 20

Layout = dict[str, Spec]
Raw = np.ndarray[Any, np.dtype[np.uint8]]
# Called before a tensor is copied, with its number.
BeforeCopy = Callable[[int], object]

_shape = attrgetter("shape")


class LayoutChanged(TolariaError):
    """A live tensor was given another shape or dtype in place; what was planned for it no longer fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The live tensors of one state as they were last seen: `raws` are the bytes of those that lie flat in host memory.

    `others` are detached views of the rest, with their names, by dtype. Views keep replaced storage alive until the next
    scan, and so its address cannot be given to another tensor meanwhile: an equal address means the same storage.
    """

    names: tuple[str, ...]
    live: tuple[torch.Tensor, ...]
    pointers: list[int]
    shapes: list[torch.Size]
    layout: Layout
    raws: dict[str, Raw]
    others: dict[torch.dtype, dict[str, torch.Tensor]]
    device: torch.device
    cuda_devices: frozenset[torch.device]

    @staticmethod
    def to(tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Look at every live tensor once."""
        live = tuple(tensors.values())
        device = live[0].device if live else torch.device("cpu")
        raws: dict[str, Raw] = {}
        others: dict[torch.dtype, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if device.type == tensor.device.type == "cpu" and tensor.is_contiguous():
                raws[name] = _raw(tensor)
            else:
                others.setdefault(tensor.dtype, {})[name] = tensor.detach()
        return Bound(
            tuple(tensors),
            live,
            [tensor.data_ptr() for tensor in live],
            [tensor.shape for tensor in live],
            layout_of(tensors),
            raws,
            others,
            device,
            frozenset(tensor.device for tensor in live if tensor.is_cuda),
        )

    def is_fresh(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Whether these are the same tensors in the same storage with the same shapes."""
        live = tensors.values()
        return (
            len(live) == len(self.live)
            and tuple(tensors) == self.names
            and all(map(is_, live, self.live))
            and list(map(torch.Tensor.data_ptr, live)) == self.pointers
            and list(map(_shape, live)) == self.shapes
        )

    def renewed(self, tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Bound to the tensors as they are now; raises `LayoutChanged` where one of them is no longer what was planned for."""
        if self.is_fresh(tensors):
            return self
        for name, known in zip(self.names, self.live, strict=True):
            if tensors.get(name) is known and _spec(known) != self.layout[name]:
                raise LayoutChanged(f"{name}: {_spec(known)} where {self.layout[name]} was")
        return Bound.to(tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """Flat storage for one layout, with a view for every tensor, and its bytes where they lie in host memory.

    `columns` are the views by dtype, because mixed dtypes fall off the fast path of a fused copy; `layout_text` is the layout
    as the digest reads it.
    """

    layout: Layout
    layout_text: bytes
    flats: dict[torch.dtype, torch.Tensor]
    views: dict[str, torch.Tensor]
    columns: dict[torch.dtype, dict[str, torch.Tensor]]
    raws: dict[str, Raw]

    @staticmethod
    def allocate(layout: Layout, device: torch.device) -> "Arena":
        """Zeroed storage, so that its pages exist before the first snapshot is timed. The layout is one of `layout_of`."""
        offsets: dict[str, int] = {}
        sizes: dict[torch.dtype, int] = {}
        for name, (shape, dtype) in layout.items():
            offsets[name] = sizes.get(dtype, 0)
            step = max(1, ALIGNMENT // dtype.itemsize)
            sizes[dtype] = offsets[name] + (math.prod(shape) + step - 1) // step * step
        flats = {dtype: prefaulted(size, dtype, device) for dtype, size in sizes.items()}
        views = {
            name: flats[dtype][offsets[name] : offsets[name] + math.prod(shape)].view(shape) for name, (shape, dtype) in layout.items()
        }
        columns = {dtype: {name: view for name, view in views.items() if view.dtype is dtype} for dtype in flats}
        raws = {name: _raw(view) for name, view in views.items()} if device.type == "cpu" else {}
        return Arena(layout, repr(layout).encode(), flats, views, columns, raws)

    def fits(self, bound: Bound) -> bool:
        """Whether the tensors that are bound can be copied here without allocating anything."""
        same = self.layout is bound.layout or self.layout == bound.layout
        return same and all(flat.device == bound.device for flat in self.flats.values())

    def copy_in(self, bound: Bound, before_copy: BeforeCopy | None) -> None:
        """From the live tensors: all at once, or tensor by tensor where somebody wants to be asked before each."""
        if before_copy is None:
            targets = self.raws
            for name, raw in bound.raws.items():
                targets[name][...] = raw
            for sources in bound.others.values():
                torch._foreach_copy_([self.views[name] for name in sources], list(sources.values()))
            return
        with torch.no_grad():
            for index, (name, tensor) in enumerate(zip(bound.names, bound.live, strict=True)):
                before_copy(index)
                self.views[name].copy_(tensor)

    def copy_out(self, names: Collection[str], live: Mapping[str, torch.Tensor], before_copy: BeforeCopy | None) -> None:
        """Back into the live tensors of these names, by torch: their version counters go up, and a pending backward pass notices."""
        with torch.no_grad():
            if before_copy is not None:
                for index, name in enumerate(names):
                    before_copy(index)
                    live[name].copy_(self.views[name])
                return
            for column in self.columns.values():
                chosen = column if len(names) == len(self.views) else {name: view for name, view in column.items() if name in names}
                torch._foreach_copy_([live[name] for name in chosen], list(chosen.values()))

    def digest(self, facts: dict[str, Any]) -> str:
        """xxh3-128 over the raw bytes of every flat tensor, the layout and the facts."""
        hasher = xxhash.xxh3_128()
        for dtype, flat in self.flats.items():
            hasher.update(str(dtype).encode())
            hasher.update(flat.cpu().view(torch.uint8).numpy().data)
        hasher.update(self.layout_text)
        hasher.update(json.dumps(facts, sort_keys=True).encode())
        return hasher.hexdigest()

    def nonfinite(self) -> tuple[str, ...]:
        """Names of the tensors that hold NaN or Inf."""
        floats = [flat for flat in self.flats.values() if _may_be_nonfinite(flat)]
        # A finite sum proves that every term is finite. One that is not may have overflowed, so then each tensor is asked.
        # A dot product with itself would prove it too, but it overflows sooner and starts threads of its own.
        if all(cmath.isfinite(flat.sum().item()) for flat in floats):
            return ()
        return tuple(name for name, view in self.views.items() if _may_be_nonfinite(view) and not bool(torch.isfinite(view).all()))


def layout_of(tensors: Mapping[str, torch.Tensor]) -> Layout:
    """Shapes and dtypes by name, sorted: a digest must not depend on the order in which tensors come back from a checkpoint."""
    return {name: _spec(tensors[name]) for name in sorted(tensors)}


def prefaulted(size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A flat tensor of zeros on a cache line whose pages exist; in huge pages where it is large and the system has them."""
    if device.type == "cpu" and sys.platform == "linux" and size * dtype.itemsize >= HUGE_FROM:
        return _in_huge_pages(size * dtype.itemsize).view(dtype)
    return torch.empty(size, dtype=dtype, device=device).zero_()


def _in_huge_pages(size: int) -> torch.Tensor:
    # Private, because shared memory has huge pages by another setting only. The tensor keeps the mapping alive.
    mapping = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(mapping, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_PAGE
    return whole[start : start + size].zero_()


def _raw(tensor: torch.Tensor) -> Raw:
    # By way of a flat view, because what has no dimension cannot be seen as bytes. Bytes, because NumPy knows no bfloat16.
    raw: Raw = tensor.detach().view(-1).view(torch.uint8).numpy()
    return raw


def _spec(tensor: torch.Tensor) -> Spec:
    return tuple(tensor.shape), tensor.dtype


def _may_be_nonfinite(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
