"""One cell in a process of its own: the control run, the faulted run and, where nothing was noticed, the counterfactual.

The child only records. Its histories lie in a folder, and the parent judges them, also those of a child that died.
"""

import contextlib
import math
import os
import resource
import signal
from pathlib import Path
from typing import TypeVar

import torch

from firedrill.events import FaultStruck
from firedrill.faults.governor_raise_in import SINK_WRITING
from firedrill.runner.controls import leave, taken_over
from firedrill.runner.folder import CONTROL, COUNTERFACTUAL, FAULTED, KINDS, tell
from firedrill.runner.inject import Injector
from firedrill.runner.observe import Observer
from firedrill.runner.plan import config_of, takes_census, twin_steps
from firedrill.runner.verdict import End
from firedrill.scenario.cell import Cell
from firedrill.subjects import canary, growth
from tolaria.seams import ROLLED_BACK, SNAPSHOT_TAKEN, STEP_FINISHED, Seam
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed
from tolaria.telemetry.history import DURABLE, History
from tolaria.train.config import TrainConfig

T = TypeVar("T")

SUBJECTS = {"growth": growth.build, "canary": canary.build}
# So many seconds after its time a child that the watchdog has not ended is alone.
PATIENCE_S = 10

# Here the harness looks first and strikes afterwards: what it promises is about the moment as the run left it.
LOOK_FIRST = (SNAPSHOT_TAKEN, ROLLED_BACK, STEP_FINISHED)
SINK: Seam[Event] = Seam(SINK_WRITING)


class Recording(History):
    """A history that also tells the injector of every event, at once and in order.

    It outlives its process and need not outlive its machine, because nobody judges what a machine left that is gone.
    """

    injector: Injector | None = None

    def emit(self, event: Event) -> None:
        """Record, then let triggers hear of it."""
        super().emit(event)
        if self.injector is not None:
            self.injector.note(event)

    def sync(self) -> None:
        """Out of the process."""
        if self._file is not None:
            self._file.flush()


class Harness:
    """The taps of a run: the injector strikes, the observer looks."""

    def __init__(self, injector: Injector, observer: Observer) -> None:
        self.injector = injector
        self.observer = observer
        # What the harness itself did wrong; the run must not be blamed for it.
        self.failure: Exception | None = None

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """What should go on."""
        if seam in LOOK_FIRST:
            self._see(seam, at, value)
            return self.injector.pass_through(seam, at, value)
        value = self.injector.pass_through(seam, at, value)
        self._see(seam, at, value)
        return value

    def _see(self, seam: Seam[T], at: Point, value: T) -> None:
        try:
            self.observer.see(seam, at, value)
        except Exception as error:
            self.failure = error
            raise


class FragileSink:
    """A sink of the harness, so that a fault can make a real sink of a real run raise."""

    injector: Injector | None = None

    def write(self, event: Event) -> None:
        """Let the seam pass."""
        if self.injector is not None:
            self.injector.pass_through(SINK, event.at, event)

    def close(self) -> None:
        """Nothing is held."""


def record_apart(cell: Cell, folder: Path, controls: Path) -> None:
    """The child's whole work, in a process that it has for itself; `controls` is where cells leave control runs for others."""
    # Ctrl-C reaches the whole group, and the parent ends its children itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parent that was killed watches no more; then the child ends itself.
    signal.alarm(math.ceil(cell.scenario.budget.wall) + PATIENCE_S)
    record(cell, folder, controls)


def record(cell: Cell, folder: Path, controls: Path | None = None) -> None:
    """Record the runs of a cell; how that ended is told in `ending.json`."""
    silence_core_dumps()
    torch.set_num_threads(1)
    if cell.device == "cuda" and not torch.cuda.is_available():
        tell(folder, End.NOT_RUN, "PyTorch sees no GPU here")
        return
    try:
        if controls is None or not taken_over(cell, controls, folder / CONTROL):
            undisturbed, _ = run(cell, config_of(cell), folder / CONTROL, faulted=False)
            if controls is not None:
                leave(cell, controls, folder / CONTROL, undisturbed)
        faulted, complaints = run(cell, config_of(cell), folder / FAULTED, faulted=True)
        if cell.scenario.faults and not any(isinstance(event, Collapsed) for event in faulted):
            run(cell, config_of(cell, governed=False), folder / COUNTERFACTUAL, faulted=True)
    except Exception as error:  # noqa: BLE001 - the runner turns whatever the harness itself did wrong into a verdict
        tell(folder, End.HARNESS_FAILED, f"{type(error).__name__}: {error}")
        return
    tell(folder, End.ENDED, "; ".join(complaints))


def run(cell: Cell, config: TrainConfig, path: Path, faulted: bool) -> tuple[list[Event], list[str]]:
    """One run, recorded to a file; returns its events and what faults complained of. A subject's own end is in its history."""
    sink = FragileSink()
    history = Recording((sink,), path.open("xb"), DURABLE | {FaultStruck})
    injector = Injector(cell.scenario.faults if faulted else (), cell.seed, history.emit)
    observer = Observer(history.emit, twin_steps(cell.scenario) if faulted else 0, takes_census(cell.scenario) and faulted)
    history.injector = sink.injector = injector
    harness = Harness(injector, observer)
    trainer = SUBJECTS[cell.scenario.subject.kind](config, history, harness)
    observer.run = trainer.run
    # An error of the run is told of as RunAborted, and the verdict reads that.
    with contextlib.suppress(Exception):
        trainer.train()
    history.close()
    if harness.failure is not None:
        raise harness.failure
    append(path, history, injector.strikes_aside)
    return history.events, injector.complaints


def append(path: Path, history: History, strikes: list[FaultStruck]) -> None:
    """Add the strikes that a sink's thread saw, once that thread has ended."""
    if strikes:
        again = History.resume(path, history.next_seq, kinds=KINDS)
        for strike in strikes:
            again.emit(strike)
        again.close()
        history.events.extend(strikes)


def silence_core_dumps() -> None:
    """A child that is killed on purpose leaves no core file, and dies with its parent's terminal output untouched."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
