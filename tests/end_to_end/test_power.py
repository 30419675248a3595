"""Breaking the code turns the harness red: each sabotage of the family is seen, by the oracle and under the verdict that are named.

A sabotage patches real code in this process and a whole cell is recorded with it, control run and all.
"""

from collections.abc import Callable

import pytest
from power.proofs import PROOFS, Proof

from firedrill.oracles import ORACLES
from firedrill.oracles.oracle import Answer
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import Cell


@pytest.mark.parametrize("name", sorted({proof.scenario for proof in PROOFS.values()}))
def test_unbroken_code_is_green(name: str, cell_of: Callable[[str], Cell], judged: Callable[[Cell], CellResult]) -> None:
    result = judged(cell_of(name))
    assert result.passed, result.reason
    assert [result.verdict] == list(result.expected)


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS.keys())
def test_broken_code_is_red(
    proof: Proof, monkeypatch: pytest.MonkeyPatch, cell_of: Callable[[str], Cell], judged: Callable[[Cell], CellResult]
) -> None:
    cell = cell_of(proof.scenario)
    proof.sabotage(monkeypatch)
    result = judged(cell)
    assert result.verdict is proof.verdict, f"{result.verdict}: {result.reason}"
    assert not result.passed
    assert not proof.oracle or proof.oracle in {finding.oracle for finding in result.findings if finding.answer is Answer.FAIL}


def test_every_oracle_is_seen_to_fail() -> None:
    assert set(ORACLES) <= {proof.oracle for proof in PROOFS.values()}
