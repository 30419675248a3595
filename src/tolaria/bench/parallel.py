"""Work on several processes, whose results come as they are ready."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Sequence[T], jobs: int, keep: Callable[[R], None]) -> Iterator[R]:
    """The result of each item as it is ready, kept first and then handed out.

    No more is begun than what there are processes for; where nobody asks for the next result, what is under way comes to its end
    and is kept.
    """
    if jobs == 1:
        for item in items:
            result = work(item)
            keep(result)
            yield result
        return
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
                for future in done:
                    keep(future.result())
                yield from (future.result() for future in done)
        finally:
            for future in running:
                keep(future.result())


def _alone() -> None:
    # Ctrl-C reaches every process of a terminal, and only the first one knows what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
