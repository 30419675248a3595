import threading
from collections.abc import Iterator, Sequence

import pytest

from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import SnapshotTrusted
from tolaria.telemetry.sinks import SinkQueue

EVENTS = [SnapshotTrusted(Point(step), step) for step in range(5)]
# Longer than any machine needs; a test that works never waits for it.
LONG_S = 30.0


class Blocking:
    """A sink that says when it has taken an event and then waits to be let go."""

    def __init__(self) -> None:
        self.taken = threading.Semaphore(0)
        self.release = threading.Event()
        self.heard: list[Event] = []

    def write(self, event: Event) -> None:
        self.taken.release()
        assert self.release.wait(LONG_S)
        self.heard.append(event)

    def close(self) -> None:
        self.taken.release()


class Moody:
    """A sink that fails at one event and remembers the others and who called."""

    def __init__(self, failing_step: int, close_fails: bool = False) -> None:
        self.failing_step = failing_step
        self.close_fails = close_fails
        self.heard: list[Event] = []
        self.closed = 0
        self.callers: set[str] = set()

    def write(self, event: Event) -> None:
        self.callers.add(threading.current_thread().name)
        if event.at.step == self.failing_step:
            raise ConnectionError("gone away")
        self.heard.append(event)

    def close(self) -> None:
        self.closed += 1
        if self.close_fails:
            raise ValueError("cannot flush")


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    sink = Blocking()
    yield sink
    sink.release.set()


def fill(queue: SinkQueue) -> None:
    offer(queue, EVENTS)


def offer(queue: SinkQueue, events: Sequence[Event]) -> None:
    for event in events:
        queue.write(event)


def test_close_lets_the_sink_finish_what_waits() -> None:
    sink = Moody(failing_step=99)
    queue = SinkQueue(sink)
    fill(queue)
    queue.close(LONG_S)
    assert (sink.heard, sink.closed, queue.dropped, queue.complaint()) == (EVENTS, 1, 0, None)


def test_the_sink_is_called_from_its_own_thread_only() -> None:
    sink = Moody(failing_step=99)
    queue = SinkQueue(sink)
    fill(queue)
    queue.close(LONG_S)
    assert sink.callers == {"sink-Moody"}


def test_a_sink_that_raises_is_detached_and_still_closed() -> None:
    sink = Moody(failing_step=2)
    queue = SinkQueue(sink)
    fill(queue)
    queue.close(LONG_S)
    assert sink.heard == EVENTS[:2]
    assert queue.detached == [("Moody", "ConnectionError: gone away")]
    assert (queue.offered, queue.written, queue.dropped, sink.closed) == (5, 2, 3, 1)
    assert queue.complaint() == "Moody missed 3 of 5 events: ConnectionError: gone away"


def test_a_sink_that_cannot_close_is_reported() -> None:
    queue = SinkQueue(Moody(failing_step=99, close_fails=True))
    fill(queue)
    queue.close(LONG_S)
    assert queue.complaint() == "Moody missed 0 of 5 events: ValueError: cannot flush"


def test_a_full_queue_drops_and_counts(blocking: Blocking) -> None:
    queue = SinkQueue(blocking, capacity=2)
    queue.write(EVENTS[0])
    assert blocking.taken.acquire(timeout=LONG_S)
    # The first event is with the sink, two wait, and for the last two there is no room.
    training = threading.Thread(target=offer, args=(queue, EVENTS[1:]))
    training.start()
    training.join(2.0)
    assert not training.is_alive(), "training waits for the sink"
    blocking.release.set()
    queue.close(LONG_S)
    assert (blocking.heard, queue.dropped) == (EVENTS[:3], 2)
    assert queue.complaint() == "Blocking missed 2 of 5 events: it was too slow"


def test_close_leaves_a_blocked_sink_behind(blocking: Blocking) -> None:
    queue = SinkQueue(blocking, capacity=3)
    queue.write(EVENTS[0])
    assert blocking.taken.acquire(timeout=LONG_S)
    fill(queue)
    queue.close(patience_s=0.01)
    assert queue.detached == [("Blocking", "not finished 0.01 s after the run")]
    assert queue.complaint() == "Blocking missed 6 of 6 events: not finished 0.01 s after the run"


def test_a_sink_that_takes_nothing_is_detached_while_the_run_goes_on(blocking: Blocking) -> None:
    queue = SinkQueue(blocking, capacity=1)
    queue.write(EVENTS[0])
    assert blocking.taken.acquire(timeout=LONG_S)
    # One waits, one comes in vain, and one more than can wait says that this is no hiccup.
    offer(queue, EVENTS[1:3])
    assert queue.detached == []
    queue.write(EVENTS[3])
    assert queue.detached == [("Blocking", "it took nothing while 1 events waited and as many more came")]
    blocking.release.set()
    queue.write(EVENTS[4])
    queue.close(LONG_S)
    assert queue.complaint() == "Blocking missed 5 of 5 events: it took nothing while 1 events waited and as many more came"


def test_the_thread_of_a_sink_does_not_keep_the_process_alive(blocking: Blocking) -> None:
    queue = SinkQueue(blocking)
    queue.write(EVENTS[0])
    assert blocking.taken.acquire(timeout=LONG_S)
    threads = [thread for thread in threading.enumerate() if thread.name == "sink-Blocking"]
    assert threads
    assert all(thread.daemon for thread in threads)


def test_a_second_close_does_nothing() -> None:
    sink = Moody(failing_step=99)
    queue = SinkQueue(sink)
    queue.close(LONG_S)
    queue.close(LONG_S)
    assert sink.closed == 1


def test_nothing_is_written_after_close() -> None:
    queue = SinkQueue(Moody(failing_step=99))
    queue.close(LONG_S)
    with pytest.raises(AssertionError, match="the queue is closed"):
        queue.write(EVENTS[0])
