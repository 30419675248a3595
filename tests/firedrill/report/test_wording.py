from dataclasses import replace

import pytest

from firedrill.report.wording import (
    MEANINGS,
    TONES,
    Outcome,
    blamed,
    by_area,
    contrast,
    expected,
    headline,
    known_gap,
    named,
    outcome,
    reproduce,
)
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict


def test_every_verdict_has_a_tone_and_a_meaning() -> None:
    assert set(TONES) == set(MEANINGS) == set(Verdict)


@pytest.mark.parametrize(
    ("verdict", "passed", "gap", "seen"),
    [
        (Verdict.RECOVERED, True, None, Outcome.EXPECTED),
        (Verdict.MISSED, False, None, Outcome.UNEXPECTED),
        (Verdict.MISSED, False, "known", Outcome.KNOWN_GAP),
        (Verdict.LATE, False, "known", Outcome.UNEXPECTED),
        (Verdict.RECOVERED, True, "known", Outcome.UNEXPECTED),
        (Verdict.HARNESS_ERROR, False, "known", Outcome.UNEXPECTED),
        (Verdict.NOT_RUN, False, None, Outcome.NOT_RUN),
        (Verdict.NOT_RUN, True, None, Outcome.NOT_RUN),
    ],
)
def test_an_outcome_is_green_only_for_a_cell_that_ran_and_passed(
    fossil: CellResult, verdict: Verdict, passed: bool, gap: str | None, seen: Outcome
) -> None:
    gap_verdict = Verdict.MISSED if gap else None
    assert outcome(replace(fossil, verdict=verdict, passed=passed, known_gap=gap, gap_verdict=gap_verdict)) is seen


def test_the_headline_says_the_worst_first(results: tuple[CellResult, ...], fossil: CellResult) -> None:
    assert headline(results) == "3 of 8 cells did not end as expected"
    assert headline([fossil, results[1]]) == "All cells that ran ended as expected; 1 did not run"
    assert headline([results[1]]) == "No cell was run"
    assert headline([]) == "No cell was run"
    assert headline([fossil, results[6]]) == "Nothing unexpected in 2 cells; known gaps: 1"
    assert headline([fossil, fossil]) == "All 2 cells ended as expected"


def test_cells_are_grouped_by_the_folder_of_their_file(results: tuple[CellResult, ...]) -> None:
    assert [(name, len(group)) for name, group in by_area(results)] == [("faults", 2), ("governor", 4), ("ppo", 2)]


def test_several_expected_verdicts_are_read_as_a_choice(results: tuple[CellResult, ...]) -> None:
    assert expected(results[4]) == "recovered or fail stop"


def test_a_gap_that_has_closed_or_changed_says_so(fossil: CellResult) -> None:
    gap = replace(fossil, known_gap="slow", gap_verdict=Verdict.LATE, passed=False)
    assert known_gap(replace(gap, passed=True)) == "slow (closed: remove the note)"
    assert known_gap(replace(gap, verdict=Verdict.MISSED)) == "slow (changed: it was late)"
    assert known_gap(replace(gap, verdict=Verdict.LATE)) == "slow"
    assert known_gap(fossil) == ""


def test_an_unknown_finding_stands_against_a_cell_only_where_it_is_not_as_expected(results: tuple[CellResult, ...]) -> None:
    assert [named(finding) for finding in blamed(results[2])] == ["state_restored", "twin", "optimizer_reset (unknown)"]
    assert blamed(replace(results[2], passed=True, findings=results[2].findings[4:])) == ()


def test_the_contrast_says_what_is_wrong_with_a_verdict(results: tuple[CellResult, ...], fossil: CellResult) -> None:
    assert contrast(results[4]) == "missed, expected recovered or fail stop"
    assert contrast(replace(fossil, known_gap="slow")) == "recovered: a known gap has closed"
    doubtful = replace(fossil, passed=False, findings=results[2].findings[4:])
    assert contrast(doubtful) == "recovered as expected, but without the findings for it: optimizer_reset (unknown)"


def test_the_command_survives_a_shell(results: tuple[CellResult, ...]) -> None:
    assert reproduce(results[7]) == """firedrill run 'scenarios/ppo/it'"'"'s here.yaml' -k 'escape[cpu,<b>]'"""
