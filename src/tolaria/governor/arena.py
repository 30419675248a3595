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
from torch.autograd.graph import increment_version

from tolaria.errors import TolariaError
from tolaria.governor.copies import copy_alone, copy_fused, is_lazy
from tolaria.governor.pages import ALIGNMENT, Raw, SharedPages, memory_of, raw_bytes, readable
from tolaria.governor.runs import Run, Total, may_be_nonfinite, runs_of, sum_of, widened
from tolaria.governor.segments import IN_HOST_MEMORY, Layout, Segment, layout_of, planned, spec_of

# Called before a tensor is copied, with its number.
BeforeCopy = Callable[[int], object]

CPU = torch.device("cpu")
# What goes back to a device goes in pieces of about this size: large enough for the speed of the bus, and small beside any state.
STAGED_BYTES = 32 << 20
# Named here, because after training whatever must be looked up has been driven out of the caches, and is what a scan costs.
_address = torch.Tensor.data_ptr
_shape = attrgetter("shape")
_lies_in_order = torch.Tensor.is_contiguous


class LayoutChanged(TolariaError):
    """A live tensor was given another shape or dtype in place; what was planned for it no longer fits."""


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The live tensors of one state as they were last seen.

    `raws` are the bytes of those that lie flat in host memory, in the order of the layout. `others` are detached views of the
    rest, with their names, by device and dtype. `held` are views of all: they keep replaced storage alive until the next scan,
    and so its address cannot be given to another tensor meanwhile: an equal address means the same storage. `orders` say whose
    elements lie in order, on whatever device; `strides` are of the rest, by place. `in_host_memory` names tensors that lie there
    although the first one does not.
    """

    names: list[str]
    live: list[torch.Tensor]
    pointers: list[int]
    shapes: list[torch.Size]
    orders: list[bool]
    strides: list[tuple[int, tuple[int, ...]]]
    layout: Layout
    raws: tuple[Raw | None, ...]
    held: list[torch.Tensor]
    others: dict[tuple[torch.device, torch.dtype], dict[str, torch.Tensor]]
    device: torch.device
    cuda_devices: frozenset[torch.device]
    in_host_memory: frozenset[str]

    @staticmethod
    def to(tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Look at every live tensor once."""
        live = [*tensors.values()]
        device = live[0].device if live else CPU
        raws: dict[str, Raw] = {}
        others: dict[tuple[torch.device, torch.dtype], dict[str, torch.Tensor]] = {}
        held = [tensor.detach() for tensor in live]
        for name, tensor in zip(tensors, held, strict=True):
            if device.type == tensor.device.type == "cpu" and tensor.is_contiguous() and not is_lazy(tensor):
                raws[name] = raw_bytes(tensor, in_small_pages=True)
            else:
                others.setdefault((tensor.device, tensor.dtype), {})[name] = tensor
        layout = layout_of(tensors)
        # One object a shape, because of many some are in no cache when they are compared.
        shapes: dict[torch.Size, torch.Size] = {}
        return Bound(
            [*tensors],
            live,
            [tensor.data_ptr() for tensor in live],
            [shapes.setdefault(tensor.shape, tensor.shape) for tensor in live],
            [tensor.is_contiguous() for tensor in live],
            [(place, tensor.stride()) for place, tensor in enumerate(live) if not tensor.is_contiguous()],
            layout,
            tuple(raws.get(name) for name in layout),
            held,
            others,
            device,
            frozenset(tensor.device for tensor in live if tensor.is_cuda),
            frozenset(name for name, tensor in tensors.items() if tensor.device.type == "cpu" != device.type),
        )

    def shared_pages(self, copies: int) -> SharedPages:
        """Room for so many arenas of this state, where it is one of those that share."""
        # Each tensor begins on a cache line.
        return SharedPages(sum(tensor.nbytes + -tensor.nbytes % ALIGNMENT for tensor in self.live), copies)

    def is_in_place(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Whether these are the same tensors, their bytes still lie where they lay, and in the same order."""
        # Lists, and one kind of question after the other: right after training, that is the cheapest way to ask.
        live = [*tensors.values()]
        return (
            [*tensors] == self.names
            and all(map(is_, live, self.live))
            and [*map(_address, live)] == self.pointers
            and [*map(_lies_in_order, live)] == self.orders
            and (not self.strides or all(live[place].stride() == stride for place, stride in self.strides))
        )

    def renewed(self, tensors: Mapping[str, torch.Tensor]) -> "Bound":
        """Bound to the tensors as they are now; raises `LayoutChanged` where one of them is no longer what was planned for."""
        if self.is_in_place(tensors) and [*map(_shape, self.live)] == self.shapes:
            return self
        for name, known in zip(self.names, self.live, strict=True):
            if tensors.get(name) is known and spec_of(known) != self.layout[name]:
                raise LayoutChanged(f"{name}: {spec_of(known)} where {self.layout[name]} was")
        return Bound.to(tensors)


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """Flat storage for one layout, segment by segment, with a view for every tensor, and its bytes where they lie in host memory.

    `columns` are the views by dtype, because mixed dtypes fall off the fast path of a fused copy; `layout_text` is the layout
    as the digest reads it; `raws` are the bytes in the order of the layout, none where they lie on a device.
    """

    layout: Layout
    layout_text: bytes
    device: torch.device
    pinned: bool
    segments: dict[str, Segment]
    views: dict[str, torch.Tensor]
    columns: tuple[dict[str, torch.Tensor], ...]
    raws: tuple[Raw, ...]
    runs: tuple[Run, ...]

    @staticmethod
    def allocate(
        layout: Layout,
        device: torch.device,
        pinned: bool = False,
        in_host_memory: frozenset[str] = frozenset(),
        kept: Mapping[str, Segment] | None = None,
        shared: SharedPages | None = None,
    ) -> "Arena":
        """Storage for a layout of `layout_of`; a segment of `kept` that is still right is used as it is, wherever its neighbours go."""
        segments: dict[str, Segment] = {}
        for key, part in planned(layout, in_host_memory).items():
            old = (kept or {}).get(key)
            segments[key] = old if old is not None and old.layout == part else Segment.allocate(part, device, pinned, shared)
        views = {name: segment.views[name] for segment in segments.values() for name in segment.views}
        views = {name: views[name] for name in layout}
        raws = {name: raw_bytes(view) for name, view in views.items()} if device.type == "cpu" else {}
        places = {name: index for index, name in enumerate(layout)}
        totals: dict[torch.dtype, Total] = {}
        runs = tuple(run for segment in segments.values() for run in (runs_of(segment, places, raws, totals) if raws else ()))
        return Arena(layout, repr(layout).encode(), device, pinned, segments, views, _by_dtype(views), tuple(raws.values()), runs)

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
            if bound.others:
                self._copy_others(bound)
            for source, target in zip(bound.raws, self.raws, strict=False):
                if source is not None:
                    target[:] = source
            return
        with torch.no_grad():
            for index, (name, tensor) in enumerate(zip(bound.names, bound.live, strict=True)):
                before_copy(index)
                self.views[name].copy_(tensor)

    def copy_in_checked(self, bound: Bound) -> tuple[str, ...]:
        """`copy_in` and `nonfinite` at once: the copy is read again while caches still hold it."""
        if bound.others:
            self._copy_others(bound)
        sources = bound.raws
        total: complex = 0.0
        for run in self.runs:
            for place, target in zip(run.places, run.targets, strict=True):
                source = sources[place]
                if source is not None:
                    target[:] = source
            for place, target, part in run.parts:
                source = sources[place]
                if source is not None:
                    target[:] = source[part]
            if run.is_checked:
                total += run.summed()
        # Only of a finite number is this zero; right after training, calling a function that was not called since is what costs.
        return () if self.runs and total - total == 0.0 else self.nonfinite()

    def copy_out(
        self, names: Collection[str], live: Mapping[str, torch.Tensor], before_copy: BeforeCopy | None, known: Bound | None = None
    ) -> None:
        """Back into the live tensors of these names; their version counters go up, and a pending backward pass notices.

        `known` is how they were last seen. Where they are still so, those that lie flat in host memory are written as bytes, all
        others by torch. Bytes ask for no shape: whoever restores has compared those of all live tensors with the snapshot's.
        """
        if before_copy is not None:
            with torch.no_grad():
                for index, name in enumerate(names):
                    before_copy(index)
                    copy_alone(live[name], self.views[name])
            return
        is_whole = len(names) == len(self.views)
        # Before the first byte, so that even a restore that is broken off is noticed; and first of all, because what it brings into
        # caches is asked for next.
        increment_version([*live.values()] if len(names) == len(live) else [live[name] for name in names])
        if known is not None and (known.layout is self.layout or self.fits(known)) and known.is_in_place(live):
            targets = known.raws
            if not is_whole:
                targets = tuple(raw if name in names else None for name, raw in zip(known.layout, known.raws, strict=True))
            for target, source in zip(targets, self.raws, strict=False):
                if target is not None:
                    target[:] = source
            if not known.others:
                return
            names = [name for others in known.others.values() for name in others if name in names]
        self._write_by_torch(names, live)

    def digest(self, facts: dict[str, Any]) -> str:
        """xxh3-128 over the raw bytes of every tensor by name, the layout and the facts; wherever each of them is stored."""
        hasher = xxhash.xxh3_128()
        for raw in self.raws:
            hasher.update(readable(raw))
        for view in () if self.raws else self.views.values():
            # Named, because its bytes do not keep it.
            copied = view.cpu()
            hasher.update(memory_of(copied))
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

    def _write_by_torch(self, names: Collection[str], live: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for column in self._columns_for(names, live):
                chosen = column if len(names) == len(self.views) else {name: view for name, view in column.items() if name in names}
                copy_fused([live[name] for name in chosen], list(chosen.values()))

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
        for others in bound.others.values():
            copy_fused([self.views[name] for name in others], list(others.values()))


def _same_place(view: torch.Tensor, piece: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    start = int(view.storage_offset() - piece.storage_offset())
    return there[start : start + view.numel()].view(view.shape)


def _by_dtype(views: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], ...]:
    columns: dict[torch.dtype, dict[str, torch.Tensor]] = {}
    for name, view in views.items():
        columns.setdefault(view.dtype, {})[name] = view
    return tuple(columns.values())
