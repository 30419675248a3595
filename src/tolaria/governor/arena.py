"""Arenas: flat storage that a whole state is copied into and out of at the speed of memory.

A copy of many small tensors costs less in bytes than in everything around them: a Python call a tensor, pages that the
system hands out one by one, a finiteness check a tensor. So an arena holds one flat tensor a segment and dtype, whose pages
exist before it is used, with a view for every tensor; views and the lists of live tensors are made once and kept. What is
left in a steady state is one scan whether the live tensors are still those that were bound, one copy a tensor, and one sum
a run of neighbours, taken while caches still hold what was copied, that says whether all of it is finite.
"""

import cmath
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter, is_
from typing import Any

import torch
import xxhash

from tolaria.errors import TolariaError
from tolaria.governor.pages import Raw, raw_bytes
from tolaria.governor.segments import IN_HOST_MEMORY, Layout, Segment, layout_of, planned, spec_of

# Called before a tensor is copied, with its number.
BeforeCopy = Callable[[int], object]

CPU = torch.device("cpu")
SMALL_RANGE = 1e5
# What goes back to a device goes in pieces of about this size: large enough for the speed of the bus, and small beside any state.
STAGED_BYTES = 32 << 20
_shape = attrgetter("shape")


class LayoutChanged(TolariaError):
    """A live tensor was given another shape or dtype in place; what was planned for it no longer fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The live tensors of one state as they were last seen.

    `raws` are the bytes of those that lie flat in host memory, in the order of the layout. `others` are detached views of the
    rest, with their names, by device and dtype. Views keep replaced storage alive until the next scan, and so its address
    cannot be given to another tensor meanwhile: an equal address means the same storage. `flat` are those whose elements lie in
    order, on whatever device; `strides` are of the rest. `in_host_memory` names tensors that lie there although the first one
    does not.
    """

    names: tuple[str, ...]
    live: tuple[torch.Tensor, ...]
    pointers: tuple[int, ...]
    shapes: tuple[torch.Size, ...]
    flat: tuple[torch.Tensor, ...]
    strides: tuple[tuple[torch.Tensor, tuple[int, ...]], ...]
    layout: Layout
    raws: tuple[Raw | None, ...]
    others: dict[tuple[torch.device, torch.dtype], dict[str, torch.Tensor]]
    device: torch.device
    cuda_devices: frozenset[torch.device]
    in_host_memory: frozenset[str]

    @staticmethod
    def to(tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Look at every live tensor once."""
        live = tuple(tensors.values())
        device = live[0].device if live else CPU
        raws: dict[str, Raw] = {}
        others: dict[tuple[torch.device, torch.dtype], dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if device.type == tensor.device.type == "cpu" and tensor.is_contiguous():
                raws[name] = raw_bytes(tensor)
            else:
                others.setdefault((tensor.device, tensor.dtype), {})[name] = tensor.detach()
        layout = layout_of(tensors)
        return Bound(
            tuple(tensors),
            live,
            tuple(tensor.data_ptr() for tensor in live),
            tuple(tensor.shape for tensor in live),
            tuple(tensor for tensor in live if tensor.is_contiguous()),
            tuple((tensor, tensor.stride()) for tensor in live if not tensor.is_contiguous()),
            layout,
            tuple(raws.get(name) for name in layout),
            others,
            device,
            frozenset(tensor.device for tensor in live if tensor.is_cuda),
            frozenset(name for name, tensor in tensors.items() if tensor.device.type == "cpu" != device.type),
        )

    def is_fresh(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Whether these are the same tensors in the same storage with the same shapes, and their elements in the same order."""
        # One pass a question, by functions that are written in C: after training, what costs is all that caches have lost.
        live = tensors.values()
        return (
            tuple(tensors) == self.names
            and all(map(is_, live, self.live))
            and tuple(map(torch.Tensor.data_ptr, live)) == self.pointers
            and tuple(map(_shape, live)) == self.shapes
            and all(map(torch.Tensor.is_contiguous, self.flat))
            and all(tensor.stride() == stride for tensor, stride in self.strides)
        )

    def renewed(self, tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Bound to the tensors as they are now; raises `LayoutChanged` where one of them is no longer what was planned for."""
        if self.is_fresh(tensors):
            return self
        for name, known in zip(self.names, self.live, strict=True):
            if tensors.get(name) is known and spec_of(known) != self.layout[name]:
                raise LayoutChanged(f"{name}: {spec_of(known)} where {self.layout[name]} was")
        return Bound.to(tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """Flat storage for one layout, segment by segment, with a view for every tensor, and its bytes where they lie in host memory.

    `columns` are the views by dtype, because mixed dtypes fall off the fast path of a fused copy; `layout_text` is the layout
    as the digest reads it.
    """

    layout: Layout
    layout_text: bytes
    device: torch.device
    pinned: bool
    segments: dict[str, Segment]
    views: dict[str, torch.Tensor]
    columns: tuple[dict[str, torch.Tensor], ...]
    raws: dict[str, Raw]
    runs: tuple["Run", ...]

    @staticmethod
    def allocate(
        layout: Layout,
        device: torch.device,
        pinned: bool = False,
        in_host_memory: frozenset[str] = frozenset(),
        kept: Mapping[str, Segment] | None = None,
    ) -> "Arena":
        """Storage for a layout of `layout_of`; a segment of `kept` that is still right is used as it is, wherever its neighbours go."""
        segments: dict[str, Segment] = {}
        for key, part in planned(layout, in_host_memory).items():
            old = (kept or {}).get(key)
            segments[key] = old if old is not None and old.layout == part else Segment.allocate(part, device, pinned)
        views = {name: segment.views[name] for segment in segments.values() for name in segment.views}
        views = {name: views[name] for name in layout}
        raws = {name: raw_bytes(view) for name, view in views.items()} if device.type == "cpu" else {}
        places = {name: index for index, name in enumerate(layout)}
        runs = tuple(
            Run(tuple((places[name], raws[name]) for name in names), piece, may_be_nonfinite(piece), is_small(piece))
            for segment in segments.values()
            for names, piece in (segment.runs() if raws else ())
        )
        return Arena(layout, repr(layout).encode(), device, pinned, segments, views, _by_dtype(views), raws, runs)

    @property
    def flats(self) -> tuple[torch.Tensor, ...]:
        """All of its storage."""
        return tuple(flat for segment in self.segments.values() for flat in segment.flats.values())

    def fits(self, bound: Bound) -> bool:
        """Whether the tensors that are bound can be copied here without allocating anything."""
        return self.layout is bound.layout or self.layout == bound.layout

    def copy_in(self, bound: Bound, before_copy: BeforeCopy | None) -> None:
        """From the live tensors: all at once, or tensor by tensor where somebody wants to be asked before each."""
        if before_copy is None:
            for run in self.runs:
                run.copy_in(bound.raws)
            self._copy_others(bound)
            return
        with torch.no_grad():
            for index, (name, tensor) in enumerate(zip(bound.names, bound.live, strict=True)):
                before_copy(index)
                self.views[name].copy_(tensor)

    def copy_in_checked(self, bound: Bound) -> tuple[str, ...]:
        """`copy_in` and `nonfinite` at once: the copy is read again while caches still hold it."""
        self._copy_others(bound)
        sources = bound.raws
        total: complex = 0.0
        for run in self.runs:
            run.copy_in(sources)
            if run.is_checked:
                total += run.sum()
        # Only of a finite number is this zero; right after training, calling a function that was not called since is what costs.
        return () if self.runs and total - total == 0.0 else self.nonfinite()

    def copy_out(self, names: Collection[str], live: Mapping[str, torch.Tensor], before_copy: BeforeCopy | None) -> None:
        """Back into the live tensors of these names, by torch: their version counters go up, and a pending backward pass notices."""
        with torch.no_grad():
            if before_copy is not None:
                for index, name in enumerate(names):
                    before_copy(index)
                    live[name].copy_(self.views[name])
                return
            for column in self._columns_for(names, live):
                chosen = column if len(names) == len(self.views) else {name: view for name, view in column.items() if name in names}
                torch._foreach_copy_(list(map(live.__getitem__, chosen)), list(chosen.values()))

    def digest(self, facts: dict[str, Any]) -> str:
        """xxh3-128 over the raw bytes of every tensor by name, the layout and the facts; wherever each of them is stored."""
        hasher = xxhash.xxh3_128()
        raws = self.raws or {name: raw_bytes(view.cpu()) for name, view in self.views.items()}
        for raw in raws.values():
            hasher.update(raw)
        hasher.update(self.layout_text)
        hasher.update(json.dumps(facts, sort_keys=True).encode())
        return hasher.hexdigest()

    def nonfinite(self) -> tuple[str, ...]:
        """Names of the tensors that hold NaN or Inf."""
        # A finite sum proves that every term is finite. One that is not may have overflowed, so then each tensor is asked.
        # A dot product with itself would prove it too, but it overflows sooner and starts threads of its own.
        if all(cmath.isfinite(sum_of(flat).item()) for flat in self.flats if may_be_nonfinite(flat)):
            return ()
        suspects = {name: view for name, view in self.views.items() if may_be_nonfinite(view)}
        return tuple(name for name, view in suspects.items() if not bool(torch.isfinite(widened(view)).all()))

    def _columns_for(self, names: Collection[str], live: Mapping[str, torch.Tensor]) -> Iterable[dict[str, torch.Tensor]]:
        first = next(iter(live.values()), None) if self.pinned else None
        return self.columns if first is None or not first.is_cuda else self.staged(names, first.device)

    def staged(self, names: Collection[str], device: torch.device) -> Iterator[dict[str, torch.Tensor]]:
        """These tensors on a device, a piece of flat storage at a time; those of host memory stay there.

        In pieces, because small transfers reach a tenth of the speed of the bus. One after the other, because a device that has no
        room for a mirror has none for a second state in a rollback either. A tensor that fills a piece alone needs no place between.
        """
        for key, segment in self.segments.items():
            for together, piece in segment.runs(STAGED_BYTES):
                chosen = [name for name in together if name in names]
                if not chosen:
                    continue
                stays = key.endswith(IN_HOST_MEMORY) or len(together) == 1
                there = piece if stays else piece.to(device, non_blocking=True)
                yield {name: _same_place(self.views[name], piece, there) for name in chosen}

    def _copy_others(self, bound: Bound) -> None:
        for sources in bound.others.values():
            torch._foreach_copy_([self.views[name] for name in sources], list(sources.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Neighbours in an arena's storage in host memory: their places in the layout with their bytes, and the piece that they fill.

    `is_checked`: the piece may hold NaN or Inf; `widens`: its sum is one of single precision.
    """

    targets: tuple[tuple[int, Raw], ...]
    piece: torch.Tensor
    is_checked: bool
    widens: bool

    def copy_in(self, sources: tuple[Raw | None, ...]) -> None:
        """From the bytes of live tensors; those that lie elsewhere are copied by somebody else."""
        for index, target in self.targets:
            source = sources[index]
            if source is not None:
                target[:] = source

    def sum(self) -> complex:
        """Of all that was copied: finite where every number is and none of the partial sums overflowed."""
        total: complex = (self.piece.float() if self.widens else self.piece).sum().item()
        return total


def may_be_nonfinite(tensor: torch.Tensor) -> bool:
    """Whether its dtype has NaN or Inf at all."""
    return tensor.is_floating_point() or tensor.is_complex()


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """Floating point of a small range as single precision: sums of sixteen bits overflow soon, and eight know no arithmetic."""
    return tensor.float() if is_small(tensor) else tensor


def is_small(tensor: torch.Tensor) -> bool:
    """Whether its dtype is floating point of a small range."""
    return tensor.itemsize < torch.float32.itemsize and tensor.is_floating_point() and torch.finfo(tensor.dtype).max < SMALL_RANGE


def sum_of(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all elements, on the device of the tensor."""
    return widened(tensor).sum()


def _same_place(view: torch.Tensor, piece: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    start = int(view.storage_offset() - piece.storage_offset())
    return there[start : start + view.numel()].view(view.shape)


def _by_dtype(views: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], ...]:
    columns: dict[torch.dtype, dict[str, torch.Tensor]] = {}
    for name, view in views.items():
        columns.setdefault(view.dtype, {})[name] = view
    return tuple(columns.values())
