"""The benchmark as one picture: for each task what accuracy costs, and what growing gains or loses against each rival."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tolaria.bench.grow.arms import GROWING, LARGE, SMALL, STATIC
from tolaria.bench.grow.paired import interval
from tolaria.bench.grow.sheet import Sheet

INK = "#333333"
# Okabe and Ito's palette; the forms differ too.
LOOKS = {
    SMALL: ("#333333", "-"),
    LARGE: ("#999999", "--"),
    "random": ("#CC79A7", "v"),
    "schedule": ("#E69F00", "s"),
    "heuristic": ("#0072B2", "o"),
    "ppo": ("#009E73", "D"),
}
DPI = 150
POINTS = 200


def draw(sheets: Sequence[Sheet], path: Path) -> None:
    """Write a PNG with a row for each task of which there is something to draw."""
    drawn = [sheet for sheet in sheets if sheet.seeds]
    assert drawn, "no task was run with every arm"
    figure = Figure(figsize=(12.5, 4.6 * len(drawn)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(drawn), 2, squeeze=False, gridspec_kw={"width_ratios": (1, 1.15)})
    for (costs, differences), sheet in zip(panels, drawn, strict=True):
        _draw_costs(costs, sheet)
        _draw_differences(differences, sheet)
    figure.savefig(path, dpi=DPI)


def _draw_costs(panel: Axes, sheet: Sheet) -> None:
    """Accuracy over multiply-accumulates: a line for each static host, a point for each growing arm."""
    for arm in STATIC:
        colour, style = LOOKS[arm]
        curves = [run.curve for run in sheet.of(arm)]
        steps = range(0, min(map(len, curves)), max(1, min(map(len, curves)) // POINTS))
        macs = [mean(curve[step][0] for curve in curves) for step in steps]
        panel.plot(macs, [100 * mean(curve[step][1] for curve in curves) for step in steps], style, color=colour, label=arm, linewidth=1.4)
    for arm in GROWING:
        colour, marker = LOOKS[arm]
        found = interval(sheet.accuracies(arm))
        reach = 100 * (found.high - found.mean)
        at = mean(run.macs for run in sheet.of(arm))
        panel.errorbar(at, 100 * found.mean, reach, marker=marker, color=colour, label=arm, capsize=3, linestyle="", markersize=7, zorder=5)
    panel.set_xscale("log")
    panel.set_xlabel("training multiply-accumulates")
    panel.set_ylabel("test accuracy, %")
    panel.set_title(f"{sheet.plan.task}, {len(sheet.seeds)} held-out seeds", loc="left", fontsize="medium")
    panel.grid(alpha=0.25)
    panel.legend(fontsize="small", frameon=False, loc="best")


def _draw_differences(panel: Axes, sheet: Sheet) -> None:
    """Paired differences with their intervals; right of the line, growing is better."""
    rows = list(sheet.differences())
    for row, (arm, _, found) in enumerate(rows):
        colour, marker = LOOKS[arm]
        reach = 100 * (found.high - found.mean)
        panel.errorbar(100 * found.mean, row, xerr=reach, marker=marker, color=colour, capsize=3, linestyle="", markersize=6)
    panel.axvline(0.0, color=INK, linewidth=0.9)
    panel.set_yticks(range(len(rows)), [f"{arm} − {against}" for arm, against, _ in rows], fontsize="small")
    panel.invert_yaxis()
    panel.set_xlabel("difference in test accuracy, points (mean and 95 % interval over seeds)")
    panel.grid(axis="x", alpha=0.25)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
