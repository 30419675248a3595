import json
from dataclasses import replace

from firedrill.campaign.coverage import Coverage, Covered, State
from firedrill.campaign.plants import Plant, Strength
from firedrill.report.campaigns import page, summary_of
from firedrill.runner.exposure import Topology
from firedrill.runner.result import CellResult


def covered(strength: Strength, state: State) -> Covered:
    return Covered(Plant("loss.set", "loss_ready", "cpu", Topology.BARE, strength), state, "it never struck there")


COVERAGE = Coverage(
    (covered(Strength.STRONG, State.PASS), covered(Strength.WEAK, State.NOT_RUN)),
    {"suspicion": "nan/x[cpu,seed=1]", "snapshot withdrawn": "", "penalty owed": ""},
)


def test_each_campaign_has_a_row_and_what_is_red_is_named(results: tuple[CellResult, ...]) -> None:
    drawn = replace(results[0], tags=("generated", "fuzz"), scenario="fuzz/case-1-1")
    lines = page([*results, drawn], COVERAGE).splitlines()
    assert "| fuzz | 1 | 1 | 0 | 0 | 0 | 1 recovered |" in lines
    assert next(line for line in lines if line.startswith("| scenarios |")).startswith("| scenarios | 7 | 3 | 1 | 3 | 1 |")
    assert "Not as expected: 3 cells." in lines
    assert sum(line.startswith("* `") for line in lines) == 3


def test_what_was_not_exercised_and_not_taken_is_named(results: tuple[CellResult, ...]) -> None:
    lines = page(results, COVERAGE).splitlines()
    assert "* not run: `loss-set-loss-ready-bare-weak`" in lines
    assert "applicable on the CPU were exercised, 50.0 %, and 95 % are asked for." in lines
    assert "1 of 2 branches of the governor that are applicable were taken." in lines
    assert "* not taken: penalty owed. Nothing excuses it." in lines
    assert [line.split(". ")[0] for line in lines if "n/a on the CPU" in line] == ["* n/a on the CPU: snapshot withdrawn"]


def test_the_summary_has_the_same_numbers_and_is_json(results: tuple[CellResult, ...]) -> None:
    summary = json.loads(json.dumps(summary_of(results, COVERAGE)))
    assert summary["exercised"] == {"cells": 1, "applicable": 2, "min": 0.95}
    assert summary["not_run"] == ["loss-set-loss-ready-bare-weak"]
    assert (len(summary["unexpected"]), summary["marks"], summary["holds"]) == (3, {"hit": 1, "of": 2, "not_applicable": 1}, False)
    assert summary["sources"][0]["name"] == "scenarios"
