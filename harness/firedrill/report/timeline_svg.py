"""A cell's timeline as one SVG drawing: loss curves above, what was done and noticed in lanes below.

Colours and line styles are classes, which `templates/timeline.css` fills in for light, dark and paper. Built as an
element tree, so that every text from outside is escaped. Struck environments are drawn strong, bystanders faint and dashed.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from firedrill.report import svg as shapes
from firedrill.report.axis import Axis, short, step_axis, value_axis, whole_ticks
from firedrill.report.timeline_lanes import LANE_HEIGHT, draw_events, draw_stages, lane_kinds, stage_lanes
from firedrill.runner.timeline import Mark, Timeline

WIDTH = 760
LEFT, RIGHT = 108, 64
TOP, PLOT_HEIGHT = 22, 190
STEPS_HEIGHT = 30
LABEL_GAP = 13
CURVE_LABELS_MAX = 8

# Step and validation loss; None where the loss was not finite.
Points = tuple[tuple[int, float | None], ...]


def draw(timeline: Timeline, name: str, anchor: str) -> str:
    """The drawing as markup; empty where there is nothing to draw. `anchor` keeps ids apart on one page."""
    curves = {curve.env: tuple(zip(curve.steps, curve.val_losses, strict=True)) for curve in timeline.curves}
    steps = [step for curve in curves.values() for step, _ in curve] + [mark.step for mark in timeline.marks]
    if not steps:
        return ""
    struck = struck_envs(timeline.marks)
    kinds, slots = lane_kinds(timeline.marks), stage_lanes(timeline.marks, struck)
    lanes_top = TOP + PLOT_HEIGHT + STEPS_HEIGHT
    bottom = lanes_top + LANE_HEIGHT * (len(kinds) + len(slots)) + 6
    across = step_axis(steps, LEFT, WIDTH - RIGHT)
    upward = value_axis((value for curve in curves.values() for _, value in curve if value is not None), TOP + PLOT_HEIGHT - 4, TOP + 12)

    svg = ET.Element("svg", {"class": "timeline", "viewBox": f"0 0 {WIDTH} {bottom}", "role": "img"})
    svg.set("aria-labelledby", f"{anchor}-t {anchor}-d")
    ET.SubElement(svg, "title", {"id": f"{anchor}-t"}).text = f"Timeline of {name}"
    ET.SubElement(svg, "desc", {"id": f"{anchor}-d"}).text = describe(timeline)
    _draw_harm(svg, across, timeline.marks, bottom)
    _draw_guides(svg, across, timeline.marks, bottom)
    _draw_axes(svg, across, upward)
    _draw_curves(svg, across, upward, curves, struck)
    draw_events(svg, across, timeline.marks, struck, lanes_top)
    draw_stages(svg, across, slots, lanes_top + LANE_HEIGHT * len(kinds))
    return ET.tostring(svg, encoding="unicode")


def struck_envs(marks: Sequence[Mark]) -> tuple[int, ...]:
    """The environments in which a fault struck, ascending."""
    return tuple(sorted({mark.env for mark in marks if mark.kind == "fault" and mark.env is not None}))


def describe(timeline: Timeline) -> str:
    """The drawing in words, for those who do not see it; snapshots and stages are left to the table of events."""
    envs = len(timeline.curves)
    words = [f"Validation loss per step of {envs} environment{'s' if envs != 1 else ''}."]
    for mark in sorted(timeline.marks, key=lambda mark: mark.step):
        if mark.kind not in {"snapshot", "stage"}:
            where = "all environments" if mark.env is None else f"environment {mark.env}"
            words.append(f"Step {mark.step}, {where}: {mark.kind.replace('_', ' ')}{f', {mark.label}' if mark.label else ''}.")
    return " ".join(words)


def harm_spans(marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Steps from a fault to the first rollback of the same environment that is not before it; without one there is no span."""
    rollbacks = sorted((mark for mark in marks if mark.kind == "rolled_back"), key=lambda mark: mark.step)
    faults = [mark for mark in marks if mark.kind == "fault"]
    ends = [(fault.step, next((r.step for r in rollbacks if r.env == fault.env and r.step >= fault.step), None)) for fault in faults]
    return sorted({(start, end) for start, end in ends if end is not None})


def _draw_harm(svg: ET.Element, across: Axis, marks: Sequence[Mark], bottom: float) -> None:
    for start, end in harm_spans(marks):
        left, right = across.place(start - 0.5), across.place(end + 0.5)
        shapes.box(svg, "harm", (left, TOP), right - left, bottom - TOP - 6)


def _draw_axes(svg: ET.Element, across: Axis, upward: Axis) -> None:
    shapes.text(svg, "soft", 4, 13, "validation loss, log scale" if upward.log else "validation loss")
    for value in upward.ticks():
        y = upward.place(value)
        shapes.line(svg, "grid", (LEFT, y), (WIDTH - RIGHT, y))
        shapes.text(svg, "tick end", LEFT - 8, y + 4, short(value))
    base = TOP + PLOT_HEIGHT
    shapes.line(svg, "base", (LEFT, base), (WIDTH - RIGHT, base))
    for step in whole_ticks(across):
        x = across.place(step)
        shapes.line(svg, "base", (x, base), (x, base + 4))
        shapes.text(svg, "tick middle", x, base + 17, str(step))
    shapes.text(svg, "tick end", LEFT - 8, base + 17, "step")


def _draw_guides(svg: ET.Element, across: Axis, marks: Sequence[Mark], bottom: float) -> None:
    for kind, step in sorted({(mark.kind, mark.step) for mark in marks if mark.kind in {"fault", "collapsed", "rolled_back"}}):
        x = across.place(step)
        shapes.line(svg, f"guide {kind}", (x, TOP), (x, bottom - 6))


def _draw_curves(svg: ET.Element, across: Axis, upward: Axis, curves: dict[int, Points], struck: tuple[int, ...]) -> None:
    ends: list[tuple[float, int]] = []
    # Struck ones last, so that they lie on top.
    for env, curve in sorted(curves.items(), key=lambda item: (item[0] in struck, item[0])):
        group = ET.SubElement(svg, "g", {"class": _curve_class(env, struck)})
        for d in _stretches(across, upward, curve):
            shapes.path(group, "curve", d)
        for step, value in curve:
            if value is None:
                shapes.text(group, "gap middle", across.place(step), TOP + 12, "×")
        finite = [value for _, value in curve if value is not None]
        if finite:
            ends.append((upward.place(finite[-1]), env))
    for y, env in _spread([(y, env) for y, env in ends if len(ends) <= CURVE_LABELS_MAX or env in struck]):
        shapes.text(svg, f"name {_curve_class(env, struck)}", WIDTH - RIGHT + 8, y + 4, f"env {env}")


def _curve_class(env: int, struck: tuple[int, ...]) -> str:
    if env in struck:
        return f"struck struck-{struck.index(env) % 3}"
    # With nobody struck all are equal, and nobody is a bystander.
    return f"{'bystander' if struck else 'plain'} dash-{env % 3}"


def _stretches(across: Axis, upward: Axis, curve: Points) -> Iterator[str]:
    """One path for each stretch of finite values; a lone value becomes a stretch of no length, drawn as a dot by its round cap."""
    for _, stretch in groupby(curve, key=lambda point: point[1] is None):
        points = [f"{shapes.px(across.place(step))} {shapes.px(upward.place(value))}" for step, value in stretch if value is not None]
        if points:
            yield "M" + "L".join(points if len(points) > 1 else points * 2)


def _spread(ends: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Labels from top to bottom, each pushed down until it is clear of the one above, all lifted where they left the plot."""
    placed: list[tuple[float, int]] = []
    for y, env in sorted(ends):
        placed.append((max(y, placed[-1][0] + LABEL_GAP) if placed else y, env))
    excess = max(placed[-1][0] - TOP - PLOT_HEIGHT, 0) if placed else 0
    return [(y - excess, env) for y, env in placed]
