"""Work on a CUDA device that is captured once and replayed: a stream of its own, and the memory that its graphs share.

Graphs of one stream never run at the same time, so they may share what their kernels use in between; graphs of different
streams may, and so each stream has a pool of memory for itself. Whatever a graph leaves for others to read has to be kept by
whoever recorded it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

# Trials, after which libraries have loaded their kernels and chosen their ways, which no capture may contain.
WARMUPS = 3


class Line:
    """A stream on which graphs are captured and replayed."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def forked(self) -> Iterator[None]:
        """Within, this is the current stream; it goes on behind what the one before has queued so far."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield

    def join(self) -> None:
        """Let the current stream go on behind what is queued here."""
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def finish(self) -> None:
        """Wait until nothing is queued here any more."""
        self._stream.synchronize()

    def record(self, works: Sequence[Callable[[], object]], before: Callable[[], object]) -> list[Callable[[], None]]:
        """Each piece of work as a graph; they are replayed one after the other. `before` each trial all is brought to a beginning."""
        graphs = []
        # Tried where it is captured: libraries keep handles for each stream, and autograd remembers on which one a leaf was used.
        with self.forked():
            for _ in range(WARMUPS):
                before()
                for work in works:
                    work()
            before()
            for work in works:
                graph = torch.cuda.CUDAGraph()
                # What other threads ask of the device meanwhile is no business of this capture.
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                    work()
                graphs.append(graph.replay)
        return graphs
