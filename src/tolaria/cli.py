"""The command line. Nothing heavy is imported before a command is known, so that help is there at once."""

import contextlib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from tyro.conf import Positional, arg
from tyro.extras import subcommand_cli_from_dict

from tolaria.bench.cli import Bench
from tolaria.catalogue import BLUEPRINT_ABOUT, BLUEPRINT_NAMES, TASK_ABOUT
from tolaria.envelope.cli import Envelope
from tolaria.errors import ConfigError, RollbackFailed, TolariaError, WorkerLost
from tolaria.interruption import INTERRUPTED, Interruption, interruptible
from tolaria.practice_cli import Ppo

if TYPE_CHECKING:
    from rich.console import Console

    from tolaria.telemetry.event import Event
    from tolaria.train.config import TrainConfig
    from tolaria.train.trainer import Trainer

ABOUT = """Trains neural networks that grow, under a governor that cannot lose the run.

Example: tolaria train --task digits --seed 0"""

WRONG = 2
UNHEALTHY = 1
FAILED = 1

# A learning controller needs several episodes, and so shorter ones and more steps.
STEPS = {"ppo": 200, "heuristic": 60, "schedule": 60, "random": 60, "noop": 60}
PPO_EPISODE_STEPS = 20


@dataclass(frozen=True, slots=True)
class Train:
    """Train hosts and grow them.

    Ctrl-C stops between two steps and keeps everything for `tolaria resume`; a second Ctrl-C stops at once.

    Example: tolaria train --task digits --seed 0

    Example: tolaria train --task spirals --policy ppo --envs 8 --steps 400
    """

    task: str = "digits"
    """What is learnt; `tolaria tasks` lists them."""
    data: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    """The folder of a task that is read from one, such as cifar10."""
    policy: Literal["heuristic", "schedule", "ppo", "random", "noop"] = "schedule"
    """Who decides about growth: a scripted gardener, the clock (the best measured, see reports/growth), a learner, chance, or nobody."""
    envs: int = 4
    """Hosts that are trained side by side."""
    steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 60, or 200 with ppo)")] = None
    """Decision steps of every environment."""
    seed: int = 0
    """The seed of everything random."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto is CUDA where there is one."""
    run_dir: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/TASK-POLICY-seedSEED)")] = None
    """A folder that does not exist yet."""
    episode_steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: the whole run, or 20 with ppo)")] = None
    """Steps until a host is replaced by a new one."""
    batches_per_step: int = 10
    """Training batches in one decision step."""
    warm_start: Annotated[int, arg(metavar="EPISODES")] = 0
    """With ppo: episodes of the heuristic whose decisions the controller takes over before it learns from its own."""
    snapshot_every: int = 5
    """Steps between the governor's snapshots."""
    width: Annotated[int | None, arg(metavar="INT", help_behavior_hint="(default: 256)")] = None
    """Of the host of the task wide."""
    backend: Literal["loop", "stacked", "graphs"] = "loop"
    """Train hosts one by one; perceptrons as one stack, several times faster; or on CUDA by replaying graphs. Equal but for rounding."""
    workers: int = 1
    """Processes that step the environments, to the same bytes; useful where there are as many cores and hosts are not tiny."""
    governor: bool = True
    """Whether a governor watches each host and rolls it back when it collapses."""
    persist: Annotated[int, arg(metavar="STEPS")] = 20
    """Store a checkpoint every so many steps; a run that is killed goes on from the newest one with `tolaria resume`."""

    def run(self) -> int:
        """Returns the exit code."""
        # The two likeliest mistakes are answered before torch is loaded, which takes seconds.
        if self.task not in TASK_ABOUT:
            raise ConfigError("task", self.task, f"one of {', '.join(TASK_ABOUT)}")
        folder = self.run_dir or Path("runs") / f"{self.task}-{self.policy}-seed{self.seed}"
        if folder.exists() and not folder.is_dir():
            raise ConfigError("run-dir", str(folder), "a folder that does not exist yet, and not a file")
        if folder.exists() and any(folder.iterdir()):
            expected = f"a folder that does not exist yet; to go on with that run: {advised('resume', folder)}"
            raise ConfigError("run-dir", str(folder), expected)
        from tolaria.telemetry.console import ConsoleSink
        from tolaria.train.trainer import Trainer

        config = self.config()
        console = stdout()
        with interruptible(heard(console)) as interruption, contextlib.closing(ConsoleSink(console, config.steps)) as sink:
            return drive(Trainer.start(config, folder, (sink,), self.workers), folder, console, interruption)

    def config(self) -> "TrainConfig":
        """The configuration of the run; raises `ConfigError` for what cannot be had, before anything is written."""
        from tolaria.env.config import TrainingConfig
        from tolaria.governor.config import GovernorConfig
        from tolaria.ppo.config import PpoConfig
        from tolaria.train.config import TrainConfig
        from tolaria.train.run import choose_device

        if self.warm_start and self.policy != "ppo":
            raise ConfigError("warm-start", self.warm_start, "--policy ppo, which alone learns")
        steps = STEPS[self.policy] if self.steps is None else self.steps
        episode_steps = PPO_EPISODE_STEPS if self.episode_steps is None and self.policy == "ppo" else self.episode_steps
        return TrainConfig(
            task=self.task,
            # By its whole name, so that a run can be resumed from anywhere.
            data=None if self.data is None else str(self.data.resolve()),
            policy=self.policy,
            envs=self.envs,
            steps=steps,
            seed=self.seed,
            # By its own name, so that a run is resumed where it was begun.
            device=str(choose_device(self.device)),
            episode_steps=episode_steps,
            backend=self.backend,
            width=self.width,
            checkpoint_every=self.persist,
            training=TrainingConfig(batches_per_step=self.batches_per_step),
            governor=GovernorConfig(enabled=self.governor, snapshot_every=self.snapshot_every),
            ppo=PpoConfig(warm_start=self.warm_start),
        )


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a run from its newest whole checkpoint, to the last bit as if it had never stopped.

    Example: tolaria resume runs/digits-schedule-seed0
    """

    run_dir: Annotated[Positional[Path], arg(metavar="RUN_DIR")]
    """The folder of a run."""
    workers: int = 1
    """Processes that step the environments; as many as one likes, whatever it was before."""

    def run(self) -> int:
        """Returns the exit code."""
        from tolaria.telemetry.console import ConsoleSink
        from tolaria.telemetry.run_events import RunFinished

        console = stdout()
        events = history_of(self.run_dir)
        if events and isinstance(events[-1], RunFinished):
            say(console, f"this run is finished; to look at it: {advised('show', self.run_dir)}")
            return 0
        from tolaria.train.config import load
        from tolaria.train.run import choose_device
        from tolaria.train.trainer import Trainer

        config = load(self.run_dir / "config.json")
        choose_device(config.device)
        with interruptible(heard(console)) as interruption, contextlib.closing(ConsoleSink(console, config.steps)) as sink:
            trainer, remarks = Trainer.resume(self.run_dir, (sink,), self.workers)
            sink.recall(trainer.run.history.events)
            for remark in remarks:
                say(console, f"note: {remark}", "yellow")
            step = trainer.run.step
            say(console, f"resumed from the checkpoint of step {step}, {config.steps - step} steps to go")
            return drive(trainer, self.run_dir, console, interruption)


@dataclass(frozen=True, slots=True)
class Show:
    """Tell the story of a run, finished or not.

    Example: tolaria show runs/digits-schedule-seed0 --picture run.png
    """

    run_dir: Annotated[Positional[Path], arg(metavar="RUN_DIR")]
    """The folder of a run."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw it."""

    def run(self) -> int:
        """Returns the exit code."""
        from tolaria.train.story import tell

        events = history_of(self.run_dir)
        console = stdout()
        console.print(tell(events))
        if self.picture is not None:
            draw_picture(events, self.picture)
            say(console, f"\npicture: {self.picture}")
        return 0


@dataclass(frozen=True, slots=True)
class Tasks:
    """List the tasks.

    Example: tolaria tasks
    """

    def run(self) -> int:
        """Returns the exit code."""
        console = stdout()
        for name, about in TASK_ABOUT.items():
            say(console, f"{name:<16} {about}")
        return 0


@dataclass(frozen=True, slots=True)
class Blueprints:
    """List the blueprints of seeds, with what they cost.

    Example: tolaria blueprints --width 64
    """

    width: int = 16
    """Channels or features of the host at the slot."""

    def run(self) -> int:
        """Returns the exit code."""
        from tolaria.host.germination import parameters_of

        if self.width < 1:
            raise ConfigError("width", self.width, "1 or more")
        console = stdout()
        say(console, f"{'blueprint':<18} {'family':<11} {'parameters':>10}   at width {self.width}", "bold")
        for family, names in BLUEPRINT_NAMES.items():
            for name in names:
                say(console, f"{name:<18} {family:<11} {parameters_of(name, self.width):>10,}   {BLUEPRINT_ABOUT[name]}")
        return 0


@dataclass(frozen=True, slots=True)
class Doctor:
    """Say whether this machine has what a run needs.

    Example: tolaria doctor --runs /data/runs
    """

    runs: Path = Path("runs")
    """The folder that runs are stored in."""

    def run(self) -> int:
        """Returns the exit code: 1 where something is bad."""
        from tolaria.train.doctor import Standing, examine

        styles = {Standing.GOOD: "", Standing.NOTE: "yellow", Standing.BAD: "bold red"}
        console = stdout()
        checks = examine(self.runs)
        for check in checks:
            say(console, f"{check.standing.value:<5} {check.subject:<9} {check.found}", styles[check.standing])
        bad = [check.subject for check in checks if check.standing is Standing.BAD]
        say(console, f"verdict: not ready, see {', '.join(bad)}" if bad else "verdict: ready to train", "bold")
        return UNHEALTHY if bad else 0


class Command(Protocol):
    """A parsed command line."""

    def run(self) -> int:
        """Returns the exit code."""
        ...


COMMANDS: dict[str, Callable[..., Command]] = {
    "train": Train,
    "resume": Resume,
    "show": Show,
    "tasks": Tasks,
    "blueprints": Blueprints,
    "doctor": Doctor,
    "envelope": Envelope,
    "bench": Bench,
    "ppo": Ppo,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit; a user's mistake is one line on stderr, and so is a failure of a run, which has a code of its own."""
    try:
        code = subcommand_cli_from_dict(COMMANDS, prog="tolaria", description=ABOUT, args=arguments).run()
    except (TolariaError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        code = FAILED if isinstance(error, (RollbackFailed, WorkerLost)) else WRONG
    except KeyboardInterrupt:
        sys.stderr.write("stopped at once; what came after the newest checkpoint is lost\n")
        code = INTERRUPTED
    sys.exit(code)


def heard(console: "Console") -> Callable[[], None]:
    """Says that the wish to stop has come."""
    return lambda: say(console, "stopping after this step; once more to stop at once", "yellow")


def drive(trainer: "Trainer", folder: Path, console: "Console", interruption: Interruption) -> int:
    """Train to the end, or until interrupted, and say what came of it; returns the exit code."""
    from tolaria.train.checkpoint import places

    try:
        finished = trainer.train(interruption.is_requested)
    except WorkerLost as error:
        if not places(folder / "checkpoints"):
            raise
        raise WorkerLost(f"{error}; to go on: {advised('resume', folder)}") from error
    finally:
        complaints = trainer.close()
    for complaint in complaints:
        say(console, f"note: {complaint}", "yellow")
    if finished:
        summarize(trainer.run.history.events, folder, console)
        return 0
    say(console, f"stopped before step {trainer.run.step} of {trainer.run.config.steps}; to go on: {advised('resume', folder)}", "bold")
    return INTERRUPTED


def advised(command: str, folder: Path) -> str:
    """A command that a shell takes as it is written."""
    return shlex.join(["tolaria", command, str(folder)])


def summarize(events: "Sequence[Event]", folder: Path, console: "Console") -> None:
    """How each environment ended, and where to read on."""
    from rich.table import Table

    from tolaria.telemetry.run_events import RunFinished
    from tolaria.train.chronicle import compile_chronicle

    chronicle = compile_chronicle(events)
    assert isinstance(chronicle.ended, RunFinished), chronicle.ended
    table = Table("environment", "test accuracy", "rollbacks", "penalties", box=None, header_style="bold")
    for env, record in chronicle.environments.items():
        accuracy = chronicle.ended.test_accuracies[env]
        told = "retired" if accuracy is None else f"{accuracy:.1%}"
        table.add_row(str(env), told, str(len(record.rollbacks)), f"{sum(penalty.amount for penalty in record.penalties):g}")
    console.print()
    console.print(table)
    say(console, f"\nthe run: {folder}\nits story: {advised('show', folder)}")


def history_of(folder: Path) -> "list[Event]":
    """The events of a run, also of one that was cut off."""
    from tolaria.telemetry.history import read_so_far
    from tolaria.telemetry.timings import read_timings, with_timings

    path = folder / "events.jsonl"
    if not path.is_file():
        raise ConfigError("run-dir", str(folder), "the folder of a run, which has an events.jsonl")
    return with_timings(read_so_far(path), read_timings(folder / "timings.jsonl"))


def draw_picture(events: "Sequence[Event]", path: Path) -> None:
    """Draw the run; matplotlib is an extra."""
    try:
        from tolaria.train.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    if path.suffix != ".png":
        raise ConfigError("picture", str(path), "a name that ends in .png")
    if not any(event.at.env is not None for event in events):
        raise ConfigError("picture", "a run without a step", "something to draw")
    draw(events, path)


def stdout() -> "Console":
    """Where answers go."""
    from rich.console import Console

    return Console()


def say(console: "Console", text: str, style: str = "") -> None:
    """A line as it is: not folded, not coloured by its content, so that it can be searched and copied."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
