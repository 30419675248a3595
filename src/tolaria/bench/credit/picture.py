"""Learning curves of the credit experiment: one panel for each question and network, one colour for each arm, one line for each seed."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tolaria.bench.credit.arms import ABOUT as ARM_ABOUT
from tolaria.bench.credit.cells import ENVS, Run
from tolaria.bench.credit.plan import ABOUT, DELAY_5, DELAY_20
from tolaria.bench.credit.report import rows

COLOURS = {arm: colormaps["tab10"](index) for index, arm in enumerate(ARM_ABOUT)}
# Updates that are averaged, so that lines can be told apart.
SMOOTHED = 5
# Where the question is what kills, collapses are shown; where it is whether anything grows, germinations.
COLLAPSES_SHOWN = (DELAY_5, DELAY_20)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Two panels in a row."""
    panels = list(dict.fromkeys((question, memory) for question, memory, _, _ in rows(runs)))
    height = (len(panels) + 1) // 2
    figure = Figure(figsize=(13.0, 4.2 * height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(height, 2, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _panel(axes, panel, [row for row in rows(runs) if row[:2] == panel])
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    figure.suptitle("What becomes of a rollback in the buffer, and what a controller learns from it", fontsize=13)
    figure.savefig(path, dpi=90)


def smoothed(counts: Sequence[int]) -> list[float]:
    """Counts an episode, averaged over the latest updates."""
    windows = [counts[max(0, end - SMOOTHED) : end] for end in range(1, len(counts) + 1)]
    return [sum(window) / (len(window) * ENVS) for window in windows]


def _panel(axes: Axes, panel: tuple[str, str], found: list[tuple[str, str, str, list[Run]]]) -> None:
    question, memory = panel
    collapses = question in COLLAPSES_SHOWN
    for _, _, arm, runs in found:
        for index, run in enumerate(runs):
            curve = [each / run.cell.episodes for each in smoothed(run.collapses if collapses else run.germinations)]
            axes.plot(curve, color=COLOURS[arm], alpha=0.75, linewidth=1.1, label=f"{arm}: {ARM_ABOUT[arm]}" if index == 0 else None)
    axes.set_title(f"{question}, {'MLP' if memory == 'none' else 'LSTM'}: {ABOUT[question]}", fontsize=9, wrap=True)
    axes.set_xlabel("update", fontsize=9)
    axes.set_ylabel(f"{'collapses' if collapses else 'germinations'} an episode", fontsize=9)
    # Zero is what is hoped for, and has to be seen beside eight.
    axes.set_yscale("symlog" if collapses else "linear", **({"linthresh": 0.1} if collapses else {}))
    axes.set_ylim(bottom=0.0)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=7, loc="best")
