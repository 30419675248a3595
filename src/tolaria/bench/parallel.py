"""Work on several processes, whose results come as they are ready."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from tolaria.errors import WorkerLost

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Sequence[T], jobs: int, keep: Callable[[R], None]) -> Iterator[R]:
    """The result of each item as it is ready, kept first and then handed out.

    No more is begun than what there are processes for; where nobody asks for the next result, what is under way comes to its end
    and is kept. Raises `WorkerLost` where a process has died; what was ready is kept by then.
    """
    if jobs == 1:
        for item in items:
            result = work(item)
            keep(result)
            yield result
        return
    try:
        yield from _in_pool(work, items, jobs, keep)
    except BrokenProcessPool as error:
        raise WorkerLost("a process ended in the middle of its work: it was killed, or there was no memory for it") from error


def keep_all(futures: Iterable[Future[R]], keep: Callable[[R], None]) -> list[R]:
    """The results, kept; one that failed raises when those of the others are kept."""
    # What failed comes last.
    ordered = sorted(futures, key=lambda future: future.exception() is not None)
    results = []
    for future in ordered:
        results.append(future.result())
        keep(results[-1])
    return results


def _in_pool(work: Callable[[T], R], items: Sequence[T], jobs: int, keep: Callable[[R], None]) -> Iterator[R]:
    waiting = list(reversed(items))
    running: set[Future[R]] = set()
    # Spawned and not forked: the threads of torch do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_alone) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.add(pool.submit(work, waiting.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from keep_all(done, keep)
        finally:
            keep_all(running, keep)


def _alone() -> None:
    # Ctrl-C reaches every process of a terminal, and only the first one knows what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
