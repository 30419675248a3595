"""Cells in processes of their own, under a watchdog, and judged by the parent from what they left on disk.

A fork server has loaded torch once; each cell is a fresh fork of it, so that nothing of one cell reaches the next, and a
child that is killed, hangs or crashes costs its own cell only.
"""

import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import xxhash

from firedrill.events import TwinStepped
from firedrill.oracles.oracle import Evidence
from firedrill.runner.cell import CONTROL, COUNTERFACTUAL, ENDING, FAULTED, KINDS, record_apart
from firedrill.runner.exposure import exposures_of
from firedrill.runner.judge import Judgement, judge
from firedrill.runner.marks import marks_of
from firedrill.runner.plan import claim_of
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import timeline_of
from firedrill.runner.verdict import End, Ending, Verdict
from firedrill.scenario.cell import Cell
from firedrill.scenario.token import token_of
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack
from tolaria.telemetry.history import read_so_far
from tolaria.telemetry.run_events import RunStarted

OnResult = Callable[[CellResult], None]

# What every cell needs. The first optimizer of a process loads torch._dynamo, which takes longer than a small cell's runs.
PRELOADED = ("torch._dynamo", "firedrill.runner.cell")


@dataclass(frozen=True, slots=True)
class Child:
    """A cell that is running, where its histories are, and when the watchdog ends it (seconds of the monotonic clock).

    `life` counts its processes: one that died may be resumed by the next.
    """

    number: int
    cell: Cell
    folder: Path
    process: ForkServerProcess
    started: float
    deadline: float
    life: int = 1


def run_cells(cells: Iterable[Cell], jobs: int, on_result: OnResult) -> list[CellResult]:
    """Run every cell, at most `jobs` at once; results in the order of the cells, each also told as soon as it is there.

    A cell is asked for when there is room for it, so that a generator may look at the results so far, or end in time.
    A `KeyboardInterrupt` ends the children and is passed on; what was told stays told.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    results: dict[int, CellResult] = {}
    with tempfile.TemporaryDirectory(prefix="firedrill-") as scratch:
        waiting = enumerate(cells)
        running: list[Child] = []
        try:
            while True:
                for number, cell in islice(waiting, jobs - len(running)):
                    running.append(start(context, number, cell, Path(scratch)))
                if not running:
                    break
                for child, ending in ended(running):
                    running.remove(child)
                    if ending.how is End.DIED and child.life <= child.cell.scenario.budget.resumes:
                        running.append(started_again(context, child))
                        continue
                    result = result_of(child.cell, child.folder, ending, time.monotonic() - child.started)
                    shutil.rmtree(child.folder)
                    results[child.number] = result
                    on_result(result)
        finally:
            for child in running:
                child.process.kill()
                child.process.join()
    return [results[number] for number in sorted(results)]


def start(context: multiprocessing.context.ForkServerContext, number: int, cell: Cell, scratch: Path) -> Child:
    """A child process that records the cell into a folder of its own."""
    folder = scratch / f"cell-{number}"
    folder.mkdir()
    process = context.Process(target=record_apart, args=(cell, folder), daemon=True)
    process.start()
    now = time.monotonic()
    return Child(number, cell, folder, process, now, now + cell.scenario.budget.wall)


def started_again(context: multiprocessing.context.ForkServerContext, child: Child) -> Child:
    """The next life of a cell whose process has died; it goes on from what lies in the folder, in what is left of the time."""
    process = context.Process(target=record_apart, args=(child.cell, child.folder), daemon=True)
    process.start()
    return replace(child, process=process, life=child.life + 1)


def ended(running: Sequence[Child]) -> Iterator[tuple[Child, Ending]]:
    """Wait until at least one child has ended or run out of time, and say how."""
    timeout = min(child.deadline for child in running) - time.monotonic()
    wait([child.process.sentinel for child in running], max(0.0, timeout))
    for child in list(running):
        if child.process.exitcode is None:
            if time.monotonic() < child.deadline:
                continue
            child.process.kill()
            child.process.join()
            yield child, Ending(End.TIMED_OUT, f"no end after {child.cell.scenario.budget.wall:g} s")
        else:
            child.process.join()
            yield child, ending_of(child)


def ending_of(child: Child) -> Ending:
    """How a child that is gone says it ended, or how it died."""
    try:
        return told_ending(child.folder)
    except FileNotFoundError:
        code = child.process.exitcode or 0
        return Ending(End.DIED, f"killed by signal {-code}" if code < 0 else f"exit code {code}")


def told_ending(folder: Path) -> Ending:
    """How the recording of a cell says it ended."""
    told = json.loads((folder / ENDING).read_text(encoding="utf-8"))
    return Ending(End(told["how"]), told["detail"])


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
        known_gap=scenario.known_gap,
        timeline=timeline_of(faulted),
        versions=started.versions if started else (),
        history_digest=digest_of(folder / FAULTED),
        exposures=exposures_of(faulted, scenario.faults),
        marks=marks_of(faulted),
        token=token_of(cell),
    )


def judgement_of(cell: Cell, folder: Path, faulted: tuple[Event, ...], ending: Ending) -> Judgement:
    """The verdict over everything that was recorded."""
    counterfactual = folder / COUNTERFACTUAL
    started = next((event for event in faulted if isinstance(event, RunStarted)), None)
    evidence = Evidence(
        faulted=faulted,
        control=events_of(folder / CONTROL),
        twin=tuple(event for event in faulted if isinstance(event, TwinStepped)),
        counterfactual=events_of(counterfactual) if counterfactual.exists() else None,
        claim=claim_of(cell, started.chance_loss if started else 1.0),
    )
    return judge(evidence, cell.scenario.oracles, expected_of(cell), ending)


def expected_of(cell: Cell) -> frozenset[Verdict]:
    """The verdicts with which the cell is as it should be."""
    return frozenset(Verdict(name) for name in cell.scenario.verdicts)


def events_of(path: Path) -> tuple[Event, ...]:
    """The events that a run wrote before it ended, however it ended."""
    return tuple(read_so_far(path, KINDS)) if path.exists() else ()


def digest_of(path: Path) -> str:
    """xxh3-128 of a history's bytes: equal for equal runs."""
    return xxhash.xxh3_128_hexdigest(path.read_bytes()) if path.exists() else ""
