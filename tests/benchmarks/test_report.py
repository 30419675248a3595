"""What a report of 500 cells costs, all four kinds of it, against merely reading its file as JSON."""

import json
import math
from pathlib import Path

import pytest

from firedrill.oracles.oracle import Answer, Finding
from firedrill.report import annotations, html, junit, markdown
from firedrill.runner.result import CellResult, read_json, write_json
from firedrill.runner.timeline import Curve, Mark, Timeline
from firedrill.runner.verdict import Verdict

CELLS, ENVS, STEPS = 500, 3, 40
SECONDS_MAX = 5.0


def cell(number: int) -> CellResult:
    """A cell of three environments and forty steps; every tenth one is red."""
    steps = tuple(range(STEPS))
    curves = tuple(Curve(env, steps, tuple(0.1 + 0.6 * math.exp(-step / 9) for step in steps)) for env in range(ENVS))
    snapshots = [Mark(step, env, "snapshot", f"{step // 5}, cadence") for step in range(0, STEPS, 5) for env in range(ENVS)]
    struck = [Mark(23, 1, "fault", "tensor.set w"), Mark(23, 1, "collapsed", "non_finite"), Mark(23, 1, "rolled_back", "of step 20")]
    red = number % 10 == 0
    findings = tuple(
        Finding(f"oracle_{i}", Answer.FAIL if red and i == 3 else Answer.PASS, "env 1, step 23", "as it was") for i in range(10)
    )
    return CellResult(
        id=f"area/scenario-{number}[cpu,seed=11]",
        scenario=f"area/scenario-{number}",
        file=f"scenarios/area/scenario-{number}.yaml",
        because="A single NaN in a weight is undone to the last bit.",
        tags=("governor", "smoke"),
        device="cpu",
        seed=11,
        verdict=Verdict.WRONG_RECOVERY if red else Verdict.RECOVERED,
        expected=(Verdict.RECOVERED,),
        passed=not red,
        reason="rolled back once",
        findings=findings,
        seconds=1.5,
        rollbacks=1,
        penalties=1,
        timeline=Timeline(curves, (*snapshots, *struck)),
        token="fd1." + "x" * 900,
    )


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    write_json(tmp_path / "run.json", [cell(number) for number in range(CELLS)])
    return tmp_path / "run.json"


def reported(path: Path) -> None:
    run = read_json(path)
    html.write(path.with_suffix(".html"), run.cells, {})
    path.with_suffix(".md").write_text(markdown.render(run, None), encoding="utf-8")
    path.with_suffix(".xml").write_text(junit.render(run.cells, run.created), encoding="utf-8")
    annotations.annotations(run.cells)


def test_a_report_of_500_cells(contest, kept: Path) -> None:
    contest.alternate({"report": lambda: reported(kept), "read as JSON": lambda: json.loads(kept.read_text())}, rounds=5)
    contest.compare("report", "read as JSON")
    assert contest.median_of("report") < SECONDS_MAX
