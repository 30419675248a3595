"""Every verdict is the end of some cell that was really run; most of them are those of broken governors, in test_power.py."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from power.proofs import PROOFS

from firedrill.campaign.compare import ASKED
from firedrill.runner.observe import Observer
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load

CellOf = Callable[[str], Cell]
Judged = Callable[[Cell], CellResult]

SCENARIOS = Path(__file__).parents[2] / "scenarios"

HERE = {Verdict.MASKED, Verdict.AVERTED, Verdict.NOT_INJECTED, Verdict.HARNESS_ERROR, Verdict.NOT_RUN}
# By processes that are killed and that hang.
IN_TEST_RUNNER = {Verdict.CRASHED, Verdict.HUNG}


def test_every_verdict_is_reached() -> None:
    assert HERE | IN_TEST_RUNNER | {proof.verdict for proof in PROOFS.values()} == set(Verdict)


def test_what_nobody_noticed_is_masked_by_a_run_without_a_governor(cell_of: CellOf, judged: Judged) -> None:
    result = judged(cell_of("one-weight-a-little-larger"))
    assert (result.verdict, result.passed) == (Verdict.MASKED, True)
    assert result.reason.startswith("harmless: final losses without a governor, and of the control run: env 1 ")


def test_what_harms_an_unguarded_loop_only_is_averted(judged: Judged) -> None:
    """A loop that skips steps whose gradient is not finite has nothing to undo."""
    scenario = load(SCENARIOS / "loops" / "loop-nan-gradient.yaml")
    skipping = replace(scenario, subject=replace(scenario.subject, mechanism="skip_non_finite"), oracles=ASKED)
    result = judged(cells(skipping)[0])
    assert (result.verdict, result.rollbacks) == (Verdict.AVERTED, 0)


def test_a_fault_that_never_strikes_is_not_green_unless_that_is_expected(cell_of: CellOf, judged: Judged) -> None:
    result = judged(cell_of("waits-in-vain"))
    assert (result.verdict, result.reason) == (Verdict.NOT_INJECTED, "fault 1 (tensor.set) never struck")
    # Not all was witnessed, and so even who expects it has no proof of anything.
    assert not result.passed


def test_a_harness_that_fails_is_never_green(cell_of: CellOf, judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError("broken")

    monkeypatch.setattr(Observer, "see", broken)
    result = judged(cell_of("nan-weight"))
    assert (result.verdict, result.passed, result.reason) == (Verdict.HARNESS_ERROR, False, "LookupError: broken")


def test_a_cell_without_its_device_is_not_run_and_never_green(cell_of: CellOf, judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = judged(replace(cell_of("nan-weight"), device="cuda"))
    assert (result.verdict, result.passed, result.counts_as_failed) == (Verdict.NOT_RUN, False, False)
