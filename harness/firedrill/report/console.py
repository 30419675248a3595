"""Results in the terminal: a bar while cells run, a table afterwards, and one last line.

Colour is never the only carrier: every outcome and every verdict stands there as a symbol and a word too.
"""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from firedrill.report.wording import (
    SYMBOLS,
    Outcome,
    area,
    blamed,
    by_area,
    cells,
    counted,
    expected,
    named,
    outcome,
    word,
)
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

ENDING_WIDTH = max(len(end) for end in Outcome)
OUTCOME_STYLES = {Outcome.EXPECTED: "green", Outcome.UNEXPECTED: "bold red", Outcome.KNOWN_GAP: "yellow", Outcome.NOT_RUN: "dim"}


def matrix(results: Sequence[CellResult]) -> Table:
    """One row a cell that ran, grouped by area, legible in 80 columns. Text of scenarios is shown as it is, never read as markup.

    Cells that were not run are counted under the table, reason by reason; a row each would hide the others.
    """
    idle = Counter(result.reason for result in results if result.verdict is Verdict.NOT_RUN)
    legend = Text("   ".join(f"{symbol} {end}" for end, symbol in SYMBOLS.items()))
    for reason, count in idle.items():
        legend.append(f"\n{SYMBOLS[Outcome.NOT_RUN]} {cells(count)} not run: {reason}")
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, caption=legend, caption_justify="left")
    table.add_column("scenario", overflow="fold", min_width=30)
    table.add_column("device", no_wrap=True)
    table.add_column("seed", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", min_width=12)
    table.add_column("findings against it", overflow="fold")
    table.add_column("s", justify="right", no_wrap=True, min_width=5)
    for name, group in by_area([result for result in results if result.verdict is not Verdict.NOT_RUN]):
        table.add_section()
        table.add_row(Text(name, style="bold"))
        for result in group:
            table.add_row(*_row(result))
    return table


def summary(results: Sequence[CellResult], report: str = "") -> str:
    """The last line of a run: "37 cells: 35 as expected, 2 not; report: page.html"."""
    tally = counted(results)
    parts = [f"{tally[Outcome.EXPECTED]} as expected"]
    if tally[Outcome.UNEXPECTED]:
        parts.append(f"{tally[Outcome.UNEXPECTED]} not")
    if tally[Outcome.KNOWN_GAP]:
        parts.append(f"{tally[Outcome.KNOWN_GAP]} known gap{'s' if tally[Outcome.KNOWN_GAP] > 1 else ''}")
    if tally[Outcome.NOT_RUN]:
        parts.append(f"{tally[Outcome.NOT_RUN]} not run")
    line = f"{cells(len(results))}: {', '.join(parts)}"
    return f"{line}; report: {report}" if report else line


class Progress:
    """Shows cells as they end: a bar with counts in a terminal, one plain line a cell elsewhere. `total` None: nobody knows yet."""

    def __init__(self, total: int | None, console: Console | None = None) -> None:
        self._total = total
        self._console = console or Console(stderr=True)
        self._tally: Counter[Outcome] = Counter()
        self._bar = Bar(
            TextColumn("cells"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("cells", total=total, counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def ended(self, result: CellResult) -> None:
        """Count one more cell; what did not end as expected is named at once, above the bar."""
        self._tally[outcome(result)] += 1
        if not self._console.is_terminal or outcome(result) is Outcome.UNEXPECTED:
            self._console.print(self._line(result), soft_wrap=True)
        self._bar.update(self._task, advance=1, counts=self._counts())

    def measured(self, result: CellResult) -> None:
        """Count one more cell of which nothing is expected."""
        self._tally[Outcome.EXPECTED] += 1
        if not self._console.is_terminal:
            self._console.print(
                f"{result.id}  {word(result.verdict)}  {result.seconds:.1f} s", markup=False, highlight=False, soft_wrap=True
            )
        self._bar.update(self._task, advance=1, counts="")

    def _line(self, result: CellResult) -> Text:
        end = outcome(result)
        known = "" if self._total is None else f"/{self._total}"
        text = Text(f"[{self._tally.total():>{max(0, len(known) - 1)}}{known}] ")
        text.append(f"{SYMBOLS[end]} {end:<{ENDING_WIDTH}}", style=OUTCOME_STYLES[end])
        text.append(f"  {result.id}  {word(result.verdict)}  {result.seconds:.1f} s")
        return text

    def _counts(self) -> str:
        return "  ".join(f"{SYMBOLS[end]} {self._tally[end]} {end}" for end in Outcome if self._tally[end])


def _row(result: CellResult) -> tuple[Text, ...]:
    end = outcome(result)
    wanted = "" if result.verdict in result.expected else f", expected {expected(result)}"
    return (
        Text(result.scenario.removeprefix(f"{area(result)}/")),
        Text(result.device),
        Text(str(result.seed)),
        Text(f"{SYMBOLS[end]} {word(result.verdict)}{wanted}", style=OUTCOME_STYLES[end]),
        Text(", ".join(named(finding) for finding in blamed(result))),
        Text(f"{result.seconds:.1f}"),
    )
