"""Cells on the machines of a Ray cluster, a task each. A worker or a node that dies costs time only: its cells are run again elsewhere.

firedrill must be importable on every node. The cluster is the one of RAY_ADDRESS, or else a small one on this machine.
"""

import os
from collections.abc import Generator, Iterable
from itertools import islice
from types import TracebackType
from typing import Self

import ray

from firedrill.runner.executors.elsewhere import TRIES_AGAIN, Parcel, lost, recorded_here
from firedrill.runner.executors.executor import CannotExecute, Done, Work


class Ray:
    """At most `jobs` cells at once; None for one a CPU of the cluster."""

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = jobs
        # A cluster that somebody else has opened is left open.
        self._own = False

    @property
    def jobs(self) -> int:
        """So many cells at once."""
        assert self._jobs is not None, "the cluster is not there before the executor is opened"
        return self._jobs

    def __enter__(self) -> Self:
        # A test tells nobody of itself unless its user wants that.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not ray.is_initialized():
            try:
                ray.init(log_to_driver=False, include_dashboard=False)
            except (ConnectionError, RuntimeError) as error:
                raise CannotExecute(f"no Ray cluster can be reached or started: {error}") from error
            self._own = True
        self._jobs = self._jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._own:
            ray.shutdown()
            self._own = False

    def record(self, works: Iterable[Work]) -> Generator[Done]:
        """Record every cell; to close the iterator ends what is under way."""
        task = ray.remote(num_cpus=1, max_retries=TRIES_AGAIN)(recorded_here)
        waiting, sent = iter(works), dict[ray.ObjectRef, Work]()
        try:
            while True:
                for work in islice(waiting, self.jobs - len(sent)):
                    sent[task.remote(work.cell)] = work
                if not sent:
                    return
                (over, *_), _ = ray.wait(list(sent), num_returns=1)
                yield taken(over, sent.pop(over))
        finally:
            for under_way in sent:
                ray.cancel(under_way, force=True)


def taken(over: "ray.ObjectRef", work: Work) -> Done:
    """What came back of a task that is over."""
    try:
        parcel = ray.get(over)
    except ray.exceptions.RayError as error:
        return lost(work, error)
    assert isinstance(parcel, Parcel)
    return parcel.unpacked(work)
