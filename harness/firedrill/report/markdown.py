"""A run as a comment on a pull request: the verdict, then what changed, then detail to unfold.

A comment holds so many characters. Everything that is a verdict is written first and in full; detail is added while there is
room, and says how much of it had none. Text of scenarios is put in so that it can be nothing but text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firedrill.compare.compared import QUIET, Compared, counts, gathered, worst_first
from firedrill.report.wording import (
    SYMBOLS,
    Outcome,
    blamed,
    cells,
    contrast,
    counted,
    expected,
    headline,
    known_gap,
    outcome,
    reproduce,
    word,
)
from firedrill.runner.result import CellResult, Run
from firedrill.runner.verdict import Verdict

LENGTH_MAX = 60_000
# By this line the comment of the last push is found and replaced.
MARKER = "<!-- firedrill -->"
# What closes a fold, and what a fold without room says, has to fit too.
RESERVE = 400
UNEXPECTED_MAX, CHANGES_MAX = 10_000, 10_000
NAME_MIN = 12
SPECIAL = re.compile(r"[^\w \t.,;:()/+=%'\"-]")


@dataclass(frozen=True, slots=True)
class Fold:
    """Detail under a heading; each part is whole or left out."""

    heading: str
    parts: Sequence[str]


def render(run: Run, changes: Sequence[Compared] | None, length_max: int = LENGTH_MAX) -> str:
    """The comment. `changes` None: there was nothing to compare with."""
    results = run.cells
    top = [*_verdict(run), *_unexpected(results), *_changes(changes)]
    used = sum(len(line) + 1 for line in top) + RESERVE
    listed = _every_verdict(results, length_max - used)
    parts = [*top, *listed]
    room = length_max - used - sum(len(line) + 1 for line in listed)
    for fold in _folds(run):
        lines = _folded(fold, room)
        room -= sum(len(line) + 1 for line in lines)
        parts += lines
    text = "\n".join(parts) + "\n"
    assert len(text) <= length_max, "what is trimmed was not trimmed enough"
    return text


def _verdict(run: Run) -> Iterator[str]:
    results = run.cells
    tally = counted(results)
    worst = next((end for end in Outcome if tally[end]), Outcome.NOT_RUN)
    yield MARKER
    yield f"## {SYMBOLS[worst]} {headline(results)}"
    yield ""
    yield " · ".join(f"{SYMBOLS[end]} {tally[end]} {end}" for end in Outcome if tally[end]) or "no cell"
    yield ""
    if not run.complete:
        yield "The run was cut short, by somebody or by its time; there are cells that it did not come to."
        yield ""


def _unexpected(results: Sequence[CellResult]) -> Iterator[str]:
    """Every cell that is not as expected, with what is wrong in half a sentence; its reason is detail."""
    for title, end in (("Not as expected", Outcome.UNEXPECTED), ("Known gaps, still open", Outcome.KNOWN_GAP)):
        lines = [f"- {code(result.id)} {plain(_said(result, end))}" for result in results if outcome(result) is end]
        if lines:
            yield f"### {title}"
            yield ""
            yield from _within(lines, UNEXPECTED_MAX, "- and {} more; the list of all verdicts names them")
            yield ""


def _said(result: CellResult, end: Outcome) -> str:
    return contrast(result) if end is Outcome.UNEXPECTED else f"{word(result.verdict)}, expected {expected(result)}"


def _changes(changes: Sequence[Compared] | None) -> Iterator[str]:
    yield "### What changed"
    yield ""
    if changes is None:
        yield "There was nothing to compare with."
    else:
        yield f"Against the base: {counts(changes)}."
        rows = [_change_row(compared) for compared in gathered(worst_first(changes)) if compared.change not in QUIET]
        if rows:
            yield ""
            yield "| | what | metric | base | head | |"
            yield "|---|---|---|---|---|---|"
            yield from _within(rows, CHANGES_MAX, "\nand {} more that changed")
    yield ""


def _within(lines: Sequence[str], room: int, more: str) -> Iterator[str]:
    """As many lines as fit, and how many did not."""
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            yield more.format(len(lines) - number)
            return
        yield line


def _change_row(compared: Compared) -> str:
    subject = _cut(compared.subject, 80)
    values = (compared.metric, _cut(compared.base, 60), _cut(compared.head, 60), _cut(compared.detail, 160))
    metric, base, head, detail = (plain(value) for value in values)
    return f"| **{compared.change}** | {code(subject)} | {metric} | {base} | {head} | {detail} |"


def _every_verdict(results: Sequence[CellResult], room: int) -> list[str]:
    """The name of every cell under its verdict; names are shortened where they are too long together, and never left out."""
    if not results:
        return []
    groups = [(verdict, [result.id for result in results if result.verdict is verdict]) for verdict in Verdict]
    groups = [(verdict, names) for verdict, names in groups if names]
    head = f"<details><summary>Every verdict ({cells(len(results))})</summary>\n"
    frame = len(head) + sum(len(verdict) + 40 for verdict, _ in groups) + 40
    # Two ticks, a comma and a space around each.
    longest = max(len(result.id) for result in results)
    most = next((n for n in range(longest, NAME_MIN - 1, -1) if _total(results, n) + frame <= room), 0)
    body = [
        f"**{word(verdict)}** ({len(names)}): "
        + (", ".join(code(_cut(name, most)) for name in names) if most else "not named, they are too many")
        for verdict, names in groups
    ]
    return [head, "\n\n".join(body), "\n</details>\n"]


def _total(results: Sequence[CellResult], longest: int) -> int:
    return sum(min(len(result.id), longest) + 4 for result in results)


def _folds(run: Run) -> Iterator[Fold]:
    red = [result for result in run.cells if outcome(result) is Outcome.UNEXPECTED]
    gaps = [result for result in run.cells if outcome(result) is Outcome.KNOWN_GAP]
    yield Fold("Findings and how to run it again", [_findings(result) for result in red])
    yield Fold("Known gaps", [f"- {code(result.id)} {plain(known_gap(result))}" for result in gaps])
    facts = {"created": run.created, "machine": run.machine, "class": run.machine_class, "commit": run.commit} | run.versions
    yield Fold("Machine and versions", [f"- {plain(name)}: {plain(text)}" for name, text in facts.items() if text])


def _findings(result: CellResult) -> str:
    lines = [f"**{code(result.id)}** {plain(result.because)}", "", f"{plain(result.reason)}", ""]
    lines += [f"- {finding.oracle}, {finding.answer}: {plain(f'{finding.place}: {finding.detail}')}" for finding in blamed(result)]
    command = reproduce(result)
    # A token that fills the comment helps nobody; it is in the record.
    lines += ["", code(command if len(command) <= 600 else f"firedrill replay 'run.json#{result.id}'"), ""]
    return "\n".join(lines)


def _folded(fold: Fold, room: int) -> list[str]:
    if not fold.parts:
        return []
    frame = [f"<details><summary>{fold.heading}</summary>\n", "\n</details>\n"]
    left = room - sum(len(line) + 1 for line in frame) - 80
    kept: list[str] = []
    for part in fold.parts:
        if len(part) + 1 > left:
            break
        kept.append(part)
        left -= len(part) + 1
    missing = len(fold.parts) - len(kept)
    note = [f"\n{missing} of {len(fold.parts)} had no room here; the page has them all."] if missing else []
    return [frame[0], *kept, *note, frame[1]] if left > 0 else []


def plain(text: str) -> str:
    """Text that Markdown and HTML leave alone: no markup, no mention, no reference, no link, one line."""
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", " ".join(text.split())).replace("://", "&#58;//")


def code(text: str) -> str:
    """Text as code; it is cut off from whatever could end the code."""
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', '/').split())}`"


def _cut(text: str, most: int) -> str:
    """The text, or both its ends where it is too long: what tells names apart is often at the end."""
    if len(text) <= most or most <= 1:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
