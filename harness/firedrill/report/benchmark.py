"""A benchmark in the terminal: a bar while it samples, then every gate with what was measured beside it."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from firedrill.bench.gates import Judged
from firedrill.bench.record import Case

PREFIXES = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))


class Sampling:
    """A bar that counts rounds, in a terminal only."""

    def __init__(self, rounds: int) -> None:
        screen = Console(stderr=True)
        columns = (TextColumn("rounds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, console=screen, transient=True, disable=not screen.is_terminal)
        self._task = self._bar.add_task("rounds", total=rounds)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One more round."""
        self._bar.update(self._task, advance=1)


def gates_table(judged: Sequence[Judged]) -> Table:
    """One row a gate; the symbol says whether it holds, so that colour is not needed."""
    table = _table("gate", "params", "mode", "measured", "gate is", "")
    for one in judged:
        name = f"{one.gate.op} / {one.gate.reference}" if one.gate.is_at_most else f"{one.gate.op} faster than {one.gate.reference}"
        bound = f"<= {one.bound:g}" if one.gate.is_at_most else f">= {one.bound:g}x"
        mark = Text("✓", style="green") if one.holds else Text("✗", style="bold red") if one.is_missed else Text("?", style="yellow")
        measured = f"{one.value:.2f}{'' if one.gate.is_at_most else 'x'}{' ~' if one.case.contended else ''}"
        table.add_row(name, _count(one.case.params), one.case.mode, measured, bound, mark)
    return table


def cases_table(cases: Sequence[Case]) -> Table:
    """One row an operation, with its times."""
    table = _table("operation", "params", "mode", "p10", "median", "p99", "/ memmove")
    for case in cases:
        times = [_time(seconds) for seconds in (case.p10, case.median, case.p99)]
        ratio = f"{case.ratio_to_limit:.2f}{' ~' if case.contended else ''}"
        table.add_row(case.op, _count(case.params), case.mode, *times, ratio)
    return table


def verdict(judged: Sequence[Judged]) -> str:
    """The last line: "44 gates: 43 hold, 1 missed, 0 undecided", and what a tilde means where there is one."""
    held, missed = sum(one.holds for one in judged), sum(one.is_missed for one in judged)
    counts = f"{held} hold, {missed} missed, {len(judged) - held - missed} undecided"
    line = f"{len(judged)} gates: {counts}; thread CPU time, one thread; medians against memmove, medians of ratios against peers"
    return f"{line}; ~ contended" if any(one.case.contended for one in judged) else line


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number in {0, 2} else "right", no_wrap=number > 0)
    return table


def _count(params: int) -> str:
    return f"{params / 1e6:g}M"


def _time(seconds: float) -> str:
    factor, unit = next((factor, unit) for below, factor, unit in PREFIXES if seconds < below)
    return f"{seconds * factor:.3g} {unit}"
