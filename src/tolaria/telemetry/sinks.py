"""Sinks show or forward events. Each stands behind a queue and a thread of its own, so that none can stop training."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tolaria.telemetry.event import Event

# Events that may wait for a slow sink, and how long a closing run waits for it.
CAPACITY = 10_000
PATIENCE_S = 5.0


class Sink(Protocol):
    """Whoever wants to see every event. Both methods are called from one thread, `close` once and last."""

    def write(self, event: Event) -> None:
        """Take the next event; raising detaches the sink."""

    def close(self) -> None:
        """No event follows."""


class SinkQueue:
    """A sink that is written to without waiting.

    A sink that raises is detached. For one that is slow the queue runs full and events are dropped; one that takes nothing
    at all while as many more come as can wait is detached too.
    `offered` and `written` count events; `detached` holds pairs of name and reason.
    """

    def __init__(self, sink: Sink, capacity: int = CAPACITY) -> None:
        assert capacity > 0, capacity
        self.name = type(sink).__name__
        self.offered = 0
        self.written = 0
        self.detached: list[tuple[str, str]] = []
        self._sink = sink
        # Events that came in vain since the sink last took one, and how many it had taken by then.
        self._in_vain = 0
        self._taken = 0
        self._closed = False
        # None is the last word.
        self._queue: queue.Queue[Event | None] = queue.Queue(capacity)
        self._worker = threading.Thread(target=self._work, name=f"sink-{self.name}", daemon=True)
        self._worker.start()

    @property
    def dropped(self) -> int:
        """Events that the sink has not taken; before `close` some of them may still wait."""
        return self.offered - self.written

    def write(self, event: Event) -> None:
        """Offer an event; returns at once, whatever the sink does."""
        assert not self._closed, "the queue is closed"
        self.offered += 1
        # An event that is not put is counted by `dropped`.
        if not self.detached:
            try:
                self._queue.put_nowait(event)
            except queue.Full:
                self._overflow()

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Let the sink finish what waits for it, for a limited time; a sink that does not is left behind."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + patience_s
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=patience_s)
        self._worker.join(max(0.0, deadline - time.monotonic()))
        if self._worker.is_alive() and not self.detached:
            self.detached.append((self.name, f"not finished {patience_s:g} s after the run"))

    def complaint(self) -> str | None:
        """What the user should know about this sink at the end of a run, in a sentence."""
        if not self.detached and not self.dropped:
            return None
        reasons = "; ".join(reason for _, reason in self.detached) or "it was too slow"
        return f"{self.name} missed {self.dropped} of {self.offered} events: {reasons}"

    def _overflow(self) -> None:
        self._in_vain = self._in_vain + 1 if self.written == self._taken else 1
        self._taken = self.written
        if self._in_vain > self._queue.maxsize:
            self.detached.append((self.name, f"it took nothing while {self._queue.maxsize} events waited and as many more came"))

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            # A detached sink is written to no more, but its queue is emptied so that the last word finds room.
            if not self.detached:
                self._attempt(partial(self._sink.write, event))
                self.written += not self.detached
        # Also a sink that raised may hold a file or a terminal.
        self._attempt(self._sink.close)

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a sink may fail in any way, and none may stop training
            self.detached.append((self.name, f"{type(error).__name__}: {error}"))
