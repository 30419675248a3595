"""How a command line runs cells: where, how many at once, how long, and what of them stays."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from firedrill.screen import Refused, say

if TYPE_CHECKING:
    from firedrill.runner.executors.executor import Executor
    from firedrill.runner.keep import Keep


@dataclass(frozen=True, slots=True)
class Conduct:
    """The options that every command has which runs many cells."""

    jobs: int | None = None
    """So many cells at once, each in a process of its own with one thread; by default one a core."""
    executor: Literal["local", "ray", "slurm"] = "local"
    """Where: on this machine, on a Ray cluster or on a Slurm cluster."""
    time_budget: float | None = None
    """Seconds after which no cell begins."""
    json: Path | None = None
    """Write the results to this file."""


# As an argument of a command, its options stand among the command's own.
Conducted = Annotated[Conduct, tyro.conf.arg(name="")]
AS_USUAL = Conduct()


@dataclass(frozen=True, slots=True)
class Stage:
    """What the options ask for, opened. `deadline` is a second of the monotonic clock."""

    executor: "Executor"
    deadline: float
    keep: "Keep | None"


@contextmanager
def opened(conduct: Conduct, folder: Path | None = None) -> Iterator[Stage]:
    """The executor and the folder that were asked for; raises `Refused` where they cannot be had."""
    from firedrill.runner.executors.by_name import executor_of
    from firedrill.runner.executors.executor import CannotExecute
    from firedrill.runner.keep import CannotKeep, Keep

    deadline = float("inf") if conduct.time_budget is None else time.monotonic() + conduct.time_budget
    with ExitStack() as held:
        try:
            executor = held.enter_context(executor_of(conduct.executor, conduct.jobs))
            keep = held.enter_context(Keep(folder)) if folder else None
            yield Stage(executor, deadline, keep)
        except (CannotExecute, CannotKeep) as error:
            raise Refused(str(error)) from error
        if keep is not None and keep.taken_over:
            cells = "1 cell was" if keep.taken_over == 1 else f"{keep.taken_over} cells were"
            say(f"{cells} finished in {folder} already, and taken over")
