"""Learning curves: the returns of episodes over the steps of practice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Steps, and the return of the episode that ended there.
Curve: TypeAlias = Sequence[tuple[int, float]]
# A curve is the mean over this part of a run's episodes.
WINDOW = 1 / 25
PANEL = (4.6, 3.4)
COLUMNS_MAX = 3


def draw(panels: Mapping[str, Mapping[str, Curve]], path: Path, bars: Mapping[str, float] | None = None) -> None:
    """One panel for each title, one curve for each label in it; `bars` holds the level that a panel's curves should reach."""
    columns = min(len(panels), COLUMNS_MAX)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, curves) in zip(places, panels.items(), strict=False):
        _panel(axes, title, curves, None if bars is None else bars.get(title))
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, title: str, curves: Mapping[str, Curve], bar: float | None) -> None:
    for label, curve in curves.items():
        if not curve:
            continue
        steps, returns = np.array(curve).T
        window = max(1, int(len(returns) * WINDOW))
        means = np.convolve(returns, np.ones(window) / window, mode="valid")
        (line,) = axes.plot(steps[window - 1 :], means, label=label, linewidth=1.5)
        if len(curves) == 1:
            axes.plot(steps, returns, ".", color=line.get_color(), markersize=2, alpha=0.25, zorder=0)
    if bar is not None:
        axes.axhline(bar, color="black", linewidth=0.8, linestyle="--")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("steps", fontsize=9)
    axes.set_ylabel("return of an episode", fontsize=9)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)
