"""Ratios of times beside what they are to reach, in the terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from firedrill.bench.ratios import Measured


def ratios_table(found: Sequence[Measured]) -> Table:
    """One row a ratio; the symbol says whether it is reached, so that colour is not needed."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for heading in ("ratio", "measured", "95 % interval", "bound", ""):
        table.add_column(heading, justify="left" if heading == "ratio" else "right")
    for one in found:
        bound = "" if one.bound is None else f"{'<=' if one.at_most else '>='} {one.bound:g}"
        interval = f"{one.low:.3g} to {one.high:.3g}"
        table.add_row(one.name, f"{one.value:.3g}{' ~' if one.contended else ''}", interval, bound, symbol(one))
    return table


def symbol(one: Measured) -> str:
    """Nothing where nothing was promised."""
    if one.reached is None:
        return ""
    return "✓" if one.reached else "?" if one.undecided else "✗"


def verdict(found: Sequence[Measured]) -> str:
    """The last line: "5 bounds: 4 reached, 0 missed, 1 undecided", if anything was promised, and what a tilde means where there is one."""
    judged = [one for one in found if one.reached is not None]
    missed, undecided = sum(one.missed for one in judged), sum(one.undecided for one in judged)
    line = "nothing was promised of these"
    if judged:
        line = f"{len(judged)} bounds: {len(judged) - missed - undecided} reached, {missed} missed, {undecided} undecided"
    return f"{line}; ~ others had the machine" if any(one.contended for one in found) else line
