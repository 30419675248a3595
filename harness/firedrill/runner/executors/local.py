"""Cells in processes of their own on this machine, under a watchdog.

A fork server has loaded torch once; each cell is a fresh fork of it, so that nothing of one cell reaches the next, and a
child that is killed, hangs or crashes costs its own cell only.
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from firedrill.runner.executors import socket_place
from firedrill.runner.executors.executor import Done, Work
from firedrill.runner.executors.leash import follow_the_fork_server
from firedrill.runner.folder import told_ending
from firedrill.runner.verdict import End, Ending

# What every cell needs, loaded and done once; last comes what freezes all that is there by then.
PRELOADED = ("firedrill.runner.executors.local", "firedrill.runner.warm")


@dataclass(frozen=True, slots=True)
class Child:
    """Work under way, since when, and when the watchdog ends it (seconds of the monotonic clock).

    `life` counts its processes: one that died may be resumed by the next, in what is left of the time.
    """

    work: Work
    process: ForkServerProcess
    started: float
    deadline: float
    life: int = 1


class Local:
    """At most `jobs` cells at once on this machine. Cells with the same subject, seed and device share one control run."""

    def __init__(self, jobs: int) -> None:
        assert jobs >= 1, jobs
        self._jobs = jobs
        self._controls: tempfile.TemporaryDirectory[str] | None = None

    @property
    def jobs(self) -> int:
        """So many cells at once."""
        return self._jobs

    def __enter__(self) -> Self:
        self._controls = tempfile.TemporaryDirectory(prefix="firedrill-controls-")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._controls is not None:
            self._controls.cleanup()
            self._controls = None

    def record(self, works: Iterable[Work]) -> Generator[Done]:
        """Record every cell; to close the iterator kills what is under way."""
        assert self._controls is not None, "the executor is closed"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        socket_place.start_fork_server()
        waiting, running = iter(works), list[Child]()
        try:
            while True:
                for work in islice(waiting, self._jobs - len(running)):
                    running.append(start(context, work, Path(self._controls.name)))
                if not running:
                    return
                for child, ending in ended(running):
                    running.remove(child)
                    if ending.how is End.DIED and child.life <= child.work.cell.scenario.budget.resumes:
                        again = start(context, child.work, Path(self._controls.name))
                        running.append(replace(again, started=child.started, deadline=child.deadline, life=child.life + 1))
                        continue
                    yield Done(child.work, ending, time.monotonic() - child.started)
        finally:
            for child in running:
                child.process.kill()
                child.process.join()


def start(context: ForkServerContext, work: Work, controls: Path) -> Child:
    """A child process that records a cell."""
    process = context.Process(target=in_child, args=(work, controls), daemon=True)
    with without_main():
        process.start()
    now = time.monotonic()
    return Child(work, process, now, now + work.cell.scenario.budget.wall)


@contextmanager
def without_main() -> Iterator[None]:
    """A child loads the program that started it, which may take longer than its cell and has nothing that a cell needs."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def in_child(work: Work, controls: Path) -> None:
    """The child's whole work; its process has what that needs, and its parent does not."""
    from firedrill.runner.cell import record_apart

    follow_the_fork_server()
    record_apart(work.cell, work.folder, controls)


def ended(running: Sequence[Child]) -> Iterator[tuple[Child, Ending]]:
    """Wait until at least one child has ended or run out of time, and say how."""
    timeout = min(child.deadline for child in running) - time.monotonic()
    wait([child.process.sentinel for child in running], max(0.0, timeout))
    for child in list(running):
        if child.process.exitcode is None:
            if time.monotonic() < child.deadline:
                continue
            child.process.kill()
            child.process.join()
            yield child, Ending(End.TIMED_OUT, f"no end after {child.work.cell.scenario.budget.wall:g} s")
        else:
            child.process.join()
            yield child, ending_of(child)


def ending_of(child: Child) -> Ending:
    """How a child that is gone says it ended, or how it died."""
    try:
        return told_ending(child.work.folder)
    except FileNotFoundError:
        code = child.process.exitcode or 0
        return Ending(End.DIED, f"killed by signal {-code}" if code < 0 else f"exit code {code}")
