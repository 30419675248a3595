"""Copies of a state on a CUDA device that no host waits for.

    training stream   optimizer.step() ... | copy to a mirror, sum | next step ...
    side stream                                     wait | mirror -> pinned memory, 8 MB at a time | event

The order of the training stream makes the copy untorn. What travels to the host leaves from the mirror, never from live
parameters, which are trained on meanwhile; a mirror is written again only behind the event of its last transfer. Without
room for a mirror, live parameters are read into pinned memory on the training stream itself. Nothing here asks the device
whether it is done; whoever took the copy asks the event, a step or more later.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tolaria.governor.arena import CPU, Arena, Bound, may_be_nonfinite, sum_of

# Longer transfers would keep the batches of the next step waiting for the bus.
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A copy on its way. `total` is the sum of everything in it, in pinned memory; neither is to be read before it has arrived."""

    arrived: torch.cuda.Event
    total: torch.Tensor

    def has_arrived(self) -> bool:
        """Asks the event only; the host does not wait."""
        return bool(self.arrived.query())

    def wait(self) -> None:
        """Until it has arrived."""
        self.arrived.synchronize()

    def is_finite(self) -> bool:
        """A finite sum proves that every term is; one that is not may have overflowed."""
        return math.isfinite(self.total.item())


@dataclass(slots=True)
class _Mirror:
    arena: Arena
    left: torch.cuda.Event | None = None


class Offload:
    """The way of one state from its device into pinned arenas. `mirrors` are buffers on the device: two, one or none."""

    pinned = True

    def __init__(self, device: torch.device, mirrors: int) -> None:
        self._device = device
        self._side = torch.cuda.Stream(device)
        self._training: torch.cuda.Stream | None = None
        self._mirrors: deque[_Mirror | None] = deque([None] * mirrors)

    def take(self, bound: Bound, target: Arena) -> Pending:
        """Begin to copy what is bound, as it is at this point of the training stream; `target` holds it once it has arrived."""
        with torch.cuda.device(self._device), torch.no_grad():
            training = self._followed()
            for (device, _), sources in bound.others.items():
                if device == CPU:
                    for name, tensor in sources.items():
                        target.views[name].copy_(tensor)
            return self._by_mirror(bound, target, training) if self._mirrors else self._directly(bound, target, training)

    def _followed(self) -> torch.cuda.Stream:
        # Taken on another stream than before: what the former one still writes has to be waited for, by the device alone.
        current = torch.cuda.current_stream(self._device)
        if self._training is not None and self._training != current:
            current.wait_stream(self._training)
        self._training = current
        return current

    def _by_mirror(self, bound: Bound, target: Arena, training: torch.cuda.Stream) -> Pending:
        mirror = self._next_mirror(bound)
        if mirror.left is not None:
            training.wait_event(mirror.left)
        for sources in _on_device(bound):
            torch._foreach_copy_([mirror.arena.views[name] for name in sources], list(sources.values()))
        sums = self._sum(list(mirror.arena.flats))
        self._side.wait_event(training.record_event())
        total = torch.zeros(1, dtype=torch.float64, pin_memory=True)
        with torch.cuda.stream(self._side):
            for source, goal in _chunks(mirror.arena, target):
                goal.copy_(source, non_blocking=True)
            total.copy_(sums, non_blocking=True)
            mirror.left = self._side.record_event()
        # Should they be freed before the transfer is over, the allocator must not hand them out again meanwhile.
        for flat in (*mirror.arena.flats, sums):
            flat.record_stream(self._side)
        return Pending(mirror.left, total)

    def _directly(self, bound: Bound, target: Arena, training: torch.cuda.Stream) -> Pending:
        live = [(name, tensor) for sources in _on_device(bound) for name, tensor in sources.items()]
        for name, tensor in live:
            target.views[name].copy_(tensor, non_blocking=True)
        total = torch.zeros(1, dtype=torch.float64, pin_memory=True)
        total.copy_(self._sum([tensor for _, tensor in live]), non_blocking=True)
        return Pending(training.record_event(), total)

    def _next_mirror(self, bound: Bound) -> _Mirror:
        old = self._mirrors.popleft()
        layout = {name: spec for name, spec in bound.layout.items() if name not in bound.in_host_memory}
        if old is None or old.arena.layout != layout:
            kept = old.arena.segments if old is not None else None
            old = _Mirror(Arena.allocate(layout, self._device, kept=kept), old.left if old is not None else None)
        self._mirrors.append(old)
        return old

    def _sum(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        # Complex sums by magnitude, which is finite where both parts are; in double precision, which overflows last.
        sums = [sum_of(tensor).abs().double() for tensor in tensors if may_be_nonfinite(tensor) and tensor.numel()]
        return torch.stack(sums).sum(0, keepdim=True) if sums else torch.zeros(1, dtype=torch.float64, device=self._device)


def _on_device(bound: Bound) -> Iterator[dict[str, torch.Tensor]]:
    return (sources for (device, _), sources in bound.others.items() if device != CPU)


def _chunks(mirror: Arena, target: Arena) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for key, segment in mirror.segments.items():
        for dtype, flat in segment.flats.items():
            step = CHUNK_BYTES // dtype.itemsize
            yield from zip(flat.split(step), target.segments[key].flats[dtype].split(step), strict=True)
