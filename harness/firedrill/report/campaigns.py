"""What campaigns came to, on a page that can be kept: counts, what was not as expected, what was exercised and what was not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firedrill.campaign.coverage import EXERCISED_MIN, MARK_GAPS, Coverage, State, explained
from firedrill.report.wording import Outcome, cells, outcome, word
from firedrill.runner.result import CellResult
from firedrill.scenario.scenario import GENERATED

COMMAND = "firedrill coverage FILES --page"


@dataclass(frozen=True, slots=True)
class Source:
    """Where cells came from, and how they ended; `cases` are the scenarios among them."""

    name: str
    cases: int
    outcomes: Counter[Outcome]
    verdicts: Counter[str]

    @staticmethod
    def of(name: str, results: Sequence[CellResult]) -> "Source":
        """The counts of these cells."""
        return Source(name, len({r.scenario for r in results}), Counter(map(outcome, results)), Counter(word(r.verdict) for r in results))


def sources(results: Sequence[CellResult]) -> Iterator[Source]:
    """The campaigns by their tags, and the scenarios that people wrote."""
    groups: dict[str, list[CellResult]] = {}
    for result in results:
        name = result.tags[-1] if GENERATED in result.tags else "scenarios"
        groups.setdefault(name, []).append(result)
    yield from (Source.of(name, group) for name, group in sorted(groups.items()))


def page(results: Sequence[CellResult], coverage: Coverage) -> str:
    """Markdown; a reader sees first whether anything was not as expected."""
    red = [result for result in results if outcome(result) is Outcome.UNEXPECTED]
    gaps = [result for result in results if outcome(result) is Outcome.KNOWN_GAP]
    exercised, applicable = coverage.share("cpu")
    share = 100.0 * exercised / max(1, applicable)
    taken, takeable = coverage.taken
    on_cpu = [cell for cell in coverage.cells if cell.plant.device == "cpu"]
    versions = " and ".join(sorted({f"{name} {version}" for result in results for name, version in result.versions if name == "torch"}))
    lines = [
        "# Campaigns",
        "",
        f"Written by `{COMMAND}`, with {versions or 'no torch'}; nothing here is edited by hand.",
        "",
        "| cells of | scenarios | as expected | known gaps | not as expected | not run | verdicts |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_row(source) for source in sources(results)),
        "",
        f"Not as expected: {cells(len(red))}.",
        "",
        *(f"* `{result.id}`: {word(result.verdict)}: {result.reason}" for result in red),
        *([""] if red else []),
        *(f"* known gap `{result.id}`: {word(result.verdict)}: {result.known_gap}" for result in gaps),
        *([""] if gaps else []),
        "## What was exercised",
        "",
        f"A cell of the space is a fault at a seam in a topology, answered by detectors or not. {exercised} of {applicable} that are",
        f"applicable on the CPU were exercised, {share:.1f} %, and {100 * EXERCISED_MIN:.0f} % are asked for.",
        "",
        "| cells | why they were not |",
        "| ---: | --- |",
        *(f"| {count} | {reason} |" for reason, count in sorted(explained(on_cpu).items())),
        "",
        *(f"* not run: `{cell.plant.name}`" for cell in on_cpu if cell.state is State.NOT_RUN),
        "",
        f"{taken} of {takeable} branches of the governor that are applicable were taken.",
        "",
        *(_not_taken(name) for name, cell in coverage.marks.items() if not cell),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _not_taken(mark: str) -> str:
    return f"* n/a on the CPU: {mark}. {MARK_GAPS[mark]}" if mark in MARK_GAPS else f"* not taken: {mark}. Nothing excuses it."


def _row(source: Source) -> str:
    counts = [source.outcomes[kind] for kind in (Outcome.EXPECTED, Outcome.KNOWN_GAP, Outcome.UNEXPECTED, Outcome.NOT_RUN)]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in source.verdicts.most_common())
    return f"| {source.name} | {source.cases} | {' | '.join(map(str, counts))} | {verdicts} |"


def summary_of(results: Sequence[CellResult], coverage: Coverage) -> dict[str, object]:
    """The same numbers for a machine, small enough to be kept."""
    exercised, applicable = coverage.share("cpu")
    taken, takeable = coverage.taken
    return {
        "schema": "firedrill.campaigns/1",
        "sources": [
            {
                "name": source.name,
                "scenarios": source.cases,
                "outcomes": {kind.value: count for kind, count in sorted(source.outcomes.items())},
                "verdicts": dict(sorted(source.verdicts.items())),
            }
            for source in sources(results)
        ],
        "unexpected": [result.id for result in results if outcome(result) is Outcome.UNEXPECTED],
        "exercised": {"cells": exercised, "applicable": applicable, "min": EXERCISED_MIN},
        "not_run": [c.plant.name for c in coverage.cells if c.plant.device == "cpu" and c.state is State.NOT_RUN],
        "marks": {"hit": taken, "of": takeable, "not_applicable": len(coverage.marks) - takeable},
        "holds": coverage.holds,
    }
