"""How results are put into words: the same in the terminal, on the page and in pytest."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import PurePath

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.scenario import GENERATED


class Outcome(StrEnum):
    """How a cell's verdict stands to what its scenario expected."""

    UNEXPECTED = "not as expected"
    KNOWN_GAP = "known gap"
    NOT_RUN = "not run"
    EXPECTED = "as expected"


class Tone(StrEnum):
    """What kind of news a verdict is, whatever was expected. Never the only carrier: the word stands beside it."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    SILENT = "silent"


SYMBOLS = {Outcome.EXPECTED: "✓", Outcome.UNEXPECTED: "✗", Outcome.KNOWN_GAP: "◇", Outcome.NOT_RUN: "–"}
TONE_SYMBOLS = {Tone.GOOD: "●", Tone.DOUBTFUL: "▲", Tone.BAD: "■", Tone.SILENT: "○"}

TONES = {
    Verdict.HARNESS_ERROR: Tone.BAD,
    Verdict.NOT_INJECTED: Tone.DOUBTFUL,
    Verdict.CONTROL_FAILED: Tone.BAD,
    Verdict.CRASHED: Tone.BAD,
    Verdict.HUNG: Tone.BAD,
    Verdict.LIVELOCK: Tone.BAD,
    Verdict.SILENT_CORRUPTION: Tone.BAD,
    Verdict.WRONG_RECOVERY: Tone.BAD,
    Verdict.MISSED: Tone.BAD,
    Verdict.FALSE_ALARM: Tone.BAD,
    Verdict.LATE: Tone.DOUBTFUL,
    Verdict.LOST_WORK: Tone.DOUBTFUL,
    Verdict.FAIL_STOP: Tone.GOOD,
    Verdict.RECOVERED: Tone.GOOD,
    Verdict.MASKED: Tone.GOOD,
    Verdict.NOT_RUN: Tone.SILENT,
}

MEANINGS = {
    Verdict.HARNESS_ERROR: "Firedrill itself failed; nothing is known about the run.",
    Verdict.NOT_INJECTED: "No fault was witnessed, so nothing was tried.",
    Verdict.CONTROL_FAILED: "The run without a fault was already wrong, so the two cannot be compared.",
    Verdict.CRASHED: "The run ended by an error that nobody declared.",
    Verdict.HUNG: "The run stood still until its time was up.",
    Verdict.LIVELOCK: "The run kept rolling back without getting on.",
    Verdict.SILENT_CORRUPTION: "Damaged state was carried on as if nothing had happened.",
    Verdict.WRONG_RECOVERY: "There was a rollback, but what it restored was not what the snapshot held.",
    Verdict.MISSED: "The fault did harm and the governor did not notice.",
    Verdict.FALSE_ALARM: "The governor reported a collapse where there was none.",
    Verdict.LATE: "The fault was noticed or repaired, but after the declared limit.",
    Verdict.LOST_WORK: "The run recovered, but more work was thrown away than allowed.",
    Verdict.FAIL_STOP: "The run stopped with a typed error instead of going on wrong.",
    Verdict.RECOVERED: "The fault was noticed, rolled back and left no trace.",
    Verdict.MASKED: "The fault was harmless: nothing had to be repaired.",
    Verdict.NOT_RUN: "The cell was not run, so it says nothing.",
}


def word(verdict: Verdict) -> str:
    """A verdict as a reader says it: "silent corruption"."""
    return verdict.name.lower().replace("_", " ")


def expected(result: CellResult) -> str:
    """The verdicts that the scenario accepts: "recovered or masked"."""
    return " or ".join(word(verdict) for verdict in result.expected)


def known_gap(result: CellResult) -> str:
    """The reason of a known gap, and what to do where it has closed or changed; empty where there is none."""
    if not result.known_gap:
        return ""
    if result.passed:
        return f"{result.known_gap} (closed: remove the note)"
    if result.gap_verdict is not None and result.verdict is not result.gap_verdict:
        return f"{result.known_gap} (changed: it was {word(result.gap_verdict)})"
    return result.known_gap


def outcome(result: CellResult) -> Outcome:
    """How the cell ended; a known gap is neither green nor a failure while it stays open. A broken harness is never expected."""
    if result.verdict is Verdict.NOT_RUN:
        return Outcome.NOT_RUN
    if result.counts_as_failed or result.verdict is Verdict.HARNESS_ERROR:
        return Outcome.UNEXPECTED
    return Outcome.KNOWN_GAP if result.known_gap else Outcome.EXPECTED


def blamed(result: CellResult) -> tuple[Finding, ...]:
    """The findings that fail, and of a cell that is not as expected also those that do not know: green takes a PASS."""
    suspects = {Answer.FAIL, Answer.UNKNOWN} if outcome(result) is Outcome.UNEXPECTED else {Answer.FAIL}
    return tuple(finding for finding in result.findings if finding.answer in suspects)


def named(finding: Finding) -> str:
    """The oracle of a finding that did not pass: "twin", or "twin (unknown)"."""
    return finding.oracle if finding.answer is Answer.FAIL else f"{finding.oracle} ({finding.answer})"


def contrast(result: CellResult) -> str:
    """The verdict of an unexpected cell against what was expected, in half a sentence."""
    if result.verdict not in result.expected:
        return f"{word(result.verdict)}, expected {expected(result)}"
    if result.known_gap and result.passed:
        return f"{word(result.verdict)}: a known gap has closed"
    return f"{word(result.verdict)} as expected, but without the findings for it: {', '.join(map(named, blamed(result))) or 'none'}"


def counted(results: Iterable[CellResult]) -> Counter[Outcome]:
    """How many cells had each outcome."""
    return Counter(outcome(result) for result in results)


def area(result: CellResult) -> str:
    """The part of the system that a scenario is about: the folder that its file lies in."""
    return PurePath(result.file).parent.name or "scenarios"


def by_area(results: Sequence[CellResult]) -> list[tuple[str, list[CellResult]]]:
    """The cells of each area, areas by name, cells in the order in which they came."""
    groups: dict[str, list[CellResult]] = {}
    for result in results:
        groups.setdefault(area(result), []).append(result)
    return sorted(groups.items())


def cells(count: int) -> str:
    """A number of cells in words."""
    return "1 cell" if count == 1 else f"{count} cells"


def headline(results: Sequence[CellResult]) -> str:
    """The one sentence that a reader needs, worst news first."""
    tally = counted(results)
    if tally[Outcome.UNEXPECTED]:
        return f"{tally[Outcome.UNEXPECTED]} of {cells(len(results))} did not end as expected"
    if len(results) == tally[Outcome.NOT_RUN]:
        return "No cell was run"
    if tally[Outcome.NOT_RUN]:
        return f"All cells that ran ended as expected; {tally[Outcome.NOT_RUN]} did not run"
    if tally[Outcome.KNOWN_GAP]:
        return f"Nothing unexpected in {cells(len(results))}; known gaps: {tally[Outcome.KNOWN_GAP]}"
    return f"All {cells(len(results))} ended as expected" if len(results) > 1 else "The cell ended as expected"


def reproduce(result: CellResult) -> str:
    """The command that runs this one cell again; a cell that no file holds is run again by its token."""
    if GENERATED in result.tags:
        return f"firedrill replay {result.token}"
    return f"firedrill run {shlex.quote(result.file)} -k {shlex.quote(result.id)}"
