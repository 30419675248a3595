"""Coverage in the terminal and as JSON: a row for every fault and seam, a column for every topology."""

import json
from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from firedrill.campaign.coverage import EXERCISED_MIN, MARK_GAPS, Coverage, Covered, State, explained
from firedrill.campaign.plants import Strength
from firedrill.runner.exposure import Topology

SCHEMA = "firedrill.coverage/1"
SYMBOLS = {State.PASS: "✓", State.KNOWN_GAP: "◇", State.FAIL: "✗", State.NOT_RUN: "–", State.NOT_APPLICABLE: "·"}
STYLES = {State.PASS: "green", State.KNOWN_GAP: "yellow", State.FAIL: "bold red", State.NOT_RUN: "bold", State.NOT_APPLICABLE: "dim"}
TOPOLOGIES = (Topology.BARE, Topology.GROWING, Topology.BLENDED, Topology.FOSSIL, Topology.RESTING)


def cells_table(coverage: Coverage) -> Table:
    """What was exercised on the CPU. In each field the first sign is for an answer of the detectors, the second for none."""
    legend = "answered, unnoticed:  " + "  ".join(f"{symbol} {state}" for state, symbol in SYMBOLS.items())
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, caption=Text(legend), caption_justify="left")
    table.add_column("fault")
    table.add_column("phase")
    for topology in TOPOLOGIES:
        table.add_column(topology.value, no_wrap=True)
    rows: dict[tuple[str, str], dict[tuple[Topology, Strength], State]] = {}
    for cell in coverage.cells:
        if cell.plant.device == "cpu":
            rows.setdefault((cell.plant.kind, cell.plant.phase), {})[cell.plant.topology, cell.plant.strength] = cell.state
    for (kind, phase), states in rows.items():
        table.add_row(kind, phase, *(_signs(states[topology, strength] for strength in Strength) for topology in TOPOLOGIES))
    return table


def marks_table(coverage: Coverage) -> Table:
    """Every branch of the governor, with a cell that took it."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    table.add_column("branch of the governor")
    table.add_column("taken in", overflow="fold")
    for name, cell in coverage.marks.items():
        table.add_row(
            name,
            Text(cell)
            if cell
            else Text(f"n/a: {MARK_GAPS[name]}", style="dim")
            if name in MARK_GAPS
            else Text("NEVER TAKEN", style="bold red"),
        )
    return table


def summary(coverage: Coverage, gaps: bool) -> str:
    """What is missing and why, and the shares in one line; with `gaps` also the name of every cell that was not run."""
    lines = [f"{count:4} {reason}" for reason, count in sorted(explained(_on_cpu(coverage)).items())]
    if gaps:
        lines += [f"  {cell.plant.name}: {cell.why}" for cell in _on_cpu(coverage) if cell.state is State.NOT_RUN]
    shares = ", ".join(f"{device} {done} of {of} applicable cells exercised" for device, (done, of) in _shares(coverage).items())
    taken, takeable = coverage.taken
    lines.append(f"{shares}; {taken} of {takeable} applicable branches taken, {len(coverage.unexplained)} unexplained")
    return "\n".join(lines)


def as_json(coverage: Coverage) -> str:
    """Everything, as strict JSON."""
    document = {
        "schema": SCHEMA,
        "exercised": {device: {"cells": done, "applicable": of} for device, (done, of) in _shares(coverage).items()},
        "exercised_min": EXERCISED_MIN,
        "holds": coverage.holds,
        "cells": [
            {
                "fault": cell.plant.kind,
                "phase": cell.plant.phase,
                "device": cell.plant.device,
                "topology": cell.plant.topology,
                "detectors": "answered" if cell.plant.strength is Strength.STRONG else "unnoticed",
                "state": cell.state,
                "why": cell.why,
            }
            for cell in coverage.cells
        ],
        "marks": {name: {"hit": bool(cell), "why": cell or MARK_GAPS.get(name, "")} for name, cell in coverage.marks.items()},
    }
    return json.dumps(document, allow_nan=False, indent=1) + "\n"


def _signs(states: Iterable[State]) -> Text:
    text = Text()
    for state in states:
        text.append(f"{SYMBOLS[state]} ", style=STYLES[state])
    return text


def _on_cpu(coverage: Coverage) -> list[Covered]:
    return [cell for cell in coverage.cells if cell.plant.device == "cpu"]


def _shares(coverage: Coverage) -> dict[str, tuple[int, int]]:
    return {device: coverage.share(device) for device in dict.fromkeys(cell.plant.device for cell in coverage.cells)}
