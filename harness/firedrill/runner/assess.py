"""A cell, judged by what its recording left in its folder. Needs no torch, and nothing is trained."""

from pathlib import Path

from firedrill.events import TwinStepped
from firedrill.oracles.oracle import Evidence
from firedrill.runner.claim import claim_of
from firedrill.runner.exposure import exposures_of
from firedrill.runner.folder import AGAIN, BARE, COUNTERFACTUAL, FAULTED, control_events_of, digest_of, events_of, events_where_made
from firedrill.runner.judge import Judgement, judge
from firedrill.runner.marks import marks_of
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import timeline_of
from firedrill.runner.verdict import End, Ending, Verdict
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import token_of
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack
from tolaria.telemetry.run_events import RunStarted


def result_of(cell: Cell, folder: Path, ending: Ending, seconds: float) -> CellResult:
    """Judge what the recording of a cell left in its folder."""
    scenario = cell.scenario
    faulted = events_of(folder / FAULTED)
    judgement = judgement_of(cell, folder, faulted, ending)
    started = next((event for event in faulted if isinstance(event, RunStarted)), None)
    return CellResult(
        id=cell.id,
        scenario=scenario.id,
        file=str(scenario.path),
        because=scenario.because,
        tags=scenario.tags,
        device=cell.device,
        seed=cell.seed,
        verdict=judgement.verdict,
        expected=tuple(sorted(expected_of(cell))),
        passed=judgement.passed,
        reason=judgement.reason if ending.how is not End.ENDED or not ending.detail else f"{judgement.reason}; {ending.detail}",
        findings=judgement.findings,
        seconds=round(seconds, 3),
        rollbacks=sum(isinstance(event, RolledBack) for event in faulted),
        penalties=sum(isinstance(event, PenaltyDelivered) for event in faulted),
        known_gap=scenario.known_gap.reason if scenario.known_gap else None,
        gap_verdict=Verdict(scenario.known_gap.verdict) if scenario.known_gap else None,
        timeline=timeline_of(faulted),
        versions=started.versions if started else (),
        history_digest=digest_of(folder / FAULTED),
        exposures=exposures_of(faulted, scenario.faults),
        marks=marks_of(faulted),
        token=token_of(cell),
    )


def judgement_of(cell: Cell, folder: Path, faulted: tuple[Event, ...], ending: Ending) -> Judgement:
    """The verdict over everything that was recorded."""
    started = next((event for event in faulted if isinstance(event, RunStarted)), None)
    evidence = Evidence(
        faulted=faulted,
        control=control_events_of(folder),
        twin=tuple(event for event in faulted if isinstance(event, TwinStepped)),
        counterfactual=events_where_made(folder / COUNTERFACTUAL),
        claim=claim_of(cell, started.chance_loss if started else 1.0),
        again=events_where_made(folder / AGAIN),
        bare=events_where_made(folder / BARE),
    )
    return judge(evidence, cell.scenario.oracles, expected_of(cell), ending)


def expected_of(cell: Cell) -> frozenset[Verdict]:
    """The verdicts with which the cell is as it should be."""
    return frozenset(Verdict(name) for name in cell.scenario.verdicts)
