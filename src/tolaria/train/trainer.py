"""Driving a run from its first step to its last: checkpoints when due, a clean stop on request, an honest end."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import torch

from tolaria.seams import CHECKPOINT_DUE, NO_TAPS, Taps
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunAborted, RunFinished, RunStarted, StorageFailed
from tolaria.telemetry.sinks import Sink
from tolaria.telemetry.timings import TimingsSink
from tolaria.train import checkpoint, disk, trial
from tolaria.train.config import TrainConfig, as_loaded, described, dump, load, save
from tolaria.train.manifest import Facts, Tensors
from tolaria.train.rollout import finish_rollout, take_step, tell_episode
from tolaria.train.run import Run, build_task, check_backend, check_workers, choose_device
from tolaria.train.warm_start import warm_start

# What decides about the bits of a run beside its config and commit.
RECORDED_PACKAGES = ("torch", "numpy", "scikit-learn", "tolaria")


class Trainer:
    """One run in its folder: `config.json`, `events.jsonl`, `timings.jsonl`, `checkpoints/`. Without a folder nothing is stored."""

    def __init__(self, run: Run, folder: Path | None) -> None:
        self.run = run
        # The process may go to another working directory.
        self.folder = None if folder is None else folder.absolute()
        # The folder is nobody else's until `close`.
        self._held = ExitStack()

    @classmethod
    def start(cls, config: TrainConfig, folder: Path | None, sinks: tuple[Sink, ...] = (), workers: int = 1) -> "Trainer":
        """A new run, stepped by so many processes.

        Raises `ConfigError` where the folder holds one already, or where the device, the data or the processes cannot be had.
        """
        device = choose_device(config.device)
        check_workers(workers, device)
        check_backend(config.backend, device)
        # Asked once more by the run itself; here nothing is written yet.
        build_task(config)
        if folder is None:
            return cls.tapped(config, History(sinks), NO_TAPS, workers=workers)
        disk.make_folder(folder)
        with ExitStack() as held:
            held.enter_context(disk.held(folder))
            history = History.open(folder / "events.jsonl", _with_timings(folder, sinks))
            save(config, folder / "config.json")
            trainer = cls.tapped(config, history, NO_TAPS, folder, workers)
            trainer._held = held.pop_all()
        return trainer

    @classmethod
    def tapped(cls, config: TrainConfig, history: History, taps: Taps, folder: Path | None = None, workers: int = 1) -> "Trainer":
        """A new run that tells its events to a given history and lets a harness listen at its seams."""
        device = choose_device(config.device)
        torch.set_num_threads(config.threads)
        run = Run(config, device, history, taps, workers=workers)
        history.emit(
            RunStarted(
                Point(0),
                config.seed,
                dump(config),
                commit(),
                versions() + data_versions(run),
                tuple(run.envs.envs[0].training.host.slots),
                run.envs.envs[0].task.chance_loss,
            )
        )
        return cls(run, folder)

    @classmethod
    def resume(cls, folder: Path, sinks: tuple[Sink, ...] = (), workers: int = 1) -> tuple["Trainer", list[str]]:
        """Continue a run from its newest whole checkpoint; also returns what the user should know about that."""
        events = folder / "events.jsonl"
        return cls.resumed(folder, lambda next_seq: (History.resume(events, next_seq, _with_timings(folder, sinks)), NO_TAPS), workers)

    @classmethod
    def resumed(cls, folder: Path, voices: Callable[[int], tuple[History, Taps]], workers: int = 1) -> tuple["Trainer", list[str]]:
        """The same with a history of the caller's and whoever listens at its seams, given the number of the next event."""
        config = load(folder / "config.json")
        device = choose_device(config.device)
        check_workers(workers, device)
        torch.set_num_threads(config.threads)

        def accept(tensors: Tensors, facts: Facts) -> tuple[Tensors, Facts]:
            trial.check(config, device, tensors, facts)
            return tensors, facts

        with ExitStack() as held:
            held.enter_context(disk.held(folder))
            (tensors, facts), remarks = checkpoint.take_up(folder / "checkpoints", accept)
            history, taps = voices(facts["next_seq"])
            run = Run(config, device, history, taps, workers=workers)
            run.restore(trial.placed(tensors, device), facts)
            trainer = cls(run, folder)
            trainer._held = held.pop_all()
        return trainer, remarks + ([history.remark] if history.remark else [])

    def train(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Train until the last step or until asked to stop, which takes effect between two steps. True when finished."""
        run = self.run
        try:
            if not run.begun:
                warm_start(run)
                run.begin()
                self.save()
            while not run.finished:
                if should_stop():
                    self.save()
                    return False
                take_step(run)
                rolled = run.step % run.config.rollout_steps == 0
                if rolled or run.finished:
                    finish_rollout(run)
                if run.step % run.config.checkpoint_every == 0 and not run.finished:
                    self._persist()
        except Exception as error:
            run.history.emit(RunAborted(Point(run.step), type(error).__name__, str(error)))
            raise
        self._finish()
        return True

    def save(self) -> Path | None:
        """Store a checkpoint of the run as it is between two steps."""
        if self.folder is None:
            return None
        self.run.history.sync()
        run = self.run
        tensors, facts = run.capsule()
        told = facts | {"config": described(as_loaded(run.config))}
        store: Callable[[], Path] = partial(checkpoint.write, self.folder / "checkpoints", run.step, tensors, told)
        return run.taps.pass_through(CHECKPOINT_DUE, Point(run.step), store)()

    def close(self) -> list[str]:
        """Close the history and let go of the folder; returns what sinks missed."""
        try:
            self.run.close()
            self.run.history.close()
        finally:
            self._held.close()
        return self.run.history.complaints

    def _persist(self) -> None:
        try:
            self.save()
        except Exception as error:  # noqa: BLE001 - a disk may fail in any way; the checkpoints before stand, and the run goes on
            self.run.history.emit(StorageFailed(Point(self.run.step), f"{type(error).__name__}: {error}"))

    def _finish(self) -> None:
        run = self.run
        at = Point(run.step)
        # Before the last words, so that a run that dies between them says each of them once when it is resumed.
        self._persist()
        for env in run.envs.active:
            # An episode that the last step did not end is told of all the same.
            if 0 < env.course.step < run.config.episode_length:
                tell_episode(run, env, Point(run.step - 1, env.env))
        accuracies = tuple(None if env.env in run.envs.retired else env.training.validate("test")[1] for env in run.envs.envs)
        run.history.emit(RunFinished(at, accuracies))


def _with_timings(folder: Path, sinks: tuple[Sink, ...]) -> tuple[Sink, ...]:
    return (*sinks, TimingsSink(folder.absolute() / "timings.jsonl"))


def versions() -> tuple[tuple[str, str], ...]:
    """Python and the packages that decide about the bits of a run."""
    return (("python", platform.python_version()), *((name, version_of(name)) for name in RECORDED_PACKAGES))


def data_versions(run: Run) -> tuple[tuple[str, str], ...]:
    """Which data it is, where that is not the same on every machine."""
    return ((f"data of {run.task.name}", run.task.digest),) if run.task.digest else ()


@cache
def version_of(package: str) -> str:
    """The installed version; a package that is only on the path has none. Its metadata is parsed once a process."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def commit() -> str:
    """The commit of the source, with a plus for uncommitted changes; "unknown" outside a checkout. Asked once a process."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
