"""A comparison in the terminal: a row for whatever changed."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from firedrill.compare.compared import QUIET, Change, Compared, gathered, worst_first

SYMBOLS = {
    Change.REGRESSION: "✗",
    Change.INCONCLUSIVE: "?",
    Change.NOT_COMPARABLE: "≠",
    Change.NOT_RUN: "–",
    Change.IMPROVED: "↑",
    Change.UNCHANGED: "=",
}
STYLES = {
    Change.REGRESSION: "bold red",
    Change.INCONCLUSIVE: "yellow",
    Change.NOT_COMPARABLE: "dim",
    Change.NOT_RUN: "dim",
    Change.IMPROVED: "green",
    Change.UNCHANGED: "",
}


def table(found: Sequence[Compared]) -> Table:
    """Worst first; what is unchanged has no row."""
    rows = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for heading in ("", "what", "metric", "base", "head", "because"):
        rows.add_column(heading, overflow="fold")
    for compared in gathered(worst_first(found)):
        if compared.change not in QUIET:
            change = Text(f"{SYMBOLS[compared.change]} {compared.change}", style=STYLES[compared.change])
            texts = (compared.subject, compared.metric, compared.base, compared.head, compared.detail)
            rows.add_row(change, *map(Text, texts))
    return rows
