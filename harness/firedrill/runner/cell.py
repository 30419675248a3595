"""One cell in a process of its own: the control run, the faulted run and, where nothing was noticed, the counterfactual.

The child only records. Its histories lie in a folder, and the parent judges them, also those of a child that died.
"""

import contextlib
import math
import resource
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch

from firedrill.events import FaultStruck, RunResumed
from firedrill.faults.governor_raise_in import SINK_WRITING
from firedrill.oracles.deterministic import Deterministic
from firedrill.oracles.transparent import Transparent
from firedrill.runner.controls import leave, taken_over
from firedrill.runner.determinism import settle
from firedrill.runner.folder import AGAIN, BARE, CONTROL, COUNTERFACTUAL, FAULTED, KINDS, tell
from firedrill.runner.inject import Injector
from firedrill.runner.loops import train_loop
from firedrill.runner.observe import Observer
from firedrill.runner.plan import config_of, is_asked, setup_of, takes_census, twin_steps
from firedrill.runner.verdict import End
from firedrill.scenario.cell import Cell
from firedrill.scenario.scenario import PlannedFault
from firedrill.subjects import canary, growth
from firedrill.subjects.growth import states_left
from firedrill.subjects.loop import NotInstalled, Setup
from tolaria.errors import CheckpointDamaged
from tolaria.seams import NO_TAPS, ROLLBACK_COPYING, ROLLED_BACK, SNAPSHOT_COPYING, SNAPSHOT_TAKEN, STEP_FINISHED, Seam
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired
from tolaria.telemetry.history import DURABLE, History, read_so_far
from tolaria.telemetry.run_events import RunAborted
from tolaria.train import checkpoint, disk
from tolaria.train.config import TrainConfig, save
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

T = TypeVar("T")
Recorded = tuple[list[Event], list[str]]

SUBJECTS = {"growth": growth.build, "canary": canary.build}
# So many seconds after its time a child that the watchdog has not ended is alone.
PATIENCE_S = 10
# A listener that never comes back is waited for no longer than this.
SINK_PATIENCE_S = 1.0

# After these nobody asks what a fault would have come to without a governor: it was answered, or it stopped an environment or the
# run. Nor after a resumption: what struck the first life has not struck the whole.
ANSWERED = (Collapsed, EnvironmentRetired, RunAborted, RunResumed)
LASTING = DURABLE | {FaultStruck}

# Here the harness looks first and strikes afterwards: what it promises is about the moment as the run left it.
LOOK_FIRST = frozenset(seam.name for seam in (SNAPSHOT_TAKEN, ROLLED_BACK, STEP_FINISHED))
# What is copied there is one tensor of many, which nobody looks at.
UNSEEN = frozenset(seam.name for seam in (SNAPSHOT_COPYING, ROLLBACK_COPYING))
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
        if seam.name in LOOK_FIRST:
            self._see(seam, at, value)
            return self.injector.pass_through(seam, at, value)
        value = self.injector.pass_through(seam, at, value)
        self._see(seam, at, value)
        return value

    def hears(self, seam: Seam[T]) -> bool:
        """Whether a fault strikes there; the observer looks where it pleases, and never at single copies."""
        return seam.name not in UNSEEN or self.injector.hears(seam)

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
    """Record the runs of a cell; how that ended is told in `ending.json`. A process before this one may have begun, and died."""
    silence_core_dumps()
    torch.set_num_threads(1)
    if cell.device == "cuda" and not torch.cuda.is_available():
        tell(folder, End.NOT_RUN, "PyTorch sees no GPU here")
        return
    settle(cell.device)
    try:
        if not (folder / FAULTED).exists():
            record_control(cell, folder, controls)
            if is_asked(cell.scenario, Deterministic):
                one_run(cell, folder / AGAIN, ())
            if is_asked(cell.scenario, Transparent):
                run_bare(cell, folder / BARE)
        faulted, complaints = one_run(cell, folder / FAULTED, cell.scenario.faults)
        # What strikes beside the training says nothing of a governor.
        striking = tuple(planned for planned in cell.scenario.faults if not planned.fault.aside)
        if striking and not any(isinstance(event, ANSWERED) for event in faulted):
            one_run(cell, folder / COUNTERFACTUAL, striking, governed=False)
    except NotInstalled as missing:
        tell(folder, End.NOT_RUN, str(missing))
        return
    except Exception as error:  # noqa: BLE001 - the runner turns whatever the harness itself did wrong into a verdict
        tell(folder, End.HARNESS_FAILED, f"{type(error).__name__}: {error}")
        return
    # No later life needs what the run has stored.
    shutil.rmtree((folder / FAULTED).with_suffix(""), ignore_errors=True)
    tell(folder, End.ENDED, "; ".join(complaints))


def record_control(cell: Cell, folder: Path, controls: Path | None) -> None:
    """The undisturbed run, or the same bytes where another cell has left them."""
    if controls is not None and taken_over(cell, controls, folder / CONTROL):
        return
    undisturbed, _ = one_run(cell, folder / CONTROL, ())
    if controls is not None:
        leave(cell, controls, folder / CONTROL, undisturbed)


def one_run(cell: Cell, path: Path, faults: Sequence[PlannedFault], governed: bool = True) -> Recorded:
    """A run of the subject of a cell, or without `governed` of those that are struck with nobody who guards them."""
    if cell.scenario.subject.is_loop:
        return run_loop(cell, setup_of(cell, governed), path, faults)
    return run(cell, config_of(cell, governed), path, faults, frozenset() if governed else spared(cell, faults))


def run_loop(cell: Cell, setup: Setup, path: Path, faults: Sequence[PlannedFault]) -> Recorded:
    """One run of a loop that is not ours. Its own end is in its history; what is raised here is the harness's."""
    sink = FragileSink()
    history = Recording((sink,) if any(planned.at.phase == SINK.name for planned in faults) else (), path.open("xb"), LASTING)
    injector = Injector(faults, cell.seed, history.emit)
    history.injector = sink.injector = injector
    try:
        train_loop(cell.scenario.subject.kind, setup, history, injector)
    finally:
        history.close(SINK_PATIENCE_S)
    append(path, history, injector.strikes_aside)
    return history.events, injector.complaints + history.complaints


def spared(cell: Cell, faults: Sequence[PlannedFault]) -> frozenset[int]:
    """The environments that no fault strikes, where a script decides for each by itself.

    What would have become of them without a governor is what became of them with it, and nobody asks.
    """
    subject = cell.scenario.subject
    if subject.policy != "scripted":
        return frozenset()
    return frozenset(range(subject.envs)).difference(*(planned.at.environments(subject.envs) for planned in faults))


def run(
    cell: Cell, config: TrainConfig, path: Path, faults: Sequence[PlannedFault], left_out: frozenset[int] = frozenset()
) -> Recorded:  # fmt: skip
    """One run, recorded to a file; returns its events and what faults complained of. A subject's own end is in its history.

    The environments that are left out are not trained.
    """
    try:
        trainer, history, harness = begun(cell, config, path, faults)
    except CheckpointDamaged as error:
        # The next life of a run could not begin, and there is nothing that it could go on from.
        return refused(path, error), []
    trainer.run.envs.retired |= left_out
    # An error of the run is told of as RunAborted, and the verdict reads that.
    with contextlib.suppress(Exception):
        trainer.train()
    if not faults:
        # Of every control run, so that it is the same one whatever judges it.
        tell_what_is_left(trainer.run, history)
    history.close(SINK_PATIENCE_S)
    trainer.close()
    if harness.failure is not None:
        raise harness.failure
    append(path, history, harness.injector.strikes_aside)
    return history.events, harness.injector.complaints + history.complaints


def begun(cell: Cell, config: TrainConfig, path: Path, faults: Sequence[PlannedFault]) -> tuple[Trainer, Recording, Harness]:
    """A run at its first step, or at its newest checkpoint where a process that died has left one.

    What has struck an earlier life strikes no later one: the end of a process happens once.
    """
    again = path.exists()
    earlier = read_so_far(path, KINDS) if again else []
    struck = {event.fault for event in earlier if isinstance(event, FaultStruck)}
    # Only what is struck is stored; the control run has nothing to fear.
    folder = path.with_suffix("") if faults and cell.scenario.subject.checkpoint_every else None

    def voices(next_seq: int) -> tuple[Recording, Harness]:
        sink = FragileSink()
        # A sink has a thread of its own, which costs each event a change of threads; without a fault that strikes there nobody needs it.
        sinks = (sink,) if any(planned.at.phase == SINK.name for planned in faults) else ()
        history = Recording.resume(path, next_seq, sinks, LASTING, KINDS) if again else Recording(sinks, path.open("xb"), LASTING)
        injector = Injector([planned for planned in faults if planned.number not in struck], cell.seed, history.emit)
        for event in history.events:
            injector.note(event)
        history.injector = sink.injector = injector
        return history, Harness(injector, Observer(history.emit, twin_steps(cell.scenario) if faults else 0, counted))

    counted = takes_census(cell.scenario) and bool(faults)
    if folder is not None and checkpoint.places(folder / "checkpoints"):
        trainer, _ = Trainer.resumed(folder, voices)
    else:
        trainer = SUBJECTS[cell.scenario.subject.kind](config, *voices(0))
        if folder is not None:
            disk.make_folder(folder)
            save(config, folder / "config.json")
            trainer.folder = folder
    history, harness = trainer.run.history, trainer.run.taps
    assert isinstance(history, Recording)
    assert isinstance(harness, Harness)
    harness.observer.attend(trainer.run)
    if again:
        dropped = earlier[history.next_seq :]
        for event in dropped:
            if isinstance(event, FaultStruck | RunResumed):
                history.emit(event)
        history.emit(RunResumed(Point(trainer.run.step), len(dropped)))
    return trainer, history, harness


def refused(path: Path, error: CheckpointDamaged) -> list[Event]:
    """The history of a run that could not be resumed, with its last word."""
    history = History.resume(path, len(read_so_far(path, KINDS)), kinds=KINDS)
    history.emit(RunAborted(Point(history.events[-1].at.step), type(error).__name__, str(error)))
    history.close()
    return history.events


def run_bare(cell: Cell, path: Path) -> None:
    """The same run without a harness; only what it leaves is looked at, once it is over."""
    history = History((), path.open("xb"), DURABLE)
    trainer = SUBJECTS[cell.scenario.subject.kind](config_of(cell), history, NO_TAPS)
    with contextlib.suppress(Exception):
        trainer.train()
    tell_what_is_left(trainer.run, history)
    history.close()


def tell_what_is_left(run: Run, history: History) -> None:
    """The state of every environment and of the controller, with the hooks that hang on them."""
    for left in states_left(run):
        history.emit(left)


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
