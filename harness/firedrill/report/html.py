"""The report as one page: a single file that needs nothing else, neither network nor JavaScript."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from firedrill.bench.gates import judge
from firedrill.bench.ratios import Measured
from firedrill.bench.record import Case
from firedrill.compare.compared import QUIET, Change, counts, gathered, worst_first
from firedrill.oracles.oracle import Answer, Finding
from firedrill.report import timeline_svg
from firedrill.report.beside import NOTHING, Beside
from firedrill.report.latency_svg import draw_ratios, draw_sizes, lines_of_cases, lines_of_ratios, rows_of_cases, rows_of_ratios
from firedrill.report.ratios import symbol, verdict
from firedrill.report.wording import (
    MEANINGS,
    SYMBOLS,
    TONE_SYMBOLS,
    TONES,
    Outcome,
    Tone,
    blamed,
    by_area,
    contrast,
    counted,
    expected,
    headline,
    known_gap,
    named,
    outcome,
    reproduce,
    word,
)
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import Mark
from firedrill.runner.verdict import Verdict

CHANGE_TONES = {
    Change.REGRESSION: Tone.BAD,
    Change.INCONCLUSIVE: Tone.DOUBTFUL,
    Change.NOT_COMPARABLE: Tone.SILENT,
    Change.NOT_RUN: Tone.SILENT,
    Change.IMPROVED: Tone.GOOD,
    Change.UNCHANGED: Tone.SILENT,
}
WORST_FIRST = {Answer.FAIL: 0, Answer.UNKNOWN: 1, Answer.PASS: 2}


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell as the page shows it."""

    result: CellResult
    anchor: str
    outcome: Outcome
    expected: str
    known_gap: str
    against: tuple[str, ...]
    contrast: str
    findings: tuple[Finding, ...]
    versions: tuple[tuple[str, str], ...]
    marks: tuple[Mark, ...]
    drawing: str
    command: str
    search_text: str


def write(path: Path, results: Sequence[CellResult], meta: Mapping[str, str], beside: Beside = NOTHING) -> None:
    """Write the page. `meta` is shown as it comes under "Machine and versions": commit, machine, date and the like."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(results, meta, beside), encoding="utf-8")


def render(results: Sequence[CellResult], meta: Mapping[str, str], beside: Beside = NOTHING) -> str:
    """The whole page as text."""
    # Whatever comes from a scenario or a run is text, also where it looks like markup.
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=PackageLoader("firedrill.report"), trim_blocks=True)
    environment.globals.update(word=word, symbols=SYMBOLS, tones=TONES, tone_symbols=TONE_SYMBOLS, meanings=MEANINGS)
    anchors: Counter[str] = Counter()
    areas = [(name, [_view(result, _anchor(result, anchors)) for result in group]) for name, group in by_area(results)]
    tally = counted(results)
    verdicts = Counter(result.verdict for result in results)
    # Outcomes are declared worst first, so the first that occurs colours the page.
    told = (next((end for end in Outcome if tally[end]), Outcome.NOT_RUN), headline(results))
    if not results and beside != NOTHING:
        told = measured(beside)
    return environment.get_template("page.html.j2").render(
        worst=told[0],
        headline=told[1],
        tally=[(end, tally[end]) for end in Outcome if tally[end]],
        verdicts=[(verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]],
        unexpected=[cell for _, group in areas for cell in group if cell.outcome is Outcome.UNEXPECTED],
        areas=areas,
        filters=_filters(results),
        facts=[*meta.items(), *beside.facts],
        changes=beside.changes,
        changed=[one for one in gathered(worst_first(beside.changes or ())) if one.change not in QUIET],
        change_counts=counts(beside.changes or ()),
        change_tones=CHANGE_TONES,
        latencies=_latencies(beside.cases),
        ratios=beside.ratios,
        ratio_drawings=_ratio_drawings(beside.ratios),
        ratio_verdict=verdict(beside.ratios),
        ratio_symbol=symbol,
        maps=beside.maps,
    )


def measured(beside: Beside) -> tuple[Outcome, str]:
    """How it ended and the one sentence, where there are no cells: what was compared or measured, and what of it is missed."""
    changes, gates = beside.changes or (), judge(beside.cases)
    missed = sum(one.is_missed for one in gates) + sum(one.missed for one in beside.ratios)
    bounds = len(gates) + sum(one.bound is not None for one in beside.ratios)
    said = [counts(changes)] if beside.changes is not None else []
    said += [f"{bounds} bounds: {missed} missed"] if bounds else []
    if missed or any(one.change is Change.REGRESSION for one in changes):
        return Outcome.UNEXPECTED, "; ".join(said)
    return (Outcome.EXPECTED, "; ".join(said)) if said else (Outcome.NOT_RUN, "Measured, and nothing was promised of it")


def _ratio_drawings(ratios: Sequence[Measured]) -> list[str]:
    promised, free = ([one for one in ratios if bool(one.bound) is wanted] for wanted in (True, False))
    drawings = [
        draw_ratios(
            rows_of_ratios(promised), "ratios-bound", "Ratios over their bounds", "times the bound, round by round", names_above=True
        ),
        draw_ratios(
            rows_of_ratios(free), "ratios-free", "Ratios of times", "the first time over the second, round by round", names_above=True
        ),
        draw_sizes(lines_of_ratios(ratios), "ratios-size", "seconds, median"),
    ]
    return [drawing for drawing in drawings if drawing]


def _latencies(cases: Sequence[Case]) -> list[tuple[str, list[str], list[Case]]]:
    """Of each mode: its name, its drawings and its cases."""
    found = []
    for number, mode in enumerate(dict.fromkeys(case.mode for case in cases)):
        own = [case for case in cases if case.mode == mode]
        axis = "times the limit, a memmove of the same bytes"
        drawings = [
            draw_ratios(rows_of_cases(own), f"latency-{number}-ratio", "Times over the limit", axis),
            draw_sizes(lines_of_cases(own), f"latency-{number}-size", "seconds of CPU, median"),
        ]
        found.append((mode, [drawing for drawing in drawings if drawing], own))
    return found


def _view(result: CellResult, anchor: str) -> CellView:
    findings = tuple(sorted(result.findings, key=lambda finding: WORST_FIRST[finding.answer]))
    against = tuple(named(finding) for finding in blamed(result))
    searched = (result.id, result.because, result.reason, word(result.verdict), outcome(result), *result.tags, *against)
    return CellView(
        result=result,
        anchor=anchor,
        outcome=outcome(result),
        expected=expected(result),
        known_gap=known_gap(result),
        against=against,
        contrast=contrast(result),
        findings=findings,
        versions=tuple(result.versions),
        marks=tuple(sorted(result.timeline.marks, key=lambda mark: mark.step)),
        drawing=timeline_svg.draw(result.timeline, result.id, anchor),
        command=reproduce(result),
        search_text=" ".join(searched).lower(),
    )


def _anchor(result: CellResult, seen: Counter[str]) -> str:
    """An anchor made of the cell's id, so that links survive the next run; numbered where it was `seen` before."""
    slug = "cell-" + re.sub(r"[^A-Za-z0-9_.]+", "-", result.id).strip("-")
    seen[slug] += 1
    return slug if seen[slug] == 1 else f"{slug}--{seen[slug]}"


def _filters(results: Sequence[CellResult]) -> list[tuple[str, list[str]]]:
    tally = counted(results)
    return [
        ("outcome", [end.value for end in Outcome if tally[end]]),
        ("verdict", [word(verdict) for verdict in Verdict if any(result.verdict is verdict for result in results)]),
        ("device", _distinct(result.device for result in results)),
        ("tags", _distinct(tag for result in results for tag in result.tags)),
    ]


def _distinct(words: Iterable[str]) -> list[str]:
    return sorted(set(words))
