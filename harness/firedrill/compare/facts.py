"""What of a run is compared with another one: everything of a cell that is no time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from firedrill.runner.result import CellResult, Run
from firedrill.runner.timeline import Timeline
from firedrill.runner.verdict import Verdict
from firedrill.scenario.scenario import GENERATED


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One cell. `answers` by oracle, `details` of what did not pass; `log_loss` is of the last losses, None where one is not finite."""

    scenario: str
    device: str
    generated: bool
    verdict: str
    failed: bool
    answers: Mapping[str, str]
    rollbacks: int
    penalty: float
    digest: str
    log_loss: float | None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """The cells of a run by their ids, and where it was."""

    machine_class: str
    commit: str
    versions: Mapping[str, str]
    cells: Mapping[str, CellFacts] = field(default_factory=dict)


def facts_of(run: Run) -> Facts:
    """The facts of a run."""
    return Facts(run.machine_class, run.commit, run.versions, {result.id: _cell(result) for result in run.cells})


def _cell(result: CellResult) -> CellFacts:
    return CellFacts(
        scenario=result.scenario,
        device=result.device,
        generated=GENERATED in result.tags,
        verdict=result.verdict.value,
        failed=result.counts_as_failed or result.verdict is Verdict.HARNESS_ERROR,
        answers={finding.oracle: finding.answer.value for finding in result.findings},
        rollbacks=result.rollbacks,
        penalty=_penalty(result.timeline),
        digest=result.history_digest,
        log_loss=_log_loss(result.timeline),
        details={
            finding.oracle: f"{finding.place}: {finding.detail}".strip(": ") for finding in result.findings if finding.answer != "pass"
        },
    )


def _penalty(timeline: Timeline) -> float:
    """All that was delivered."""
    return sum(float(mark.label) for mark in timeline.marks if mark.kind == "penalty")


def _log_loss(timeline: Timeline) -> float | None:
    """The mean logarithm of the last loss of every environment: differences of it are ratios, whatever the task's scale."""
    last = [curve.val_losses[-1] for curve in timeline.curves if curve.val_losses]
    finite = [loss for loss in last if loss is not None and loss > 0]
    return sum(map(math.log, finite)) / len(finite) if finite and len(finite) == len(last) else None
