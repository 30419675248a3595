"""Findings and a verdict, compared with what the scenario expects."""

from collections.abc import Sequence
from dataclasses import dataclass

from firedrill.oracles.oracle import Answer, Evidence, Finding, Oracle
from firedrill.runner.verdict import Ending, Verdict, verdict

# Where nothing was rolled back, oracles about rollbacks have nothing to judge.
RECOVERY_NOT_EXPECTED = frozenset({Verdict.AVERTED, Verdict.MASKED, Verdict.FAIL_STOP})
# Without these the cell says nothing about the system, whatever it expects.
NEVER_GREEN = frozenset({Verdict.HARNESS_ERROR, Verdict.NOT_RUN})


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a cell shows, why, and whether that is what was expected of it."""

    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]
    passed: bool


def judge(evidence: Evidence, oracles: Sequence[Oracle], expected: frozenset[Verdict], ending: Ending) -> Judgement:
    """Ask every oracle, find the verdict, and compare.

    A cell passes when its verdict is expected, and its findings fit that verdict:

    * RECOVERED: every oracle answers PASS. UNKNOWN is not green.
    * AVERTED, MASKED, FAIL_STOP: no oracle answers FAIL; UNKNOWN is allowed, because there may be no rollback to judge.
    * Every other verdict is a failure of the system, and a scenario that expects one is a positive control: it shows that
      the oracles can see. A failed oracle is then the proof that was asked for. Only `witnessed` must pass, because a
      control whose fault did not strike as declared proves nothing.
    """
    findings = tuple(oracle.judge(evidence) for oracle in oracles)
    shown, reason = verdict(evidence, findings, ending)
    passed = shown in expected - NEVER_GREEN and all(fits(finding, shown) for finding in findings)
    return Judgement(shown, reason, findings, passed)


def fits(finding: Finding, shown: Verdict) -> bool:
    """Whether a finding may stand beside an expected verdict in a green cell."""
    if shown is Verdict.RECOVERED:
        return finding.answer is Answer.PASS
    if shown in RECOVERY_NOT_EXPECTED:
        return finding.answer is not Answer.FAIL
    return finding.oracle != "witnessed" or finding.answer is Answer.PASS
