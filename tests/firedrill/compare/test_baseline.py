import json
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.compare.baseline import Acceptance, baseline_path, read_baseline, write_baseline
from firedrill.compare.facts import CellFacts, Facts
from firedrill.runner.result import ForeignResults

WHY = Acceptance("The rung is told, so bytes differ", "2026-01-02", "4be1c99", "1 inconclusive")


def test_a_baseline_is_read_back_with_its_reasons(tmp_path: Path, base: Facts, cell: CellFacts) -> None:
    facts = replace(base, cells={**base.cells, "b": replace(cell, log_loss=None)})
    path = baseline_path(tmp_path, base.machine_class)
    write_baseline(path, facts, (WHY,))
    kept = read_baseline(path)
    assert (kept.facts, kept.accepted) == (facts, (WHY,))
    assert path == tmp_path / "linux-x86_64-2-cores" / "baseline.json"
    assert len([line for line in path.read_text().splitlines() if '"verdict"' in line]) == 2


def test_what_an_oracle_said_is_not_kept(tmp_path: Path, base: Facts, cell: CellFacts) -> None:
    write_baseline(tmp_path / "baseline.json", replace(base, cells={"a": replace(cell, details={"twin": "x"})}), ())
    assert read_baseline(tmp_path / "baseline.json").facts.cells["a"] == cell


@pytest.mark.parametrize("text", ["torn{", "[]", '{"schema": "firedrill.baseline/1.9"}', '{"schema": "firedrill.baseline/1.0"}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "baseline.json").write_text(text)
    with pytest.raises(ForeignResults, match=r"baseline\.json: "):
        read_baseline(tmp_path / "baseline.json")


def test_an_empty_baseline_is_json_too(tmp_path: Path, base: Facts) -> None:
    write_baseline(tmp_path / "baseline.json", replace(base, cells={}), ())
    assert json.loads((tmp_path / "baseline.json").read_text())["cells"] == {}
