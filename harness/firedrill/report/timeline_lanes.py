"""The lanes under the curves: one for each kind of event, then one for each slot and its stages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from firedrill.report import svg as shapes
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
    """One lane for each kind. Snapshots of bystanders are faint; whatever else happens to a bystander is news and names it."""
    for row, kind in enumerate(lane_kinds(marks)):
        middle = top + LANE_HEIGHT * (row + 0.5)
        _draw_lane(svg, across, kind.replace("_", " "), middle)
        own = sorted((mark for mark in marks if mark.kind == kind), key=lambda mark: (mark.env in struck, mark.step))
        for mark in own:
            faint = kind == "snapshot" and struck and mark.env not in struck
            _draw_mark(svg, across, mark, "faint" if faint else "strong", middle)
        if kind != "snapshot":
            notes = [(mark, _note(mark, struck)) for mark in sorted(own, key=lambda mark: mark.step)]
            _draw_notes(svg, across, notes, middle)


def draw_stages(svg: ET.Element, across: Axis, lanes: Sequence[StageLane], top: float) -> None:
    """One lane for each slot, a bar for each stage, with the stage's name where it has room and its first letter where not."""
    for row, lane in enumerate(lanes):
        y = top + LANE_HEIGHT * row
        _draw_lane(svg, across, f"env {lane.env} {lane.slot}", y + LANE_HEIGHT / 2)
        for bar in lane.bars:
            left = across.place(bar.start - 0.5)
            width = (across.end if bar.end is None else across.place(bar.end - 0.5)) - left
            style = f"stage stage-{bar.stage}" if bar.stage.isalpha() else "stage"
            group = shapes.titled(svg, style, f"{lane.slot} {bar.stage} from step {bar.start}")
            shapes.box(group, "bar", (left, y + 3), max(width - 1, 1), LANE_HEIGHT - 6)
            words = bar.stage if width > len(bar.stage) * LETTER_WIDTH + 8 else bar.stage[:1].upper()
            if width > LETTER_WIDTH + 4:
                shapes.text(group, "name", left + 4, y + LANE_HEIGHT / 2 + 4, words)


def restored_step(mark: Mark) -> int | None:
    """The step that a rollback went back to, as its label says it; None for every other mark."""
    found = re.search(r"\bstep (-?\d+)", mark.label) if mark.kind == "rolled_back" else None
    return int(found[1]) if found else None


def _bars(moves: Sequence[tuple[int, str]]) -> tuple[Bar, ...]:
    ends: list[int | None] = [*(step for step, _ in moves[1:]), None]
    # Of several stages in one step only the last one lasted.
    return tuple(Bar(start, end, stage) for (start, stage), end in zip(moves, ends, strict=True) if end != start)


def _draw_lane(svg: ET.Element, across: Axis, name: str, middle: float) -> None:
    shapes.line(svg, "grid", (across.start, middle), (across.end, middle))
    shapes.text(svg, "tick end", across.start - 8, middle + 4, name)


def _draw_mark(svg: ET.Element, across: Axis, mark: Mark, weight: str, middle: float) -> None:
    x = across.place(mark.step)
    where = "" if mark.env is None else f", env {mark.env}"
    style = f"mark {mark.kind} {weight}" if mark.kind in SHAPES else f"mark {weight}"
    group = shapes.titled(svg, style, f"step {mark.step}{where}: {mark.label or mark.kind.replace('_', ' ')}")
    target = restored_step(mark)
    if target is not None and target < mark.step:
        tip = max(across.place(target), across.start)
        shapes.path(group, "shaft", f"M0 0H{shapes.px(x - tip)}M6-4 0 0 6 4", at=(tip, middle))
    shapes.path(group, "shape", SHAPES.get(mark.kind, "M-3 0H3"), at=(x, middle))


def _note(mark: Mark, struck: tuple[int, ...]) -> str:
    return mark.label if mark.env is None or struck == (mark.env,) else f"env {mark.env}: {mark.label}"


def _draw_notes(svg: ET.Element, across: Axis, notes: Sequence[tuple[Mark, str]], middle: float) -> None:
    """Each note right of its mark, the first one left of it where there is more room, cut to fit; the title has it whole."""
    places = [across.start, *(across.place(mark.step) for mark, _ in notes), across.end + 60]
    for i, (mark, note) in enumerate(notes, start=1):
        before, here, after = places[i - 1 : i + 2]
        # Left of a later mark lies the note of the one before, and left of a rollback its arrow.
        leftwards = i == 1 and restored_step(mark) is None and here - before > after - here
        room = int(((here - before if leftwards else after - here) - 22) / LETTER_WIDTH)
        if room >= min(LETTERS_MIN, len(note)) > 0:
            words = note if len(note) <= room else f"{note[: room - 1]}…"
            shapes.text(svg, "note end" if leftwards else "note", here + (-10 if leftwards else 10), middle + 4, words)
