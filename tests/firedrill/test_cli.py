import functools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill import cli
from firedrill.conduct import Conduct
from firedrill.runner.result import CellResult, read_json, write_json
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell

ROOT = Path(__file__).parents[2]
PROGRAM = """
import runpy, sys
try:
    runpy.run_module("firedrill.cli", run_name="__main__", alter_sys=True)
finally:
    assert "torch" not in sys.modules
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> int:
    """Run a command and give its exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_init_writes_a_scenario_that_is_valid(here: Path) -> None:
    assert command("init", "nan-in-the-head") == 0
    assert command("validate", "scenarios") == 0


def test_init_never_overwrites(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("init", "mine")
    path = here / "scenarios" / "mine.yaml"
    path.write_text("precious")
    assert command("init", "mine") == 2
    assert path.read_text() == "precious"
    assert "left as it is" in capsys.readouterr().err


def test_init_refuses_a_name_that_is_no_name(here: Path) -> None:
    assert command("init", "No Name") == 2
    assert list((here / "scenarios").iterdir()) == []


def test_validate_renders_every_problem(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("init", "mine")
    path = here / "scenarios" / "mine.yaml"
    path.write_text(path.read_text().replace("tensor.set", "tensor.sett").replace("tags:", "tagz:"))
    assert command("validate", "scenarios") == 2
    told = capsys.readouterr().err
    assert "scenarios/mine.yaml:5:1: FD010" in told
    assert "did you mean tensor.set?" in told
    assert told.rstrip().endswith("2 problems")


def test_list_shows_cells_with_their_tags(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("init", "mine")
    capsys.readouterr()
    assert command("list") == 0
    assert capsys.readouterr().out == "mine[cpu,seed=11]  governor, smoke\n"


def test_explain_speaks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("init", "mine")
    assert command("explain", "scenarios/mine.yaml") == 0
    assert "Imitates an overflow" in capsys.readouterr().out


def test_schema_goes_to_a_file(here: Path) -> None:
    assert command("schema", "--out", "made/schema.json") == 0
    assert json.loads((here / "made" / "schema.json").read_text())["title"] == "firedrill scenario"


def test_a_scenario_that_is_wrong_is_not_run(here: Path) -> None:
    (here / "wrong.yaml").write_text("name: wrong\n")
    assert command("run", "wrong.yaml") == 2


@pytest.mark.parametrize("selection", [("-k", "zebra"), ("--device", "cuda")])
def test_nothing_ran_is_its_own_exit_code(here: Path, selection: tuple[str, str]) -> None:
    command("init", "mine")
    assert command("run", "scenarios", *selection) == 4


@pytest.mark.parametrize("wrong", [("-k", "and"), ("--jobs", "0")])
def test_a_selection_that_cannot_be_read_is_bad_input(here: Path, wrong: tuple[str, str]) -> None:
    command("init", "mine")
    assert command("run", "scenarios", *wrong) == 2


def test_run_hands_the_chosen_cells_over(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[str] = []

    def kept(chosen: list[Cell], conduct: Conduct, keep: Path | None, html: Path | None) -> int:
        handed.extend(cell.id for cell in chosen)
        assert (conduct, keep, html) == (Conduct(jobs=2, json=Path("a.json")), Path("kept"), None)
        return 1

    monkeypatch.setattr(cli, "_run", kept)
    command("init", "one")
    command("init", "two")
    assert command("run", "scenarios", "-k", "two and smoke", "--jobs", "2", "--json", "a.json", "--keep", "kept") == 1
    assert handed == ["two[cpu,seed=11]"]


@pytest.fixture
def kept(here: Path) -> CellResult:
    """One green cell, written down as a run."""
    result = CellResult(
        id="mine[cpu,seed=11]",
        scenario="mine",
        file="scenarios/mine.yaml",
        because="A NaN must not last.",
        tags=("governor",),
        device="cpu",
        seed=11,
        verdict=Verdict.RECOVERED,
        expected=(Verdict.RECOVERED,),
        passed=True,
        reason="",
        findings=(),
        seconds=1.5,
        rollbacks=1,
        penalties=1,
        versions=(("torch", "2.13.0"),),
    )
    write_json(here / "run.json", [result])
    return result


def test_report_shows_a_run_that_was_kept(kept: CellResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "run.json") == 0
    told = capsys.readouterr().out
    assert "recovered" in told
    assert told.endswith("1 cell: 1 as expected\n")


def test_report_writes_the_page_with_the_machine_that_ran(kept: CellResult, here: Path) -> None:
    command("report", "run.json", "--html", "made/page.html")
    page = (here / "made" / "page.html").read_text()
    assert "A NaN must not last." in page
    assert read_json(here / "run.json").machine in page
    assert "2.13.0" in page


@pytest.mark.parametrize(("verdict", "passed", "code"), [("missed", False, 1), ("harness_error", False, 3), ("not_run", False, 4)])
def test_report_leaves_with_the_exit_code_of_the_run(kept: CellResult, here: Path, verdict: str, passed: bool, code: int) -> None:
    write_json(here / "run.json", [replace(kept, verdict=Verdict(verdict), passed=passed)])
    assert command("report", "run.json") == code


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "not JSON"),
        (b"torn {", "not JSON"),
        (b'{"cells": []}', "it names no schema"),
        (b'{"schema": "firedrill.run/1", "cells": [{"id": "mine"}]}', "damaged"),
    ],
)
def test_report_refuses_a_file_that_is_no_run(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, complaint: str
) -> None:
    if content is not None:
        (here / "run.json").write_bytes(content)
    assert command("report", "run.json", "--html", "page.html") == 2
    told = capsys.readouterr().err
    assert told.startswith("run.json: ")
    assert complaint in told
    assert not (here / "page.html").exists()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_teaches_by_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(name, "--help") == 0
    assert f"Example: firedrill {name}" in capsys.readouterr().out


def parsed(command: Callable[..., int]) -> Callable[..., int]:
    """Takes what the command takes, and does nothing."""

    @functools.wraps(command)
    def idle(*_: object, **__: object) -> int:
        return 0

    return idle


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_example_in_a_help_is_a_command_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"^ *Example: (.+)$", cli.COMMANDS[name].__doc__ or "", re.MULTILINE)
    monkeypatch.setattr(cli, "COMMANDS", {known: parsed(one) for known, one in cli.COMMANDS.items()})
    assert examples
    for example in examples:
        program, *arguments = shlex.split(example)
        assert (program, command(*arguments)) == ("firedrill", 0)


@pytest.mark.parametrize("arguments", [("init", "mine"), ("report", "run.json", "--html", "a", "--md", "b", "--junit", "c", "--github")])
def test_the_module_runs_as_a_program_without_torch(kept: CellResult, arguments: tuple[str, ...]) -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")])}
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
