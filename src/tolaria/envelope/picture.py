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
# Between two sorts of faults, in rows.
GAP = 0.35
LEGEND = (
    "number: median delay in steps, 0 is the very step of the onset; n/8: noticed in n of 8 trials; \u2013: never; "
    "empty: the baseline is as bad already\nL0: loss of uniform answers; columns: the model before the fault, good 0.05 L0, fair 0.4 L0, "
    "poor 0.7 L0 (imbalanced: 0.2 L0 with nine of ten labels of one class)"
)


def draw(suites: Mapping[str, Sequence[Cell]], path: Path) -> None:
    """One panel a suite; a number is the median delay in steps, grey is a fault that was missed in some trial."""
    rows = list(dict.fromkeys((cell.shape, row_name(cell)) for cells in suites.values() for cell in cells))
    columns = list(dict.fromkeys(cell.baseline for cells in suites.values() for cell in cells))
    shapes = list(dict.fromkeys(shape for shape, _ in rows))
    # Sorts of faults stand apart, each a little below the one before.
    places = {name: row + GAP * shapes.index(shape) for row, (shape, name) in enumerate(rows)}
    figure = Figure(figsize=(3.4 + 4.2 * len(suites), 3.0 + 0.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(suites), sharey=True, squeeze=False)[0]
    for axes, (name, cells) in zip(panels, suites.items(), strict=True):
        _panel(axes, name, cells, places, columns)
    panels[0].set_yticks(list(places.values()), list(places), fontsize=9)
    figure.suptitle("How many steps after its onset a fault is a collapse", fontsize=13)
    figure.supxlabel(LEGEND, fontsize=9)
    figure.savefig(path, dpi=110)


def row_name(cell: Cell) -> str:
    """A fault and its magnitude in words."""
    words = {
        "x L0": f"{cell.shape} to {cell.magnitude:.3g} L0",
        "x a step": f"{cell.shape}, +{100.0 * (cell.magnitude - 1.0):.3g} % a step",
        "loss": f"loss is {cell.magnitude}",
        "answers": cell.shape,
        "sure": f"{cell.shape}, {100.0 * cell.magnitude:.8g} % sure",
    }
    return words[cell.unit]


def _panel(axes: Axes, name: str, cells: Sequence[Cell], places: Mapping[str, float], columns: Sequence[str]) -> None:
    norm = LogNorm(1.0, DELAY_MAX)
    for cell in cells:
        x, y = columns.index(cell.baseline), places[row_name(cell)]
        seen = cell.noticed == cell.trials and cell.delay is not None
        colour = COLOURS(norm(1.0 + (cell.delay or 0.0))) if seen else MISSED
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, linewidth=0))
        ink = "white" if seen and norm(1.0 + (cell.delay or 0.0)) < DARK else "black" if seen else "dimgrey"
        label = f"{cell.delay:g}" if seen else "\u2013" if not cell.noticed else f"{cell.noticed}/{cell.trials}"
        axes.text(x, y, label, ha="center", va="center", fontsize=9 if seen else 8, color=ink)
    caught = sum(cell.noticed == cell.trials for cell in cells)
    axes.set_title(f"{name}\n{caught} of {len(cells)} always caught", fontsize=11)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(max(places.values()) + 0.5, -0.5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
