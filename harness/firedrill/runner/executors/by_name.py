"""The table of executors, by the name that a command line knows. What a cluster needs is an extra, and loaded for it only."""

import os
from collections.abc import Callable
from typing import Literal

from firedrill.runner.executors.executor import CannotExecute, Executor
from firedrill.runner.executors.local import Local

ExecutorName = Literal["local", "ray", "slurm"]


def executor_of(name: ExecutorName, jobs: int | None) -> Executor:
    """The executor of that name for so many cells at once, or for as many as it thinks right; raises `CannotExecute`."""
    if jobs is not None and jobs < 1:
        raise CannotExecute(f"--jobs {jobs}: at least one cell must run at a time")
    try:
        return EXECUTORS[name](jobs)
    except ModuleNotFoundError as missing:
        raise CannotExecute(f"--executor {name} needs {missing.name}, which is not installed: pip install 'tolaria[{name}]'") from missing


def _local(jobs: int | None) -> Executor:
    return Local(jobs or os.cpu_count() or 1)


def _ray(jobs: int | None) -> Executor:
    from firedrill.runner.executors.ray import Ray

    return Ray(jobs)


def _slurm(jobs: int | None) -> Executor:
    from firedrill.runner.executors.slurm import Slurm

    return Slurm(jobs)


EXECUTORS: dict[ExecutorName, Callable[[int | None], Executor]] = {"local": _local, "ray": _ray, "slurm": _slurm}
