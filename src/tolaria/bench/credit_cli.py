"""The command `tolaria bench credit`. Nothing heavy is imported before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from tolaria.destination import check_destinations
from tolaria.errors import ConfigError, WorkerLost
from tolaria.interruption import INTERRUPTED

if TYPE_CHECKING:
    from tolaria.bench.credit.cells import Run
    from tolaria.bench.credit.first_update import Fall
    from tolaria.bench.credit.plan import Bar
    from tolaria.bench.credit.toxic import ToxicRun

# In words here, because help loads nothing heavy; `credit/plan.py` asks them.
QUESTIONS = ("delay-5", "delay-20", "short-trace", "unavoidable")
# Asked by name only: real hosts grow in it, which takes minutes a run.
TOXIC = "toxic"


@dataclass(frozen=True, slots=True)
class Credit:
    """Measure which form of the death penalty teaches a controller to avoid what kills its host.

    In a small world with one slot a bait pays at once and collapses its host later. Each arm does something else with a rollback;
    the first is what `tolaria train` does. `--only toxic` asks the same of real hosts that grow, one of whose blueprints kills them;
    it takes minutes a run. Ctrl-C stops after the runs at hand and keeps what is measured.

    Example: tolaria bench credit --jobs 2 --json credit.json --picture credit.png

    Example: tolaria bench credit --seeds 1

    Example: tolaria bench credit --only toxic --seeds 3 --jobs 2
    """

    seeds: int = 5
    """Runs of every arm; three more where the delay is long, if it is 5 or more. The bars are meant for 5."""
    only: str = ",".join(QUESTIONS)
    """Questions, with commas between; `toxic` is one more."""
    jobs: int = 1
    """Processes."""
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every run there, with its counts after every update."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw the learning curves."""

    def run(self) -> int:
        """Returns the exit code: 1 where a bar is missed."""
        if self.seeds < 1 or self.jobs < 1:
            raise ConfigError("seeds", (self.seeds, self.jobs), "at least 1 seed and 1 process")
        check_destinations(self.json, self.picture)
        if unknown := sorted(set(self._asked) - {*QUESTIONS, TOXIC}):
            raise ConfigError("only", unknown[0], f"some of {', '.join((*QUESTIONS, TOXIC))}")
        from tolaria.bench.credit.cells import run_cell
        from tolaria.bench.credit.first_update import ARMS_ASKED, SEEDS, falls
        from tolaria.bench.credit.plan import cells
        from tolaria.bench.credit.toxic import grow
        from tolaria.bench.credit.toxic_bars import toxic_cells
        from tolaria.bench.parallel import in_parallel
        from tolaria.envelope.progress import progress

        planned = cells(self.seeds, self._asked)
        growing = toxic_cells(self.seeds) if TOXIC in self._asked else []
        found = _Found([], [], [])
        try:
            with progress() as seen:
                if growing:
                    for _ in seen.follow("toxic", in_parallel(grow, growing, self.jobs, found.toxic.append), len(growing)):
                        self._write(found, complete=False)
                if planned and not seen.interrupted:
                    for _ in seen.follow("runs", in_parallel(run_cell, planned, self.jobs, found.runs.append), len(planned)):
                        self._write(found, complete=False)
                if planned and not seen.interrupted:
                    found.falls.extend(seen.follow("first updates", falls(SEEDS), len(ARMS_ASKED)))
        except WorkerLost:
            self._tell(found, complete=False)
            raise
        missed = self._tell(found, complete=not seen.interrupted)
        return INTERRUPTED if seen.interrupted else int(missed)

    @property
    def _asked(self) -> list[str]:
        return self.only.split(",")

    def _tell(self, found: "_Found", complete: bool) -> bool:
        """Everything that was measured; returns whether a bar is missed."""
        from rich.console import Console

        from tolaria.bench.credit.report import told

        self._write(found, complete)
        bars = self._bars(found)
        console = Console()
        for line in told(found.runs, found.falls, bars, found.toxic):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if self.picture is not None and found.runs:
            _draw(found.runs, self.picture)
        return any(bar.holds is False for bar in bars)

    def _bars(self, found: "_Found") -> "list[Bar]":
        """Those of the worlds that were asked."""
        from tolaria.bench.credit.plan import bars, cells
        from tolaria.bench.credit.toxic_bars import toxic_bars

        planned = cells(self.seeds, self._asked)
        small = bars(found.runs, found.falls, planned) if planned else []
        return small + (toxic_bars(found.toxic, self.seeds) if TOXIC in self._asked else [])

    def _write(self, found: "_Found", complete: bool) -> None:
        from tolaria.bench.credit.report import to_json

        if self.json is not None:
            self.json.write_text(to_json(found.runs, found.falls, self._bars(found), complete, found.toxic), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Found:
    """What is measured so far."""

    runs: "list[Run]"
    falls: "list[Fall]"
    toxic: "list[ToxicRun]"


def _draw(runs: "list[Run]", path: Path) -> None:
    try:
        from tolaria.bench.credit.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    draw(runs, path)
