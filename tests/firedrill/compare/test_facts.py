import math

from firedrill.compare.facts import facts_of
from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.result import CellResult, Run
from firedrill.runner.timeline import Curve, Mark, Timeline
from firedrill.runner.verdict import Verdict

CURVES = (Curve(0, (0, 1), (1.0, 0.5)), Curve(1, (0, 1), (1.0, 2.0)))


def result(timeline: Timeline) -> CellResult:
    findings = (Finding("twin", Answer.FAIL, "env 1", "diverges"), Finding("told", Answer.PASS, "", "once"))
    verdicts = (Verdict.MISSED, (Verdict.RECOVERED,), False)
    return CellResult(
        "a[cpu]", "a", "a.yaml", "why", (), "cpu", 1, *verdicts, "", findings, 1.0, 2, 2, timeline=timeline, history_digest="ab"
    )


def test_facts_are_everything_of_a_cell_that_is_no_time() -> None:
    timeline = Timeline(CURVES, (Mark(3, 1, "penalty", "-10"), Mark(5, 1, "penalty", "-2.5"), Mark(5, 1, "fault", "x")))
    facts = facts_of(Run("now", "here", {"torch": "2"}, (result(timeline),), machine_class="class", commit="abc"))
    cell = facts.cells["a[cpu]"]
    assert (facts.machine_class, facts.commit) == ("class", "abc")
    assert (cell.verdict, cell.failed, cell.answers, cell.details) == (
        "missed",
        True,
        {"twin": "fail", "told": "pass"},
        {"twin": "env 1: diverges"},
    )
    assert (cell.rollbacks, cell.penalty, cell.digest) == (2, -12.5, "ab")
    assert cell.log_loss is not None
    assert math.isclose(cell.log_loss, 0.0, abs_tol=1e-12)


def test_a_last_loss_that_is_not_finite_is_no_loss() -> None:
    timeline = Timeline((CURVES[0], Curve(1, (0, 1), (1.0, None))))
    assert facts_of(Run("now", "here", {}, (result(timeline),))).cells["a[cpu]"].log_loss is None
