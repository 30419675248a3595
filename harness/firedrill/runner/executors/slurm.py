"""Cells as jobs of a Slurm cluster, through submitit. What Slurm takes from a job, by time, preemption or a dead node, is run again.

firedrill must be importable on every node, and the folder for jobs must be on a disk that all nodes share. Partition, account
and the like are what sbatch itself reads from SBATCH_PARTITION, SBATCH_ACCOUNT and so on.
"""

import math
import time
from collections import Counter
from collections.abc import Generator, Iterable
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import submitit

from firedrill.runner.executors.elsewhere import TRIES_AGAIN, Parcel, lost, recorded_here
from firedrill.runner.executors.executor import CannotExecute, Done, Work

JOBS = 32
FOLDER = Path("reports/local/slurm")
# A job loads everything anew, and the watchdog of its cell must come before Slurm's own.
LOADING_S = 120
# The queue is asked by submitit, which spares it; this is how often submitit is asked.
POLL_S = 0.2


class Slurm:
    """At most `jobs` cells in the queue. `cluster` "local" runs the same jobs as processes of this machine, for tests."""

    def __init__(self, jobs: int | None = None, folder: Path = FOLDER, cluster: str = "slurm") -> None:
        self._jobs = jobs or JOBS
        try:
            self._submitter = submitit.AutoExecutor(folder=folder.absolute(), cluster=cluster)
        except RuntimeError as error:
            raise CannotExecute(f"there is no Slurm here: {error}") from error

    @property
    def jobs(self) -> int:
        """So many cells at once."""
        return self._jobs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is held between cells."""

    def record(self, works: Iterable[Work]) -> Generator[Done]:
        """Record every cell; to close the iterator cancels what is in the queue."""
        waiting, queued, tries = iter(works), dict[str, tuple[submitit.Job[Parcel], Work]](), Counter[int]()
        try:
            while True:
                for work in islice(waiting, self._jobs - len(queued)):
                    self._submit(work, queued)
                if not queued:
                    return
                for key, (job, work) in [entry for entry in queued.items() if entry[1][0].done()]:
                    del queued[key]
                    failure = job.exception()
                    if failure is not None and tries[work.number] < TRIES_AGAIN:
                        tries[work.number] += 1
                        self._submit(work, queued)
                        continue
                    yield lost(work, failure) if failure is not None else job.result().unpacked(work)
                    tidy(job)
                time.sleep(POLL_S)
        finally:
            for job, _ in queued.values():
                job.cancel()

    def _submit(self, work: Work, queued: "dict[str, tuple[submitit.Job[Parcel], Work]]") -> None:
        minutes = math.ceil((work.cell.scenario.budget.wall + LOADING_S) / 60)
        self._submitter.update_parameters(timeout_min=minutes, cpus_per_task=1, name="firedrill")
        job = self._submitter.submit(recorded_here, work.cell)
        queued[job.job_id] = job, work


def tidy(job: "submitit.Job[Parcel]") -> None:
    """What a job that came back left beside its logs holds all histories once more."""
    for path in (job.paths.result_pickle, job.paths.submitted_pickle):
        path.unlink(missing_ok=True)
