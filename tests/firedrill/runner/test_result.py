import json
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.oracles.oracle import Answer, Evidence, Finding
from firedrill.runner.result import CellResult, ForeignResults, exit_code, read_json, write_json
from firedrill.runner.timeline import timeline_of
from firedrill.runner.verdict import Verdict


@pytest.fixture
def green() -> CellResult:
    return CellResult(
        id="nan-weight-cpu-11",
        scenario="nan-weight",
        file="scenarios/governor/nan-weight.yaml",
        because="A NaN in a weight must not survive its step.",
        tags=("governor", "smoke"),
        device="cpu",
        seed=11,
        verdict=Verdict.RECOVERED,
        expected=(Verdict.RECOVERED,),
        passed=True,
        reason="1 rollbacks, first at env 1 step 5",
        findings=(Finding("told", Answer.PASS, "", "1 rollbacks told in full"),),
        seconds=1.5,
        rollbacks=1,
        penalties=1,
        versions=(("torch", "2.13.0"),),
        history_digest="ab",
    )


def red(result: CellResult) -> CellResult:
    return replace(result, passed=False, verdict=Verdict.MISSED)


def gap(result: CellResult) -> CellResult:
    """The same in a scenario that is known to be missed."""
    return replace(result, known_gap="no detector for this", gap_verdict=Verdict.MISSED)


def unrun(result: CellResult) -> CellResult:
    return replace(result, passed=False, verdict=Verdict.NOT_RUN)


def test_results_are_read_back_as_they_were_written(tmp_path: Path, green: CellResult, healed: Evidence) -> None:
    results = (replace(green, timeline=timeline_of(healed.faulted)), gap(red(green)))
    write_json(tmp_path / "runs" / "run.json", results)
    run = read_json(tmp_path / "runs" / "run.json")
    assert run.cells == results
    assert run.versions["torch"] == "2.13.0"
    assert run.created.endswith("+00:00")


def test_the_file_names_its_schema(tmp_path: Path, green: CellResult) -> None:
    write_json(tmp_path / "run.json", [green])
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["schema"] == "firedrill.run/1.1"
    assert set(document) == {"schema", "created", "machine", "machine_class", "commit", "versions", "complete", "cells"}
    assert document["cells"][0]["verdict"] == "recovered"


def test_a_file_says_whether_it_is_complete_and_one_that_does_not_was(tmp_path: Path, green: CellResult) -> None:
    path = tmp_path / "run.json"
    write_json(path, [green], complete=False)
    assert not read_json(path).complete
    older = json.loads(path.read_text())
    del older["complete"]
    path.write_text(json.dumps(older))
    assert read_json(path).complete


def test_a_number_that_is_not_finite_is_not_written(tmp_path: Path, green: CellResult) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "run.json", [replace(green, seconds=float("nan"))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ['{"schema": "firedrill.bench/1", "cells": []}', "[]", "{}"])
def test_another_schema_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ForeignResults, match=r"run\.json: the schema is .*, expected 'firedrill\.run/1\.1'"):
        read_json(tmp_path / "run.json")


def test_a_run_of_the_minor_version_before_is_read(tmp_path: Path, green: CellResult) -> None:
    write_json(tmp_path / "run.json", [green])
    document = json.loads((tmp_path / "run.json").read_text())
    for added in ("machine_class", "commit"):
        del document[added]
    (tmp_path / "run.json").write_text(json.dumps(document | {"schema": "firedrill.run/1"}))
    run = read_json(tmp_path / "run.json")
    assert (run.cells, run.machine_class, run.commit) == ((green,), "", "")


@pytest.mark.parametrize("version", ["1.2", "2", "2.0"])
def test_a_newer_run_is_refused_with_what_to_do(tmp_path: Path, green: CellResult, version: str) -> None:
    write_json(tmp_path / "run.json", [green])
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace("firedrill.run/1.1", f"firedrill.run/{version}"))
    with pytest.raises(
        ForeignResults, match=r"run\.json: a newer firedrill wrote it.* reads up to 'firedrill\.run/1\.1'.*update firedrill"
    ):
        read_json(tmp_path / "run.json")


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("torn{")
    with pytest.raises(ForeignResults, match="not JSON"):
        read_json(tmp_path / "run.json")


def test_green_cells_end_with_0(green: CellResult) -> None:
    assert exit_code([green, unrun(green)]) == 0


def test_a_red_cell_ends_with_1(green: CellResult) -> None:
    assert exit_code([green, red(green)]) == 1


def test_a_broken_harness_ends_with_3(green: CellResult) -> None:
    assert exit_code([red(green), replace(red(green), verdict=Verdict.HARNESS_ERROR)]) == 3


def test_nothing_that_ran_ends_with_4(green: CellResult) -> None:
    assert exit_code([]) == 4
    assert exit_code([unrun(green)]) == 4


def test_a_known_gap_is_no_failure_while_it_is_red_in_the_same_way(green: CellResult) -> None:
    assert exit_code([gap(red(green))]) == 0


def test_a_known_gap_that_has_closed_is_a_failure(green: CellResult) -> None:
    assert exit_code([gap(green)]) == 1


def test_a_known_gap_that_is_red_in_another_way_is_a_failure(green: CellResult) -> None:
    assert exit_code([replace(gap(red(green)), verdict=Verdict.CRASHED)]) == 1


def test_a_known_gap_that_was_not_run_is_neither(green: CellResult) -> None:
    assert exit_code([green, gap(unrun(green))]) == 0
