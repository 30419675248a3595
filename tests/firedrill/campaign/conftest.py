"""Results without runs, and the smallest cell that is really rolled back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.executors.local import Local
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text

SMALL = """\
version: 1
name: small
because: A NaN in a host of two is undone, and costs a second.
subject:
  seed: 11
  envs: 2
  steps: 8
  batches_per_step: 1
  governor: {snapshot_every: 2, probation: 1}
  script: [{step: 0, env: 0, op: germinate, slot: s0, blueprint: residual_mlp}]
faults:
  - {at: {step: 5, env: 1}, do: tensor.set, target: {params: "head.*", pick: {index: 0}}, with: {value: nan}}
expect: [core, bystanders_untouched]
"""


def loaded(text: str, name: str) -> Cell:
    """The first cell of a scenario."""
    return cells(load_text(text, Path(f"scenarios/{name}.yaml")))[0]


@pytest.fixture
def small() -> Cell:
    return loaded(SMALL, "small")


@pytest.fixture
def one() -> Iterator[Local]:
    """This machine, one cell at a time."""
    with Local(1) as executor:
        yield executor


@pytest.fixture
def two() -> Iterator[Local]:
    """This machine, two cells at once."""
    with Local(2) as executor:
        yield executor


@pytest.fixture
def result() -> Callable[..., CellResult]:
    """A result with the given fields."""

    def made(verdict: Verdict = Verdict.RECOVERED, failed: tuple[tuple[str, str], ...] = (), **fields: object) -> CellResult:
        given: dict[str, object] = {
            "id": "nan/x[cpu,seed=1]",
            "scenario": "nan/x",
            "file": "scenarios/nan/x.yaml",
            "because": "",
            "tags": (),
            "device": "cpu",
            "seed": 1,
            "verdict": verdict,
            "expected": (Verdict.RECOVERED,),
            "passed": verdict is Verdict.RECOVERED,
            "reason": "",
            "findings": tuple(Finding(oracle, Answer.FAIL, "", "", key) for oracle, key in failed),
            "seconds": 0.0,
            "rollbacks": 1,
            "penalties": 1,
        }
        return CellResult(**given | fields)  # type: ignore[arg-type]

    return made
