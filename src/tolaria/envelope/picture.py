"""The envelope as a map: faults downwards, baselines across, a suite beside the other; colour is the delay."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tolaria.envelope.measure import Cell

MISSED = "#d9d9d9"
COLOURS = colormaps["YlGnBu_r"].with_extremes(over="#ffffd9")
DELAY_MAX = 500.0
# Below this part of the scale black on the colour is hard to read.
DARK = 0.4


def draw(suites: Mapping[str, Sequence[Cell]], path: Path) -> None:
    """One panel a suite; a number is the median delay in steps, a dash is a fault that was missed in some trial."""
    rows = list(dict.fromkeys((cell.shape, cell.magnitude, cell.unit) for cells in suites.values() for cell in cells))
    columns = list(dict.fromkeys(cell.baseline for cells in suites.values() for cell in cells))
    figure = Figure(figsize=(3.2 + 4.6 * len(suites), 2.2 + 0.34 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(suites), sharey=True, squeeze=False)[0]
    for axes, (name, cells) in zip(panels, suites.items(), strict=True):
        _panel(axes, name, cells, rows, columns)
    panels[0].set_yticks(range(len(rows)), [f"{shape} {magnitude:.4g} {unit}" for shape, magnitude, unit in rows])
    figure.suptitle("Steps from the onset of a fault to the collapse that is told of it (median); grey: missed in some trial")
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, name: str, cells: Sequence[Cell], rows: Sequence[tuple[str, float, str]], columns: Sequence[str]) -> None:
    norm = LogNorm(1.0, DELAY_MAX)
    # Compared by its words, because NaN equals nothing.
    places = {f"{row}": i for i, row in enumerate(rows)}
    for cell in cells:
        x, y = columns.index(cell.baseline), places[f"{(cell.shape, cell.magnitude, cell.unit)}"]
        seen = cell.noticed == cell.trials and cell.delay is not None
        colour = COLOURS(norm(1.0 + (cell.delay or 0.0))) if seen else MISSED
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour))
        ink = "white" if seen and norm(1.0 + (cell.delay or 0.0)) < DARK else "black"
        label = f"{cell.delay:g}" if seen else "-" if not cell.noticed else f"{cell.noticed}/{cell.trials}"
        axes.text(x, y, label, ha="center", va="center", fontsize=8, color=ink)
    missed = sum(cell.noticed < cell.trials for cell in cells)
    axes.set_title(f"{name}: {len(cells) - missed} of {len(cells)} cells", fontsize=10)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=8)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
