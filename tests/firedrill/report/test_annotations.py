from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.report.annotations import annotations
from firedrill.runner.result import CellResult

TEXT = """\
version: 1
name: bn-buffers-poisoned
because: Running statistics are part of the state.
expect:
  - core
  - twin: {steps: 5}
known_gap: nobody knows how
"""


@pytest.fixture
def red(results: tuple[CellResult, ...], tmp_path: Path) -> CellResult:
    """A cell of a file that exists; state_restored and twin failed in it, optimizer_reset does not know."""
    (tmp_path / "bn.yaml").write_text(TEXT)
    return replace(results[2], file=str(tmp_path / "bn.yaml"))


def head(file: str, line: int) -> str:
    return f"::error file={file.replace(':', '%3A')},line={line},title="


def test_each_failed_claim_is_shown_at_its_line(red: CellResult) -> None:
    told = annotations([red])
    assert [line.partition("title=")[0] + "title=" for line in told] == [head(red.file, line) for line in (4, 5, 6)]
    verdict, core, twin = told
    assert "title=wrong recovery%2C expected recovered::bn-buffers-poisoned[cpu,11]: state_restored: " in verdict
    assert "title=state_restored%3A fail%2C optimizer_reset%3A unknown::" in core
    assert twin.endswith("env 1, step 26: diverges from the twin in part buffers")


def test_cells_of_one_scenario_share_an_annotation(red: CellResult) -> None:
    told = annotations([red, replace(red, id="bn-buffers-poisoned[cpu,12]")])
    assert len(told) == 3
    assert all("[cpu,11]" in line and "%0Abn-buffers-poisoned[cpu,12]" in line for line in told if "line=5" not in line)


def test_a_closed_gap_is_shown_at_its_note(red: CellResult) -> None:
    (told,) = annotations([replace(red, known_gap="nobody knows how", passed=True)])
    assert told == f"{head(red.file, 7)}a known gap has closed::bn-buffers-poisoned[cpu,11]: remove the note"


def test_what_no_file_holds_has_no_line(red: CellResult) -> None:
    (told,) = annotations([replace(red, tags=("generated",))])
    assert told.startswith("::error title=a generated case is not as expected::")


def test_nothing_is_said_of_what_is_as_expected(results: tuple[CellResult, ...]) -> None:
    assert annotations([results[0], results[1], results[6]]) == []


def test_text_from_outside_cannot_begin_a_command_of_its_own(red: CellResult) -> None:
    (told, *_) = annotations([replace(red, reason="100 %\n::add-mask::x\r")])
    assert "\n" not in told
    assert "100 %25%0A::add-mask::x%0D" in told
