"""Latencies as drawings: how samples scatter above the limit or around a ratio, and how time grows with size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from xml.etree import ElementTree as ET

from firedrill.bench.gates import GATES, LIMIT
from firedrill.bench.ratios import Measured
from firedrill.bench.record import Case
from firedrill.report import svg as shapes
from firedrill.report.axis import Axis, short, value_axis

# So narrow that everything of it can be seen on a phone.
WIDTH = 480
LEFT, RIGHT = 205, 24
ROW, TOP, SCALE = 18, 22, 34
# Where names are too long to stand beside their rows, they stand above them.
NAME, NAME_ROW = 26, 40
PLOT_HEIGHT = 220
# Seconds stand to the left of it, and names of lines to the right.
PLOT_LEFT, PLOT_RIGHT = 60, 160
# More dots than this only make the page longer.
DOTS_MAX = 120

# Seconds by the size of the model, line by line.
Lines = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One distribution: its name, what it says in words, every sample, what they come to, and the bound, an upper or a lower one."""

    name: str
    words: str
    samples: tuple[float, ...]
    value: float
    bound: float | None
    at_most: bool = True


def rows_of_cases(cases: Sequence[Case]) -> list[Row]:
    """A row for each operation and size: every sample over the median of the limit, and the gate."""
    return [_row_of_case(case) for case in [case for case in cases if case.seconds] or list(cases)]


def rows_of_ratios(found: Sequence[Measured]) -> list[Row]:
    """A row for each ratio: every round's, and the one of all. What has a bound is told in times of it, so that 1 is the bound of all."""
    return [_row_of_ratio(one) for one in found]


def draw_ratios(rows: Sequence[Row], anchor: str, title: str, axis: str, names_above: bool = False) -> str:
    """Every sample as a dot, what they come to as a bar, the bound as a bracket; nothing of no rows."""
    if not rows:
        return ""
    left, height = (RIGHT, NAME_ROW) if names_above else (LEFT, ROW)
    bottom = TOP + height * len(rows)
    across = value_axis((value for row in rows for value in (*row.samples, row.value) if value > 0), left, WIDTH - RIGHT)
    svg = _begun(anchor, bottom + SCALE, title, " ".join(f"{row.words}." for row in rows))
    for value in across.ticks():
        x = across.place(value)
        shapes.line(svg, "grid", (x, TOP), (x, bottom))
        shapes.text(svg, "tick middle", x, bottom + 15, short(value))
    shapes.text(svg, "soft middle", (left + WIDTH - RIGHT) / 2, bottom + 30, axis)
    for number, row in enumerate(rows):
        y = TOP + height * number + (NAME if names_above else ROW / 2)
        if names_above:
            shapes.text(svg, "tick", 0, y - 12, row.name)
        else:
            shapes.text(svg, "tick end", left - 8, y + 4, row.name)
        _draw_row(svg, row, across, y)
    return ET.tostring(svg, encoding="unicode")


def lines_of_cases(cases: Sequence[Case]) -> dict[str, dict[int, float]]:
    """Median seconds of every operation by size."""
    lines: dict[str, dict[int, float]] = {}
    for case in cases:
        lines.setdefault(case.op, {})[case.params] = case.median
    return lines


def lines_of_ratios(found: Sequence[Measured]) -> dict[str, dict[int, float]]:
    """Median seconds of whatever is above the line of a ratio, by size, of those that have one."""
    lines: dict[str, dict[int, float]] = {}
    for one in found:
        if one.params and one.seconds.get("above"):
            lines.setdefault(one.name.partition(" / ")[0], {}).setdefault(one.params, median(one.seconds["above"]))
    return lines


def draw_sizes(lines: Lines, anchor: str, axis: str) -> str:
    """Median time against parameters, a line for each operation; nothing of fewer than two sizes."""
    sizes = sorted({params for line in lines.values() for params in line})
    if len(sizes) < 2:
        return ""
    bottom = TOP + PLOT_HEIGHT
    across = Axis(sizes[0] / 1.3, sizes[-1] * 1.3, PLOT_LEFT, WIDTH - PLOT_RIGHT, log=True)
    upward = value_axis((seconds for line in lines.values() for seconds in line.values()), bottom - 4, TOP + 8)
    words = (f"{name}, {_millions(params)} parameters: {short(line[params])} s." for name, line in lines.items() for params in sorted(line))
    svg = _begun(anchor, bottom + SCALE, "Time against size", " ".join(words))
    shapes.text(svg, "soft", 4, 13, axis)
    for value in upward.ticks():
        shapes.line(svg, "grid", (PLOT_LEFT, upward.place(value)), (across.end, upward.place(value)))
        shapes.text(svg, "tick end", PLOT_LEFT - 8, upward.place(value) + 4, short(value))
    for params in sizes:
        shapes.text(svg, "tick middle", across.place(params), bottom + 15, _millions(params))
    shapes.text(svg, "soft middle", (PLOT_LEFT + across.end) / 2, bottom + 30, "parameters")
    labels: list[tuple[float, str]] = []
    for number, (name, line) in enumerate(sorted(lines.items())):
        points = [(across.place(params), upward.place(seconds)) for params, seconds in sorted(line.items())]
        d = "M" + "L".join(f"{shapes.px(x)} {shapes.px(y)}" for x, y in points)
        shapes.path(shapes.titled(svg, f"plain dash-{number % 3}", name), "curve", d)
        labels.append((points[-1][1], name))
    last = 0.0
    for y, name in sorted(labels):
        last = max(y, last + 13)
        shapes.text(svg, "tick", across.end + 8, last + 4, name)
    return ET.tostring(svg, encoding="unicode")


def _draw_row(svg: ET.Element, row: Row, across: Axis, y: float) -> None:
    group = shapes.titled(svg, "samples", row.words)
    for sample in row.samples[:DOTS_MAX]:
        if sample > 0:
            shapes.path(group, "dot", "M0 0h0", at=(across.place(sample), y))
    shapes.path(group, "median", "M0-6V6", at=(across.place(row.value), y))
    # Open towards where it is to be.
    side = "-4" if row.at_most else "4"
    if row.bound is not None and across.low <= row.bound <= across.high:
        shapes.path(group, "gate", f"M0-8V8M0-8h{side}M0 8h{side}", at=(across.place(row.bound), y))


def _row_of_case(case: Case) -> Row:
    limit = (median(case.seconds) if case.seconds else case.median) / case.ratio_to_limit
    samples = tuple(seconds / limit for seconds in (case.seconds or (case.p10, case.median, case.p99)))
    size = _millions(case.params)
    words = f"{case.op}, {size} parameters, {case.mode}: {case.ratio_to_limit:.2f} times the limit"
    return Row(f"{case.op}, {size}", words, samples, case.ratio_to_limit, _gate(case))


def _row_of_ratio(one: Measured) -> Row:
    unit = one.bound or 1.0
    pairs = zip(one.seconds.get("above", ()), one.seconds.get("below", ()), strict=True)
    samples = tuple(above / below / unit for above, below in pairs if below > 0)
    bound = f", to be at {'most' if one.at_most else 'least'} {one.bound:g}" if one.bound else ""
    return Row(one.name, f"{one.name}: {one.value:.3g}{bound}", samples, one.value / unit, 1.0 if one.bound else None, one.at_most)


def _gate(case: Case) -> float | None:
    return next(
        (gate.bounds[case.params] for gate in GATES if gate.op == case.op and gate.reference == LIMIT and case.params in gate.bounds), None
    )


def _millions(params: int) -> str:
    return f"{params / 1e6:g}M"


def _begun(anchor: str, height: float, title: str, words: str) -> ET.Element:
    svg = ET.Element("svg", {"class": "timeline latency", "viewBox": f"0 0 {WIDTH} {height:g}", "role": "img"})
    svg.set("aria-labelledby", f"{anchor}-t {anchor}-d")
    ET.SubElement(svg, "title", {"id": f"{anchor}-t"}).text = title
    ET.SubElement(svg, "desc", {"id": f"{anchor}-d"}).text = words
    return svg
