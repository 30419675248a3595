"""The readable story of a run, told from its history alone."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.console import LETTERS, describe_remedy, describe_work
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, RolledBack
from tolaria.telemetry.growth_events import SeedsValued
from tolaria.telemetry.run_events import RunAborted, RunFinished, RunStarted
from tolaria.train.chronicle import Chronicle, EnvironmentRecord, SeedLife, compile_chronicle, stage_at

BARS = "▁▂▃▄▅▆▇█"
# A loss that is no number has no height.
NONFINITE_BAR = "×"
SPARKLINE_WIDTH = 60

N = TypeVar("N", int, float)


def tell(events: Iterable[Event]) -> RenderableType:
    """The story, for `Console.print`; also of a run that was aborted or goes on."""
    chronicle = compile_chronicle(events)
    parts: list[RenderableType] = [_header(chronicle)]
    for env, record in chronicle.environments.items():
        parts += [Text(f"\nenvironment {env}", "bold"), Padding(Group(*_tell_environment(env, record, chronicle)), (0, 0, 0, 2))]
    if chronicle.updates or chronicle.warm_start is not None:
        parts += [Text("\nlearning", "bold"), Padding(_tell_updates(chronicle), (0, 0, 0, 2))]
    return Group(*parts)


def sparkline(values: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """The values as bars on a logarithmic scale, each bar the largest value of its share; one that is not finite is ×."""
    if not values:
        return ""
    shares = _shared(values, width)
    # A maximum, because a collapse of one step must be seen; written so that NaN wins.
    peaks = [next((value for value in share if not math.isfinite(value)), max(share)) for share in shares]
    # Losses below a hundred thousandth are all one to the eye, and zero has no logarithm.
    heights = [math.log(max(value, 1e-5)) if math.isfinite(value) else None for value in peaks]
    finite = [height for height in heights if height is not None]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(NONFINITE_BAR if height is None else BARS[round((height - low) * scale)] for height in heights)


def swim_lane(lane: list[tuple[int, Stage]], steps: Sequence[int], width: int = SPARKLINE_WIDTH) -> Text:
    """The stages of a slot at these steps, a letter under each bar of a sparkline of as many values: that of the end of its share."""
    line = Text()
    for share in _shared(steps, width) if steps else ():
        line.append(*LETTERS[stage_at(lane, share[-1])])
    return line


def _shared(values: Sequence[N], width: int) -> list[Sequence[N]]:
    """The values in at most `width` shares, each in order and as large as the others, give or take one."""
    width = min(width, len(values))
    return [values[len(values) * i // width : len(values) * (i + 1) // width] for i in range(width)]


def _header(chronicle: Chronicle) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    if chronicle.started is not None:
        _add_start(table, chronicle.started)
    table.add_row("ended", _ending(chronicle.ended))
    return Panel(table, title="run", title_align="left", expand=False)


def _add_start(table: Table, started: RunStarted) -> None:
    config = json.loads(started.config)
    for key in ("task", "policy"):
        if isinstance(config, dict) and key in config:
            table.add_row(key, Text(_named(config[key])))
    table.add_row("seed", Text(str(started.seed)))
    table.add_row("commit", Text(started.commit or "not known"))
    table.add_row("versions", Text(", ".join(f"{package} {version}" for package, version in started.versions)))
    table.add_row("slots", Text(", ".join(started.slots)))
    table.add_row("chance loss", Text(f"{started.chance_loss:.4f}"))


def _named(part: object) -> str:
    """A task or a policy is written as its name, or as its settings with the name among them."""
    if isinstance(part, dict):
        name = next((str(part[key]) for key in ("name", "kind") if key in part), "")
        rest = ", ".join(f"{key} {value}" for key, value in part.items() if key not in {"name", "kind"})
        return f"{name} ({rest})" if name and rest else name or rest
    return str(part)


def _ending(ended: RunFinished | RunAborted | None) -> Text:
    match ended:
        case None:
            return Text("not yet: the history goes on or was cut off", "yellow")
        case RunAborted():
            return Text(f"aborted at step {ended.at.step} by {ended.error}: {ended.message}", "bold red")
        case _:
            return Text(f"as planned, at step {ended.at.step}", "green")


def _tell_environment(env: int, record: EnvironmentRecord, chronicle: Chronicle) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if record.steps:
        losses = [step.val_loss for step in record.steps]
        parts.append(Text(f"loss  {sparkline(losses)}  {losses[0]:.4f} → {losses[-1]:.4f}"))
        if record.seeds:
            numbers = [step.at.step for step in record.steps]
            parts += [Text(f"{slot:<6}").append_text(swim_lane(lane, numbers)) for slot, lane in record.lanes.items()]
    parts.append(Text("growth" if record.seeds else "growth: none"))
    parts += [_tell_seed(seed) for seed in record.seeds]
    parts += _tell_worth(record)
    troubles: list[Collapsed | RolledBack] = [*record.collapses, *record.rollbacks]
    troubles.sort(key=lambda event: event.at.step)
    parts += [_tell_trouble(event) for event in troubles]
    if record.penalties:
        steps = ", ".join(f"{penalty.amount:+g} at step {penalty.at.step}" for penalty in record.penalties)
        parts.append(Text(f"penalties: {steps}"))
    if record.refusals:
        common, count = Counter(refusal.op for refusal in record.refusals).most_common(1)[0]
        parts.append(Text(f"refused actions: {len(record.refusals)}, most of them {common} ({count})"))
    if record.retired is not None:
        parts.append(Text(f"retired at step {record.retired.at.step}: {record.retired.reason}", "bold red"))
    for episode in record.episodes:
        parts.append(
            Text(
                f"episode {episode.episode}: {episode.steps} steps, return {episode.total_reward:.3f}, rollbacks {episode.rollbacks}, "
                f"test accuracy {episode.test_accuracy:.1%}, {episode.parameters:,} parameters"
            )
        )
    return [*parts, _tell_outcome(env, record, chronicle.ended)]


def _tell_seed(seed: SeedLife) -> Text:
    line = Text(f"  {seed.slot}.{seed.generation}  {seed.blueprint:<14}  ")
    for i, (step, stage) in enumerate(seed.stages):
        line.append(" → " if i else "").append(stage.value, LETTERS[stage][1]).append(f" {step}")
    _, last = seed.stages[-1]
    if seed.end:
        return line.append(f"  ({seed.end})")
    return line if last is Stage.FOSSILIZED else line.append("  (still growing at the end)", "dim")


def _tell_worth(record: EnvironmentRecord) -> list[Text]:
    """At which strength seeds were committed, where that is not the one they were held at, and what they were found to be worth."""
    lines = [
        Text(
            f"  {found.slot}.{found.generation}  committed at alpha {found.chosen:.2f}: loss "
            f"{found.losses[found.alphas.index(found.chosen)]:.4f} instead of {found.losses[0]:.4f} at {found.alphas[0]:.2f}"
        )
        for found in record.searched
        if found.chosen != found.alphas[0]
    ]
    latest = {(event.slot, event.generation): event for event in record.measured}
    lines += [
        Text(f"  {slot}.{generation}  contributes {_points(event.contribution)} ± {100 * event.error:.1f} points at step {event.at.step}")
        for (slot, generation), event in latest.items()
    ]
    return lines + [_tell_values(event) for event in record.valued]


def _tell_values(event: SeedsValued) -> Text:
    values = ", ".join(f"{slot} {_points(value)}" for slot, value in zip(event.slots, event.values, strict=True))
    gained = event.accuracy_with - event.accuracy_without
    how = "" if event.exact else ", estimated"
    return Text(f"  worth at step {event.at.step}: {values}, together {_points(gained)} points of accuracy{how}")


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _tell_trouble(event: Collapsed | RolledBack) -> Text:
    if isinstance(event, Collapsed):
        numbers = [f"loss {event.loss:.4g}" if event.loss is not None else ""]
        numbers.append(f"threshold {event.threshold:.4g}" if event.threshold is not None else "")
        numbers.append(f"streak {event.streak}")
        text = f"collapse at step {event.at.step}: {event.cause}, {', '.join(filter(None, numbers))}"
        return Text(text, "red").append(f"  {event.evidence}", "dim")
    pruned = f"pruned {', '.join(event.pruned)}" if event.pruned else "nothing to prune"
    text = f"rollback at step {event.at.step} to snapshot {event.snapshot} of step {event.snapshot_step}: "
    return Text(f"{text}{describe_remedy(event.remedy)}, {pruned}", "yellow").append(f"  {describe_work(event.work)}", "dim")


def _tell_outcome(env: int, record: EnvironmentRecord, ended: RunFinished | RunAborted | None) -> Text:
    parts = [f"validation accuracy {record.steps[-1].val_accuracy:.1%}"] if record.steps else []
    if isinstance(ended, RunFinished) and env < len(ended.test_accuracies):
        accuracy = ended.test_accuracies[env]
        parts.append("no test accuracy" if accuracy is None else f"test accuracy {accuracy:.1%}")
    return Text(f"final: {', '.join(parts)}" if parts else "final: no step was finished", "bold")


def _tell_updates(chronicle: Chronicle) -> RenderableType:
    learned = [update for update in chronicle.updates if not update.skipped]
    skipped = Counter(update.skipped for update in chronicle.updates if update.skipped)
    lines: list[Text] = []
    if chronicle.warm_start is not None:
        begun = chronicle.warm_start
        lines.append(Text(f"warm start: {begun.episodes} episodes of the heuristic, {begun.likely:.0%} of whose decisions it now makes"))
    lines += [Text(f"policy updates: {len(learned)}, skipped: {skipped.total()}")]
    lines += [Text(f"skipped: {reason} ({count})", "yellow") for reason, count in skipped.most_common()]
    for name in ("policy_loss", "value_loss", "entropy", "kl"):
        values = [value for update in learned if (value := getattr(update, name)) is not None]
        if values:
            label = name.replace("_", " ")
            lines.append(Text(f"{label:<12}{values[0]:9.4f} → {values[-1]:9.4f}   from {min(values):.4f} to {max(values):.4f}"))
    lines += [Text(f"policy restored at step {event.at.step}: {event.reason}", "yellow") for event in chronicle.restored]
    return Group(*lines)
