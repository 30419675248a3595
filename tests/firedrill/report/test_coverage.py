import json
from io import StringIO

from rich.console import Console

from firedrill.campaign.coverage import Coverage, Covered, State
from firedrill.campaign.plants import Plant, Strength
from firedrill.report.coverage import as_json, cells_table, marks_table, summary
from firedrill.runner.exposure import Topology


def covered(topology: Topology, strength: Strength, state: State, why: str, device: str = "cpu") -> Covered:
    return Covered(Plant("loss.set", "loss_ready", device, topology, strength), state, why)


CELLS = (
    *(covered(topology, Strength.STRONG, State.PASS, "nan/x[cpu,seed=1]") for topology in Topology),
    *(covered(topology, Strength.WEAK, State.NOT_RUN, "it never struck there") for topology in Topology),
    covered(Topology.BARE, Strength.WEAK, State.NOT_RUN, "it never struck there", "cuda"),
)
COVERAGE = Coverage(CELLS, {"suspicion": "nan/x[cpu,seed=1]", "snapshot withdrawn": "", "penalty owed": ""})


def printed(table: object) -> str:
    screen = Console(file=StringIO(), width=140)
    screen.print(table)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def test_a_row_shows_every_topology_with_and_without_an_answer() -> None:
    row = next(line for line in printed(cells_table(COVERAGE)).splitlines() if line.startswith("loss.set"))
    assert row.split() == ["loss.set", "loss_ready", *["✓", "–"] * 5]


def test_a_branch_that_nothing_took_is_named_unless_a_reason_excuses_it() -> None:
    rows = printed(marks_table(COVERAGE))
    assert "NEVER TAKEN" in next(line for line in rows.splitlines() if line.startswith("penalty owed"))
    assert "n/a: Flags come late only" in rows


def test_every_gap_is_explained_and_counted() -> None:
    assert summary(COVERAGE, gaps=False) == (
        "   5 not-run: it never struck there\n"
        "cpu 5 of 10 applicable cells exercised, cuda 0 of 1 applicable cells exercised; 1 of 2 applicable branches taken, 1 unexplained"
    )


def test_gaps_are_named_when_asked_for() -> None:
    assert "  loss-set-loss-ready-bare-weak: it never struck there" in summary(COVERAGE, gaps=True).splitlines()


def test_json_holds_every_cell_and_every_mark() -> None:
    document = json.loads(as_json(COVERAGE))
    assert len(document["cells"]) == 11
    assert document["exercised"]["cpu"] == {"cells": 5, "applicable": 10}
    assert document["marks"]["suspicion"] == {"hit": True, "why": "nan/x[cpu,seed=1]"}
    assert document["holds"] is False
