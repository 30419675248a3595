"""Loops of both frameworks under the drill, with what each of them has against trouble."""

from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.runner.assess import result_of
from firedrill.runner.cell import record
from firedrill.runner.folder import told_ending
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from firedrill.scenario.subject import MECHANISMS

LOOPS = Path(__file__).parents[2] / "scenarios" / "loops"
FRAMEWORKS = ("lightning", "transformers")


def cell_of(name: str, kind: str, mechanism: str) -> Cell:
    cell = cells(load(LOOPS / f"{name}.yaml"))[0]
    subject = replace(cell.scenario.subject, kind=kind, mechanism=mechanism)  # type: ignore[arg-type]
    return replace(cell, scenario=replace(cell.scenario, subject=subject))


def judged(cell: Cell, folder: Path) -> CellResult:
    record(cell, folder)
    return result_of(cell, folder, told_ending(folder), 0.0)


@pytest.mark.parametrize("kind", FRAMEWORKS)
@pytest.mark.parametrize("name", ["loop-nan-weight", "loop-inf-loss", "loop-nan-input", "loop-gradient-explodes", "loop-exponent-bit"])
def test_a_guarded_framework_keeps_every_promise_of_a_plain_loop(name: str, kind: str, tmp_path: Path) -> None:
    result = judged(cell_of(name, kind, "tolaria"), tmp_path)
    assert (result.verdict, result.passed) == (Verdict.RECOVERED, True), result.reason


# What a NaN in a weight comes to: none of these mechanisms was made for it, except those that stop.
EXPECTED = {
    "lightning": {
        "none": Verdict.SILENT_CORRUPTION,
        "gradient_clip_val": Verdict.SILENT_CORRUPTION,
        "early_stopping": Verdict.FAIL_STOP,
        "detect_anomaly": Verdict.CRASHED,
    },
    "transformers": {
        "none": Verdict.SILENT_CORRUPTION,
        "nan_filter": Verdict.SILENT_CORRUPTION,
        "max_grad_norm": Verdict.SILENT_CORRUPTION,
    },
}


@pytest.mark.parametrize(("kind", "mechanism"), [(kind, name) for kind, names in EXPECTED.items() for name in names])
def test_every_mechanism_of_a_framework_can_be_drilled(kind: str, mechanism: str, tmp_path: Path) -> None:
    cell = cell_of("loop-nan-weight", kind, mechanism)
    result = judged(replace(cell, scenario=replace(cell.scenario, oracles=cell.scenario.oracles[:1])), tmp_path)
    assert result.verdict is EXPECTED[kind][mechanism], result.reason


def test_no_mechanism_is_forgotten() -> None:
    assert {kind: {"tolaria", *names} for kind, names in EXPECTED.items()} == {kind: {*MECHANISMS[kind]} for kind in FRAMEWORKS}


def test_all_loops_see_the_same_batches_and_come_to_the_same_weights(tmp_path: Path) -> None:
    """To the last bit: the frameworks add nothing to a step, and the harness takes nothing away."""
    ends = set()
    for kind in ("plain_loop", *FRAMEWORKS):
        folder = tmp_path / kind
        folder.mkdir()
        curve = judged(cell_of("loop-harmless-bit", kind, "none"), folder).timeline.curves[0]
        ends.add(curve.val_losses)
    assert len(ends) == 1
