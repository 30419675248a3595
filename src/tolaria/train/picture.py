"""A run as one picture: the loss of each environment, what the governor did to it, and below it the slots by stage."""

import math
from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event
from tolaria.train.chronicle import Chronicle, EnvironmentRecord, compile_chronicle

# Okabe and Ito's palette, which the colour-blind can tell apart. A resting slot is hatched as well.
INK = "#333333"
LOSS = "#0072B2"
SNAPSHOT = "#009E73"
TROUBLE = "#D55E00"
STAGE_COLOURS: dict[Stage, str] = {
    Stage.GERMINATED: "#F0E442",
    Stage.TRAINING: "#56B4E9",
    Stage.BLENDING: "#E69F00",
    Stage.HOLDING: "#CC79A7",
    Stage.FOSSILIZED: "#009E73",
    Stage.PRUNED: "#BBBBBB",
    Stage.EMBARGOED: "#BBBBBB",
    Stage.RESETTING: "#BBBBBB",
}
DPI = 150
# How much of the panel's width a letter of a name takes.
LETTER_SHARE = 0.007


def draw(events: Iterable[Event], path: Path) -> None:
    """Write a PNG; an environment gets a panel with its loss on a logarithmic axis and a lane for each slot."""
    chronicle = compile_chronicle(events)
    records = chronicle.environments
    assert records, "there is no environment to draw"
    heights = [height for record in records.values() for height in (2.4, 0.35 + 0.28 * len(record.lanes))]
    figure = Figure(figsize=(11, sum(heights) + 0.9 * len(records) + 0.8), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 * len(records), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    end = max([step.at.step for record in records.values() for step in record.steps], default=0) + 1
    for i, (env, record) in enumerate(records.items()):
        _draw_losses(panels[2 * i], env, record, chronicle)
        _draw_lanes(panels[2 * i + 1], record, end)
        for panel in (panels[2 * i], panels[2 * i + 1]):
            panel.set_xlim(-0.5, end + 0.5)
    panels[-1].set_xlabel("decision step")
    figure.align_ylabels(panels[::2])
    figure.legend(handles=_legend(), loc="outside lower center", ncols=6, frameon=False, fontsize="small")
    figure.savefig(path, dpi=DPI)


def _draw_losses(panel: Axes, env: int, record: EnvironmentRecord, chronicle: Chronicle) -> None:
    # A gap in the line is honest: a loss that is no number is marked at the top instead.
    curve = {step.at.step: step.val_loss if math.isfinite(step.val_loss) and step.val_loss > 0 else math.nan for step in record.steps}
    panel.plot(list(curve), list(curve.values()), color=LOSS, linewidth=1.6, marker="." if len(curve) < 150 else "", markersize=4, zorder=3)
    chance = chronicle.started.chance_loss if chronicle.started is not None else math.nan
    _scale(panel, [loss for loss in [*curve.values(), chance] if math.isfinite(loss)])
    panel.set_ylabel("validation loss")
    panel.set_title(_title(env, record), loc="left", fontsize="medium")
    panel.grid(axis="y", alpha=0.25)
    panel.tick_params(labelbottom=False)
    if chronicle.started is not None:
        panel.axhline(chance, color=INK, linewidth=0.8, linestyle=":")
    if record.retired is not None:
        panel.axvspan(record.retired.at.step, 10**9, color=INK, alpha=0.07, linewidth=0)
    in_panel = panel.get_xaxis_transform()
    steps = [snapshot.at.step for snapshot in record.snapshots]
    panel.plot(steps, [0.03] * len(steps), "|", color=SNAPSHOT, markersize=9, markeredgewidth=1.8, transform=in_panel, zorder=4)
    for collapse in record.collapses:
        panel.axvline(collapse.at.step, color=TROUBLE, linewidth=1.0, alpha=0.5)
        panel.plot([collapse.at.step], [0.94], "X", color=TROUBLE, markersize=8, transform=in_panel, zorder=5)
    for rollback in record.rollbacks:
        _draw_arrow(panel, rollback.at.step, rollback.snapshot_step)
    owed = [penalty.at.step for penalty in record.penalties]
    panel.plot(owed, [0.82] * len(owed), "v", color=INK, markersize=6, transform=in_panel, zorder=5)


def _scale(panel: Axes, losses: list[float]) -> None:
    """A logarithmic axis with plain numbers, and with room for the marks above and below the curve."""
    panel.set_yscale("log")
    low, high = (min(losses), max(losses)) if losses else (1.0, 2.0)
    span = max(math.log(high / low), 0.1)
    panel.set_ylim(low * math.exp(-0.2 * span), high * math.exp(0.4 * span))
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span > 1.5 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _draw_arrow(panel: Axes, step: int, back_to: int) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "connectionstyle": "arc3,rad=0.25"}
    in_panel = panel.get_xaxis_transform()
    panel.annotate("", (back_to, 0.06), (step, 0.3), xycoords=in_panel, textcoords=in_panel, arrowprops=arrow, zorder=4)


def _title(env: int, record: EnvironmentRecord) -> str:
    accuracy = f", validation accuracy {record.steps[-1].val_accuracy:.1%}" if record.steps else ""
    retired = f", retired at step {record.retired.at.step}" if record.retired is not None else ""
    return f"environment {env}{accuracy}{retired}"


def _draw_lanes(panel: Axes, record: EnvironmentRecord, end: int) -> None:
    for row, lane in enumerate(record.lanes.values()):
        panel.axhline(row, color=INK, linewidth=0.5, alpha=0.3, zorder=1)
        following = [step for step, _ in lane[1:]] + [end]
        for (begin, stage), until in zip(lane, following, strict=True):
            if stage in STAGE_COLOURS and until > begin:
                resting = STAGE_COLOURS[stage] == STAGE_COLOURS[Stage.PRUNED]
                hatch, height = ("////", 0.35) if resting else (None, 0.7)
                panel.barh(
                    row, until - begin, left=begin, height=height, color=STAGE_COLOURS[stage], hatch=hatch, edgecolor="white", zorder=2
                )
    _name_seeds(panel, record, end)
    panel.set_yticks(range(len(record.lanes)), list(record.lanes))
    panel.set_ylim(len(record.lanes) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)


def _name_seeds(panel: Axes, record: EnvironmentRecord, end: int) -> None:
    """Which blueprint grew where, if it lived long enough to be read; and at the end of each episode what its seeds were worth."""
    rows = {slot: row for row, slot in enumerate(record.lanes)}
    for seed in record.seeds:
        begin, last = seed.stages[0][0], seed.stages[-1]
        until = last[0] if last[1] is Stage.PRUNED else _end_of_life(record, last[0], end)
        if until - begin >= LETTER_SHARE * end * len(seed.blueprint):
            panel.text(begin + 0.004 * end, rows[seed.slot], seed.blueprint, fontsize=7, va="center", ha="left", color="black", zorder=4)
    for valued in record.valued:
        for slot, value in zip(valued.slots, valued.values, strict=True):
            place = (valued.at.step + 0.9, rows[slot])
            panel.text(
                *place, f"{100 * value:+.1f} points", fontsize=8, fontweight="bold", va="center", ha="right", color="black", zorder=5
            )


def _end_of_life(record: EnvironmentRecord, begin: int, end: int) -> int:
    """The end of the episode in which something began."""
    return next((episode.at.step + 1 for episode in record.episodes if episode.at.step >= begin), end)


def _legend() -> list[Line2D | Patch]:
    marks: list[Line2D | Patch] = [
        Line2D([], [], color=LOSS, marker=".", label="validation loss"),
        Line2D([], [], color=INK, linestyle=":", linewidth=0.8, label="chance"),
        Line2D([], [], color=SNAPSHOT, marker="|", linestyle="", markersize=9, markeredgewidth=1.8, label="snapshot"),
        Line2D([], [], color=TROUBLE, marker="X", linestyle="", markersize=8, label="collapse"),
        Line2D([], [], color=INK, marker=r"$\leftarrow$", linestyle="", markersize=10, label="rollback"),
        Line2D([], [], color=INK, marker="v", linestyle="", label="penalty"),
    ]
    stages = [stage for stage in STAGE_COLOURS if stage not in {Stage.EMBARGOED, Stage.RESETTING, Stage.PRUNED}]
    marks += [Patch(facecolor=STAGE_COLOURS[stage], label=stage.value) for stage in stages]
    return [*marks, Patch(facecolor=STAGE_COLOURS[Stage.PRUNED], hatch="////", edgecolor="white", label="pruned, resting")]
