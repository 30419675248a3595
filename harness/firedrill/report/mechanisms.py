"""Scenarios x mechanisms, as tables for the terminal and as Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from firedrill.campaign.compare import Column, Ending, Measured
from firedrill.report.wording import MEANINGS, TONE_SYMBOLS, TONES, Tone, word
from firedrill.runner.verdict import Verdict

STYLES = {Tone.GOOD: "green", Tone.DOUBTFUL: "yellow", Tone.BAD: "bold red", Tone.SILENT: "dim"}
# Short enough for eight columns beside a name; the legend says what they stand for.
CODES = {
    Verdict.HARNESS_ERROR: "err",
    Verdict.NOT_INJECTED: "nij",
    Verdict.CONTROL_FAILED: "ctl",
    Verdict.CRASHED: "crs",
    Verdict.HUNG: "hng",
    Verdict.LIVELOCK: "liv",
    Verdict.SILENT_CORRUPTION: "cor",
    Verdict.WRONG_RECOVERY: "wrg",
    Verdict.MISSED: "mis",
    Verdict.FALSE_ALARM: "fal",
    Verdict.LATE: "lat",
    Verdict.LOST_WORK: "lst",
    Verdict.FAIL_STOP: "stp",
    Verdict.RECOVERED: "rec",
    Verdict.AVERTED: "avt",
    Verdict.MASKED: "msk",
    Verdict.NOT_RUN: "–",
}


def tables(measured: Sequence[Measured]) -> list[Table]:
    """One table a kind of loop: a row a scenario, a column a mechanism."""
    return [_table(kind, [one for one in measured if one.column.kind == kind]) for kind in _kinds(measured)]


def summary(measured: Sequence[Measured]) -> Table:
    """How often each mechanism ends well, stops, or lets harm through."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    table.add_column("mechanism", no_wrap=True)
    for ending in Ending:
        table.add_column(ending, justify="right")
    for row in _summary_rows(measured):
        table.add_row(*row)
    return table


def legend(measured: Sequence[Measured]) -> str:
    """What the short words in the tables stand for."""
    return "   ".join(f"{_code(name)} {word(name)}" for name in _seen(measured))


def markdown(measured: Sequence[Measured]) -> str:
    """Both, and what the verdicts mean."""
    parts = [_markdown_table(["mechanism", *Ending], _summary_rows(measured))]
    for kind in _kinds(measured):
        of_kind = [one for one in measured if one.column.kind == kind]
        mechanisms = _mechanisms(of_kind)
        rows = [
            [f"`{scenario}`", *(f"{TONE_SYMBOLS[TONES[row[name]]]} {word(row[name])}" if name in row else "" for name in mechanisms)]
            for scenario, row in _rows(of_kind).items()
        ]
        parts.append(f"### {kind}\n\n{_markdown_table(['scenario', *mechanisms], rows)}")
    parts.append("\n".join(f"* {TONE_SYMBOLS[TONES[name]]} **{word(name)}**: {MEANINGS[name]}" for name in _seen(measured)))
    return "\n\n".join(parts) + "\n"


def endings(measured: Iterable[Measured]) -> dict[Column, Counter[Ending]]:
    """For each mechanism, how many scenarios ended in which way."""
    counts: dict[Column, Counter[Ending]] = {}
    for one in measured:
        counts.setdefault(one.column, Counter())[one.ending] += 1
    return counts


def _table(kind: str, measured: Sequence[Measured]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), show_edge=False, title=kind, title_justify="left")
    table.add_column("scenario", overflow="fold", min_width=18)
    mechanisms = _mechanisms(measured)
    for name in mechanisms:
        table.add_column(name.replace("_", "\n"), no_wrap=True)
    for scenario, row in _rows(measured).items():
        table.add_row(Text(scenario.rpartition("/")[2]), *(_cell(row.get(name)) for name in mechanisms))
    return table


def _cell(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(_code(verdict), style=STYLES[TONES[verdict]])


def _code(verdict: Verdict) -> str:
    return f"{TONE_SYMBOLS[TONES[verdict]]} {CODES[verdict]}"


def _seen(measured: Sequence[Measured]) -> list[Verdict]:
    return [name for name in Verdict if any(one.verdict is name for one in measured)]


def _rows(measured: Sequence[Measured]) -> dict[str, dict[str, Verdict]]:
    rows: dict[str, dict[str, Verdict]] = {}
    for one in measured:
        rows.setdefault(one.scenario, {})[one.column.mechanism] = one.verdict
    return rows


def _kinds(measured: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.column.kind for one in measured))


def _mechanisms(measured: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.column.mechanism for one in measured))


def _summary_rows(measured: Sequence[Measured]) -> list[list[str]]:
    return [[str(column), *(str(counts[ending]) for ending in Ending)] for column, counts in endings(measured).items()]


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
