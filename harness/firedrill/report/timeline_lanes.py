"""The lanes under the curves: one for each kind of event, then one for each slot and its stages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from firedrill.report.axis import Axis
from firedrill.runner.timeline import Mark

LANE_HEIGHT = 22
LETTER_WIDTH = 5.6
LETTERS_MIN = 5

# From top to bottom in the order in which things go wrong and are put right.
KINDS = ("fault", "suspected", "collapsed", "rolled_back", "penalty", "retired", "snapshot")

# Around the origin, 12 pixels across. A shape each, so that colour is not the only difference.
SHAPES = {
    "fault": "M1.5-7-4.5 1.5-.5 1.5-1.5 7 4.5-1.5.5-1.5Z",
    "suspected": "M0-6 6 0 0 6-6 0Z",
    "collapsed": "M-5-5 5 5M-5 5 5-5",
    "rolled_back": "M0-4V4",
    "penalty": "M-5-5H5V5H-5ZM-3 0H3",
    "retired": "M-5-5H5V5H-5ZM-5-5 5 5",
    "snapshot": "M0-6V6",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A slot was in one stage from `start` until before `end`; None means to the end of the run."""

    start: int
    end: int | None
    stage: str


@dataclass(frozen=True, slots=True)
class StageLane:
    """One slot of one environment."""

    env: int
    slot: str
    bars: tuple[Bar, ...]


def lane_kinds(marks: Sequence[Mark]) -> list[str]:
    """The kinds of event that need a lane, in their order; kinds that nobody knows come last."""
    found = {mark.kind for mark in marks} - {"stage"}
    return [kind for kind in KINDS if kind in found] + sorted(found - set(KINDS))


def stage_lanes(marks: Sequence[Mark], struck: tuple[int, ...]) -> list[StageLane]:
    """The slots of the struck environments, or of all where none was struck."""
    moves: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for mark in sorted(marks, key=lambda mark: mark.step):
        if mark.kind == "stage" and mark.env is not None and (not struck or mark.env in struck):
            slot, _, stage = mark.label.partition(" ")
            moves.setdefault((mark.env, slot), []).append((mark.step, stage.split()[-1] if stage else ""))
    return [StageLane(env, slot, _bars(moves[env, slot])) for env, slot in sorted(moves)]


def draw_events(svg: ET.Element, across: Axis, marks: Sequence[Mark], struck: tuple[int, ...], top: float) -> None:
    """One lane for each kind; what happened to bystanders is faint, but a false alarm there keeps its shape."""
    for row, kind in enumerate(lane_kinds(marks)):
        middle = top + LANE_HEIGHT * (row + 0.5)
        _lane_name(svg, across, kind.replace("_", " "), middle)
        own = sorted((mark for mark in marks if mark.kind == kind), key=lambda mark: (mark.env in struck, mark.step))
        for mark in own:
            _draw_mark(svg, across, mark, "faint" if struck and mark.env not in struck else "strong", middle)
        if kind != "snapshot":
            _draw_labels(svg, across, sorted(own, key=lambda mark: mark.step), middle)


def draw_stages(svg: ET.Element, across: Axis, lanes: Sequence[StageLane], top: float) -> None:
    """One lane for each slot, a bar for each stage, with the stage's name where it has room and its first letter where not."""
    for row, lane in enumerate(lanes):
        y = top + LANE_HEIGHT * row
        _lane_name(svg, across, f"env {lane.env} {lane.slot}", y + LANE_HEIGHT / 2)
        for bar in lane.bars:
            left = across.place(bar.start - 0.5)
            right = across.end if bar.end is None else across.place(bar.end - 0.5)
            group = ET.SubElement(svg, "g", {"class": f"stage stage-{bar.stage}" if bar.stage.isalpha() else "stage"})
            ET.SubElement(group, "title").text = f"{lane.slot} {bar.stage} from step {bar.start}"
            box = {"x": f"{left:.1f}", "y": f"{y + 3:.1f}", "width": f"{max(right - left - 1, 1):.1f}", "height": str(LANE_HEIGHT - 6)}
            ET.SubElement(group, "rect", box)
            words = bar.stage if right - left > len(bar.stage) * LETTER_WIDTH + 8 else bar.stage[:1].upper()
            if right - left > LETTER_WIDTH + 4:
                ET.SubElement(group, "text", {"x": f"{left + 4:.1f}", "y": f"{y + LANE_HEIGHT / 2 + 4:.1f}"}).text = words


def restored_step(mark: Mark) -> int | None:
    """The step that a rollback went back to, as its label says it."""
    found = re.search(r"\bstep (-?\d+)", mark.label)
    return int(found[1]) if found else None


def _bars(moves: Sequence[tuple[int, str]]) -> tuple[Bar, ...]:
    ends: list[int | None] = [*(step for step, _ in moves[1:]), None]
    # Of several stages in one step only the last one lasted.
    return tuple(Bar(start, end, stage) for (start, stage), end in zip(moves, ends, strict=True) if end != start)


def _lane_name(svg: ET.Element, across: Axis, name: str, middle: float) -> None:
    ET.SubElement(
        svg, "line", {"class": "grid", "x1": f"{across.start:.1f}", "x2": f"{across.end:.1f}", "y1": f"{middle:.1f}", "y2": f"{middle:.1f}"}
    )
    ET.SubElement(svg, "text", {"class": "tick end", "x": f"{across.start - 8:.1f}", "y": f"{middle + 4:.1f}"}).text = name


def _draw_mark(svg: ET.Element, across: Axis, mark: Mark, weight: str, middle: float) -> None:
    x = across.place(mark.step)
    group = ET.SubElement(svg, "g", {"class": f"mark {mark.kind} {weight}" if mark.kind in SHAPES else f"mark {weight}"})
    where = "" if mark.env is None else f", env {mark.env}"
    ET.SubElement(group, "title").text = f"step {mark.step}{where}: {mark.label or mark.kind.replace('_', ' ')}"
    target = restored_step(mark) if mark.kind == "rolled_back" else None
    if target is not None and target < mark.step:
        tip = max(across.place(target), across.start)
        ET.SubElement(
            group,
            "path",
            {"d": f"M{x:.1f} {middle:.1f}H{tip:.1f}M{tip + 6:.1f} {middle - 4:.1f}L{tip:.1f} {middle:.1f}L{tip + 6:.1f} {middle + 4:.1f}"},
        )
    ET.SubElement(group, "path", {"class": "shape", "transform": f"translate({x:.1f} {middle:.1f})", "d": SHAPES.get(mark.kind, "M-3 0H3")})


def _draw_labels(svg: ET.Element, across: Axis, marks: Sequence[Mark], middle: float) -> None:
    """Each label on the side of its mark that has more room, cut to fit; the title and the table have it whole."""
    taken = [across.start, *(across.place(mark.step) for mark in marks), across.end + 60]
    for i, mark in enumerate(marks, start=1):
        target = restored_step(mark) if mark.kind == "rolled_back" else None
        left = taken[i] - taken[i - 1] if target is None else 0.0
        right = taken[i + 1] - taken[i]
        # A label to the left of one mark and to the right of the one before would share their room.
        to_right = right >= left or i > 1
        room = int((right if to_right else left) - 22) // LETTER_WIDTH
        words = mark.label if len(mark.label) <= room else mark.label[: max(int(room) - 1, 0)] + "…"
        if mark.label and room >= LETTERS_MIN:
            x = taken[i] + (10 if to_right else -10)
            style = "note" if to_right else "note end"
            ET.SubElement(svg, "text", {"class": style, "x": f"{x:.1f}", "y": f"{middle + 4:.1f}"}).text = words
