"""The run as it goes, for the person in front of it: a bar, a line an environment, and a line for what matters."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, PenaltyDelivered, Remedy, RolledBack, Rung, Work
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import (
    EpisodeFinished,
    GrowthFrozen,
    RunAborted,
    RunFinished,
    RunStarted,
    StepFinished,
    StorageFailed,
)

# One letter and one style a stage; the letters alone say it where there are no colours.
LETTERS: dict[Stage, tuple[str, str]] = {
    Stage.DORMANT: (".", "dim"),
    Stage.GERMINATED: ("G", "cyan"),
    Stage.TRAINING: ("T", "blue"),
    Stage.BLENDING: ("B", "yellow"),
    Stage.HOLDING: ("H", "magenta"),
    Stage.FOSSILIZED: ("F", "bold green"),
    Stage.PRUNED: ("x", "red"),
    Stage.EMBARGOED: ("x", "red"),
    Stage.RESETTING: ("x", "red"),
}

# Without a terminal a plain line comes so often in a run.
PLAIN_LINES = 20


@dataclass(slots=True)
class Status:
    """What the line of one environment shows."""

    step: int = 0
    val_loss: float = math.nan
    val_accuracy: float = math.nan
    stages: dict[str, Stage] = field(default_factory=dict)
    rollbacks: int = 0
    penalties: int = 0
    retired: bool = False


class ConsoleSink:
    """A sink that shows the run on a terminal, or as plain lines now and then where there is none.

    Only its own thread writes to the console, and what is printed goes above the bar, so nothing is torn.
    """

    def __init__(self, console: Console, steps_total: int, steps_done: int = 0) -> None:
        assert 0 <= steps_done <= steps_total, (steps_done, steps_total)
        self._console = console
        self._steps_total = steps_total
        self._steps_done = steps_done
        self._slots: tuple[str, ...] = ()
        self._statuses: dict[int, Status] = {}
        self._progress = Progress(
            TextColumn("steps"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar = self._progress.add_task("steps", total=steps_total, completed=steps_done)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4) if console.is_terminal else None
        if self._live is not None:
            self._live.start()

    def recall(self, events: Iterable[Event]) -> None:
        """Take over what happened before a run was resumed, without a word on it; to be called before the first `write`."""
        for event in events:
            if isinstance(event, RunStarted):
                self._slots = event.slots
            if event.at.env is not None:
                self._follow(event, event.at.env)
            if isinstance(event, StepFinished):
                self._steps_done = max(self._steps_done, event.at.step + 1)
        self._progress.update(self._bar, completed=self._steps_done)

    def write(self, event: Event) -> None:
        """Show what the event changes."""
        if isinstance(event, RunStarted):
            self._slots = event.slots
        if event.at.env is not None:
            self._follow(event, event.at.env)
        if (line := headline(event)) is not None:
            self._console.print(line, soft_wrap=True)
        if isinstance(event, StepFinished) and event.at.step + 1 > self._steps_done:
            self._advance(event.at.step + 1)

    def close(self) -> None:
        """Give the terminal back with the last state on it."""
        if self._live is not None:
            self._live.stop()

    def _follow(self, event: Event, env: int) -> None:
        status = self._statuses.setdefault(env, Status(stages=dict.fromkeys(self._slots, Stage.DORMANT)))
        match event:
            case StepFinished():
                status.step = event.at.step
                status.val_loss = event.val_loss
                status.val_accuracy = event.val_accuracy
            case StageChanged() | SlotRestored():
                status.stages[event.slot] = event.stage_to
            case EpisodeFinished():
                # The next host begins with empty slots.
                status.stages = dict.fromkeys(status.stages, Stage.DORMANT)
            case RolledBack():
                status.rollbacks += 1
            case PenaltyDelivered():
                status.penalties += 1
            case EnvironmentRetired():
                status.retired = True

    def _advance(self, steps_done: int) -> None:
        # The first environment to finish a step brings the lines; the others of that step show the one before.
        part_before = self._steps_done * PLAIN_LINES // self._steps_total
        self._steps_done = steps_done
        self._progress.update(self._bar, completed=steps_done)
        if self._live is None and steps_done * PLAIN_LINES // self._steps_total > part_before:
            self._console.print(Text(f"step {steps_done}/{self._steps_total}"), soft_wrap=True)
            for env, status in sorted(self._statuses.items()):
                self._console.print(Text("  ").append_text(describe(env, status)), soft_wrap=True)

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 1))
        for env, status in sorted(self._statuses.items()):
            table.add_row(describe(env, status))
        return Group(table, self._progress)


def describe(env: int, status: Status) -> Text:
    """The compact line of one environment."""
    line = Text(f"env {env}  step {status.step:>5}  loss {status.val_loss:8.4f}  accuracy {status.val_accuracy:6.1%}  ")
    # A copy, because the terminal is drawn in a thread of its own while the dictionary may grow.
    for stage in tuple(status.stages.values()):
        line.append(*LETTERS[stage])
    line.append(f"  rollbacks {status.rollbacks}  penalties {status.penalties}", "yellow" if status.rollbacks else "")
    return line.append("  retired", "bold red") if status.retired else line


def describe_remedy(remedy: Remedy) -> str:
    """The rung of a rollback in words, with what is to be known of it."""
    words = {
        Rung.NEWEST: "the newest trusted snapshot",
        Rung.OLDER: "an older snapshot",
        Rung.EASED: "going on gently",
        Rung.RETIRED: "the last that the budget allows",
    }
    parts = [words[remedy.rung]]
    if remedy.ease is not None:
        parts.append(f"learning rate x {remedy.ease.lr_scale:g}, {remedy.ease.skipped_batches} batches skipped")
    if remedy.probe is not None:
        parts.append(f"loss {remedy.probe.loss:.4g} without its seed")
    if remedy.ease_failed is not None:
        parts.append(f"could not be eased: {remedy.ease_failed}")
    return ", ".join(parts)


def describe_work(work: Work) -> str:
    """What a rollback took: bytes, attempts where it was not one, and time where somebody measured it."""
    parts = [f"{work.bytes:,} bytes"] + [f"{work.attempts} attempts"] * (work.attempts > 1)
    if work.durations is not None:
        phases = {name: 1000.0 * seconds for name, seconds in asdict(work.durations).items()}
        parts.append(f"{sum(phases.values()):.1f} ms ({', '.join(f'{name} {each:.1f}' for name, each in phases.items())})")
    return ", ".join(parts)


def headline(event: Event) -> Text | None:
    """The line that an event is worth, or None."""
    where = f"step {event.at.step}" + ("" if event.at.env is None else f"  env {event.at.env}")
    match event:
        case Collapsed():
            loss = "" if event.loss is None else f", loss {event.loss:.4g}"
            threshold = "" if event.threshold is None else f" over {event.threshold:.4g}"
            return Text(f"{where}  collapse: {event.cause}{loss}{threshold}", "bold red")
        case RolledBack():
            pruned = f", pruned {', '.join(event.pruned)}" if event.pruned else ""
            remedy = describe_remedy(event.remedy)
            return Text(f"{where}  rolled back to step {event.snapshot_step}, {remedy}{pruned}; {describe_work(event.work)}", "yellow")
        case StageChanged(stage_to=Stage.FOSSILIZED):
            return Text(f"{where}  fossilized {event.blueprint} in {event.slot}", "green")
        case EnvironmentRetired():
            return Text(f"{where}  retired after {event.rollbacks} rollbacks: {event.reason}", "bold red")
        case GrowthFrozen():
            grown = f"{event.germinations:.2g} germinations an episode, {event.control:.2g} before it was punished"
            return Text(f"{where}  the controller has frozen: {grown}; see `rollback_transition` and `penalty.mode`", "bold yellow")
        case StorageFailed():
            return Text(f"{where}  not stored: {event.reason}", "bold red")
        case RunAborted():
            return Text(f"{where}  aborted by {event.error}: {event.message}", "bold red")
        case RunFinished():
            accuracies = ", ".join("retired" if accuracy is None else f"{accuracy:.1%}" for accuracy in event.test_accuracies)
            return Text(f"{where}  finished, test accuracy {accuracies}", "bold")
        case _:
            return None
