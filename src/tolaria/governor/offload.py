"""Copies of a state on a CUDA device that no host waits for.

    training stream   optimizer.step() ... | copy to a mirror, sum | next step ...
    side stream                                     wait | mirror -> pinned memory, 8 MB at a time | event

The order of the training stream makes the copy untorn. That is the current stream; a take on a stream of its own comes behind
what the default stream and the stream of the take before had queued, and these go on behind the copy. Whoever trains on yet
another one orders the two by himself, as for every other kernel.

What travels to the host leaves from the mirror, never from live parameters, which are trained on meanwhile; a mirror is written
again only behind the event of its last transfer. Without room for a mirror, live parameters are read into pinned memory on the
training stream itself. Nothing here asks the device whether it is done; whoever took the copy asks the event, a step or more
later.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.runs import may_be_nonfinite, sum_of

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
        # Where training may be when a take is on another stream.
        self._known = [torch.cuda.default_stream(device)]
        self._mirrors: deque[_Mirror | None] = deque([None] * mirrors)

    def take(self, bound: Bound, target: Arena) -> Pending:
        """Begin to copy what is bound, as it is at this point of the training stream; `target` holds it once it has arrived."""
        with torch.cuda.device(self._device), torch.no_grad():
            current = torch.cuda.current_stream(self._device)
            elsewhere = [stream for stream in self._known if stream != current]
            for stream in elsewhere:
                current.wait_stream(stream)
            for (device, _), sources in bound.others.items():
                if device == CPU:
                    for name, tensor in sources.items():
                        target.views[name].copy_(tensor)
            mirror = self._next_mirror(bound)
            pending = self._directly(bound, target, current) if mirror is None else self._by_mirror(bound, target, current, mirror)
            for stream in elsewhere:
                # Neither the next step nor whoever is given the memory of a pruned seed may write before it has been read.
                stream.wait_stream(current)
                for flat in mirror.arena.flats if mirror is not None else ():
                    flat.record_stream(current)
            self._known = [self._known[0], current] if current != self._known[0] else self._known
            return pending

    @property
    def mirrors(self) -> int:
        """How many buffers on the device there are, or will be."""
        return len(self._mirrors)

    def _by_mirror(self, bound: Bound, target: Arena, training: torch.cuda.Stream, mirror: _Mirror) -> Pending:
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
        for device in bound.cuda_devices - {training.device}:
            # What lies on another device leaves it on a stream of that one.
            training.wait_stream(torch.cuda.current_stream(device))
        total = torch.zeros(1, dtype=torch.float64, pin_memory=True)
        total.copy_(self._sum([tensor for _, tensor in live]), non_blocking=True)
        return Pending(training.record_event(), total)

    def _next_mirror(self, bound: Bound) -> _Mirror | None:
        layout = {name: spec for name, spec in bound.layout.items() if name not in bound.in_host_memory}
        while self._mirrors:
            old = self._mirrors.popleft()
            if old is None or old.arena.layout != layout:
                kept = old.arena.segments if old is not None else None
                try:
                    old = _Mirror(Arena.allocate(layout, self._device, kept=kept), old.left if old is not None else None)
                except torch.OutOfMemoryError:
                    # Training has taken the room since. With one buffer fewer a take waits for the transfer before it, and
                    # without any it reads live tensors straight into host memory; either way nothing is lost.
                    continue
            self._mirrors.append(old)
            return old
        return None

    def _sum(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        # Complex sums by magnitude, which is finite where both parts are; in double precision, which overflows last.
        sums = [sum_of(tensor).abs().double().to(self._device) for tensor in tensors if may_be_nonfinite(tensor) and tensor.numel()]
        return torch.stack(sums).sum(0, keepdim=True) if sums else torch.zeros(1, dtype=torch.float64, device=self._device)


def _on_device(bound: Bound) -> Iterator[dict[str, torch.Tensor]]:
    return (sources for (device, _), sources in bound.others.items() if device != CPU)


def _chunks(mirror: Arena, target: Arena) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for key, segment in mirror.segments.items():
        for dtype, flat in segment.flats.items():
            step = CHUNK_BYTES // dtype.itemsize
            yield from zip(flat.split(step), target.segments[key].flats[dtype].split(step), strict=True)
