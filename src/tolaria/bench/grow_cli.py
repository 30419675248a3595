"""The command `tolaria bench grow`. Nothing heavy is imported before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from tolaria.catalogue import FOLDER_TASK_NAMES, TASK_ABOUT
from tolaria.destination import check_destinations
from tolaria.errors import ConfigError, WorkerLost
from tolaria.interruption import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tolaria.bench.grow.sheet import Sheet

# Tasks that a small host cannot learn however long it is trained, so that growing can pay.
TASKS = ("spirals_impaired", "digits_impaired")
# Those that need no folder.
KNOWN = tuple(task for task in TASK_ABOUT if task not in FOLDER_TASK_NAMES)
SEEDS_MIN = 2


@dataclass(frozen=True, slots=True)
class Grow:
    """Measure what growing gains: grown hosts against small and large ones that never grow, at equal epochs and at equal products.

    Growth is timed by chance, by a fixed schedule, by the heuristic and by a learnt controller; schedule and controller are chosen and
    learnt on other seeds than those they are compared on. The whole table is printed, also where growing loses. Ctrl-C keeps what is done.

    Example: tolaria bench grow --seeds 10 --jobs 2 --json grow.json --picture grow.png
    """

    tasks: Annotated[tuple[str, ...], arg(metavar="TASK...")] = TASKS
    """Tasks, each with a table of its own."""
    seeds: int = 10
    """Held-out seeds, on each of which every arm is run."""
    steps: int = 60
    """Decision steps of an episode."""
    batches_per_step: int = 10
    """Training batches in one of them."""
    updates: int = 16
    """Updates of the controller that learns."""
    envs: int = 16
    """Episodes of each of them."""
    warm_start: int = 16
    """Episodes of the heuristic that it learns from before."""
    jobs: int = 1
    """Processes that run side by side."""
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every run there."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw it."""

    def run(self) -> int:
        """Returns the exit code: 1 where a task does not pass the regime gate, or its reward pays the wrong controller."""
        self._check()
        import torch

        from tolaria.bench.grow.arms import Plan
        from tolaria.bench.grow.experiment import HELD_OUT, measure
        from tolaria.envelope.progress import progress

        plans = [
            Plan(task, self.steps, self.batches_per_step, self.envs, self.updates, self.warm_start) for task in dict.fromkeys(self.tasks)
        ]
        torch.set_num_threads(1)
        sheets: list[Sheet] = []

        def keep(found: "list[Sheet]") -> None:
            sheets[:] = found
            self._write(sheets, complete=False)

        try:
            with progress() as seen:
                measure(plans, range(HELD_OUT, HELD_OUT + self.seeds), self.jobs, seen.follow, keep)
        except WorkerLost:
            self._tell(sheets, complete=False)
            raise
        self._tell(sheets, not seen.interrupted)
        if seen.interrupted:
            return INTERRUPTED
        return int(any(not sheet.in_regime or sheet.misordered for sheet in sheets))

    def _check(self) -> None:
        for task in self.tasks:
            if task not in KNOWN:
                raise ConfigError("tasks", task, f"some of {', '.join(KNOWN)}")
        if self.seeds < SEEDS_MIN:
            raise ConfigError("seeds", self.seeds, f"at least {SEEDS_MIN}, for an interval")
        for name in ("steps", "batches_per_step", "updates", "envs", "jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "1 or more")
        check_destinations(self.json, self.picture)

    def _tell(self, sheets: "Sequence[Sheet]", complete: bool) -> None:
        from rich.console import Console

        from tolaria.bench.grow.sheet import told

        console = Console()
        for sheet in sheets:
            for line in [*told(sheet), ""]:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._write(sheets, complete)
        if self.picture is not None and any(sheet.seeds for sheet in sheets):
            _draw(sheets, self.picture)

    def _write(self, sheets: "Sequence[Sheet]", complete: bool) -> None:
        from tolaria.bench.grow.record import to_json
        from tolaria.train.trainer import commit

        if self.json is not None:
            self.json.write_text(to_json(sheets, complete, commit()), encoding="utf-8")


def _draw(sheets: "Sequence[Sheet]", path: Path) -> None:
    try:
        from tolaria.bench.grow.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    draw(sheets, path)
