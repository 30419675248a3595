"""A CUDA device that is only played, on the CPU: graphs that are captured, and streams that say who waits for whom.

A capture keeps every operation with the very tensors that it read and wrote, and a replay does them again on these, whatever
Python would decide by then; what a real capture refuses, because it would have to ask the device, is refused here too. Every
operation belongs to the stream that was current: where one touches what another stream has touched, and nobody has waited,
that is a race, even if all went well this time.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default}

# How far somebody knows each stream to be.
Clock = dict[str, int]


@dataclass(frozen=True)
class Access:
    """Somebody has read or written."""

    stream: str
    time: int
    what: str


@dataclass
class Touched:
    """The latest write of a piece of memory, and reads since."""

    write: Access | None = None
    reads: list[Access] = field(default_factory=list)


@dataclass(eq=False)
class Stream:
    """A name, and what has happened before whatever comes next in it."""

    device: "Device"
    name: str
    clock: Clock = field(default_factory=lambda: defaultdict(int))

    def wait_stream(self, other: "Stream") -> None:
        self.device.calls.append(("wait", self.name, other.name))
        meet(self.clock, other.clock)

    def synchronize(self) -> None:
        self.device.calls.append(("finish", self.name, ""))
        meet(self.device.host, self.clock)


@dataclass(eq=False)
class Graph:
    """Captured operations; `device` is whoever is played at the time."""

    device: "Device"
    calls: list[tuple[Any, Any, Any, Any]] = field(default_factory=list)
    pool: str = ""

    def replay(self) -> None:
        self.device.calls.append(("replay", self.device.current.name, self.pool))
        # Graphs that share their memory must not run at the same time.
        self.device.touch(self.pool, "replay", writes=True)
        with torch._C._AutoDispatchBelowAutograd():
            for work, args, kwargs, left in self.calls:
                for old, new in zip(tree_leaves(left), tree_leaves(work(*args, **kwargs)), strict=True):
                    if isinstance(old, torch.Tensor) and old.numel() and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class Capturing(TorchDispatchMode):
    """Keeps what is done."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in ASKS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        left = func(*args, **(kwargs or {}))
        self.graph.calls.append((func, args, kwargs or {}, left))
        return left

    def blot(self) -> None:
        """What was only captured has no content yet."""
        seen: set[int] = set()
        for _, args, kwargs, left in self.graph.calls:
            seen |= {storage_of(leaf) for leaf in tensors_in((args, kwargs))} - self.known
            for leaf in tensors_in(left):
                if storage_of(leaf) not in seen:
                    self.known.add(storage_of(leaf))
        for _, _, _, left in self.graph.calls:
            for leaf in tensors_in(left):
                if storage_of(leaf) in self.known and leaf.is_floating_point():
                    # Behind the back of autograd, whose pass back is captured only now.
                    leaf.data.fill_(math.nan)


class Capture:
    """In the place of `torch.cuda.graph`."""

    def __init__(self, graph: Graph, pool: str, stream: Stream, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local", capture_error_mode
        self.graph, self.stream = graph, stream
        graph.pool = pool
        self._mode = Capturing(graph)
        self._held = ExitStack()

    def __enter__(self) -> None:
        device = self.graph.device
        device.calls.append(("capture", self.stream.name, self.graph.pool))
        # A real capture begins by waiting for all of the device.
        for stream in device.streams:
            meet(device.host, stream.clock)
        self._held.enter_context(device.on(self.stream))
        self._held.enter_context(self._mode)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()
        self._mode.blot()


class Watching(TorchDispatchMode):
    """Tells the device of every operation."""

    def __init__(self, device: "Device") -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = list(zip(func._schema.arguments, args, strict=False))
        given += [(argument, (kwargs or {})[argument.name]) for argument in func._schema.arguments if argument.name in (kwargs or {})]
        self.device.kept += [leaf.untyped_storage() for leaf in tensors_in((args, kwargs))]
        read = {storage_of(leaf) for _, value in given for leaf in tensors_in(value)}
        written = {
            storage_of(leaf)
            for argument, value in given
            if argument.alias_info and argument.alias_info.is_write
            for leaf in tensors_in(value)
        }
        self.device.begin()
        for place in read:
            self.device.touch(place, str(func), writes=place in written)
        left = func(*args, **(kwargs or {}))
        for leaf in tensors_in(left):
            if storage_of(leaf) not in read:
                self.device.touch(storage_of(leaf), str(func), writes=True)
            # So that nobody else is given the same memory.
            self.device.kept.append(leaf.untyped_storage())
        if func in ASKS:
            meet(self.device.host, self.device.current.clock)
        return left


class Device:
    """Streams, of which one is current, and races that were seen. `calls` are what was asked of streams and graphs, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.races: list[str] = []
        self.touched: dict[object, Touched] = defaultdict(Touched)
        self.kept: list[torch.UntypedStorage] = []
        # What the host has waited for; whatever it queues from now on comes behind that.
        self.host: Clock = defaultdict(int)
        self.default = Stream(self, "default")
        self.current = self.default
        self.streams = [self.default]
        self._pools = 0

    def stream(self, *_: object) -> Stream:
        self.streams.append(Stream(self, f"stream {len(self.streams)}"))
        return self.streams[-1]

    def pool(self) -> str:
        self._pools += 1
        return f"pool {self._pools}"

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def begin(self) -> None:
        """The next piece of work of the current stream."""
        self.current.clock[self.current.name] += 1
        meet(self.current.clock, self.host)

    def touch(self, place: object, what: str, writes: bool) -> None:
        """It reads, and perhaps writes."""
        stream, touched = self.current, self.touched[place]
        mine = Access(stream.name, stream.clock[stream.name], what)
        for other in (touched.write, *(touched.reads if writes else ())):
            if other is not None and stream.clock[other.stream] < other.time:
                self.races.append(f"{mine} against {other}")
        if writes:
            self.touched[place] = Touched(mine)
        else:
            touched.reads.append(mine)

    def be_seen(self, patch: pytest.MonkeyPatch) -> None:
        """From now on PyTorch takes it for real."""
        patch.setattr(torch.cuda, "Stream", self.stream)
        patch.setattr(torch.cuda, "current_stream", lambda *_: self.current)
        patch.setattr(torch.cuda, "stream", self.on)
        patch.setattr(torch.cuda, "graph_pool_handle", self.pool)
        patch.setattr(torch.cuda, "CUDAGraph", lambda: Graph(self))
        patch.setattr(torch.cuda, "graph", Capture)

    def watching(self) -> Watching:
        """Within, every operation is looked at."""
        return Watching(self)


def meet(clock: Clock, other: Clock) -> None:
    """From now on behind whatever the other was behind."""
    for name, time in other.items():
        clock[name] = max(clock[name], time)


def storage_of(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def tensors_in(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """One that PyTorch takes for real."""
    played = Device()
    played.be_seen(monkeypatch)
    return played
