"""Latencies as drawings: how samples scatter above the limit, and how time grows with size."""

from collections.abc import Sequence
from itertools import groupby
from statistics import median
from xml.etree import ElementTree as ET

from firedrill.bench.gates import GATES, LIMIT
from firedrill.bench.record import Case
from firedrill.report import svg as shapes
from firedrill.report.axis import Axis, short, value_axis

WIDTH = 760
LEFT, RIGHT = 190, 24
ROW, TOP, SCALE = 18, 22, 34
PLOT_HEIGHT = 220
# More dots than this only make the page longer.
DOTS_MAX = 120


def draw_ratios(cases: Sequence[Case], anchor: str) -> str:
    """A row for each operation and size: every sample over the median of the limit, the median as a bar, the gate as a tick."""
    rows = [case for case in cases if case.seconds] or list(cases)
    if not rows:
        return ""
    bottom = TOP + ROW * len(rows)
    ratios = {id(case): _ratios(case) for case in rows}
    across = value_axis((ratio for found in ratios.values() for ratio in found if ratio > 0), LEFT, WIDTH - RIGHT)
    svg = _begun(anchor, bottom + SCALE, "Times over the limit", describe(rows))
    for value in across.ticks():
        x = across.place(value)
        shapes.line(svg, "grid", (x, TOP), (x, bottom))
        shapes.text(svg, "tick middle", x, bottom + 15, short(value))
    shapes.text(svg, "soft middle", (LEFT + WIDTH - RIGHT) / 2, bottom + 30, "times the limit, a memmove of the same bytes")
    for number, case in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        shapes.text(svg, "tick end", LEFT - 8, y + 4, f"{case.op}, {_millions(case)}")
        group = shapes.titled(svg, "samples", f"{case.op}, {_millions(case)}, {case.mode}: {case.ratio_to_limit:.2f} times the limit")
        for ratio in ratios[id(case)][:DOTS_MAX]:
            if ratio > 0:
                shapes.path(group, "dot", "M0 0h0", at=(across.place(ratio), y))
        x = across.place(case.ratio_to_limit)
        shapes.path(group, "median", "M0-6V6", at=(x, y))
        bound = _gate(case)
        if bound is not None and across.low <= bound <= across.high:
            shapes.path(group, "gate", "M0-8V8M0-8h-4M0 8h-4", at=(across.place(bound), y))
    return ET.tostring(svg, encoding="unicode")


def draw_sizes(cases: Sequence[Case], anchor: str) -> str:
    """Median time against parameters, a line for each operation; nothing of fewer than two sizes."""
    sizes = sorted({case.params for case in cases})
    if len(sizes) < 2:
        return ""
    bottom = TOP + PLOT_HEIGHT
    across = Axis(sizes[0] / 1.3, sizes[-1] * 1.3, LEFT, WIDTH - 150, log=True)
    upward = value_axis((case.median for case in cases), bottom - 4, TOP + 8)
    svg = _begun(anchor, bottom + SCALE, "Time against size", describe(cases))
    shapes.text(svg, "soft", 4, 13, "seconds of CPU, median")
    for value in upward.ticks():
        shapes.line(svg, "grid", (LEFT, upward.place(value)), (across.end, upward.place(value)))
        shapes.text(svg, "tick end", LEFT - 8, upward.place(value) + 4, short(value))
    for params in sizes:
        shapes.text(svg, "tick middle", across.place(params), bottom + 15, f"{params / 1e6:g}M")
    shapes.text(svg, "soft middle", (LEFT + across.end) / 2, bottom + 30, "parameters")
    labels: list[tuple[float, str, int]] = []
    for number, (op, group) in enumerate(groupby(sorted(cases, key=lambda case: (case.op, case.params)), key=lambda case: case.op)):
        points = [(across.place(case.params), upward.place(case.median)) for case in group]
        d = "M" + "L".join(f"{shapes.px(x)} {shapes.px(y)}" for x, y in points)
        shapes.path(shapes.titled(svg, f"plain dash-{number % 3}", op), "curve", d)
        labels.append((points[-1][1], op, number))
    last = 0.0
    for y, op, _ in sorted(labels):
        last = max(y, last + 13)
        shapes.text(svg, "tick", across.end + 8, last + 4, op)
    return ET.tostring(svg, encoding="unicode")


def describe(cases: Sequence[Case]) -> str:
    """The drawing in words."""
    return " ".join(f"{case.op}, {_millions(case)} parameters: {case.ratio_to_limit:.2f} times the limit." for case in cases)


def _ratios(case: Case) -> list[float]:
    middle = median(case.seconds) if case.seconds else case.median
    limit = middle / case.ratio_to_limit
    return [seconds / limit for seconds in (case.seconds or (case.p10, case.median, case.p99))]


def _gate(case: Case) -> float | None:
    return next(
        (gate.bounds[case.params] for gate in GATES if gate.op == case.op and gate.reference == LIMIT and case.params in gate.bounds), None
    )


def _millions(case: Case) -> str:
    return f"{case.params / 1e6:g}M"


def _begun(anchor: str, height: float, title: str, words: str) -> ET.Element:
    svg = ET.Element("svg", {"class": "timeline latency", "viewBox": f"0 0 {WIDTH} {height:g}", "role": "img"})
    svg.set("aria-labelledby", f"{anchor}-t {anchor}-d")
    ET.SubElement(svg, "title", {"id": f"{anchor}-t"}).text = title
    ET.SubElement(svg, "desc", {"id": f"{anchor}-d"}).text = words
    return svg
