import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill import cli, compare_cli
from firedrill.bench import paired, record
from firedrill.bench.paired import Timed
from firedrill.bench.record import Case
from firedrill.compare import between
from firedrill.oracles.oracle import Answer, Finding
from firedrill.report.beside import read_beside
from firedrill.runner import result as results
from firedrill.runner.result import CellResult, write_json
from firedrill.runner.verdict import Verdict

GREEN = CellResult(
    id="mine[cpu,seed=11]",
    scenario="mine",
    file="mine.yaml",
    because="A NaN must not last.",
    tags=(),
    device="cpu",
    seed=11,
    verdict=Verdict.RECOVERED,
    expected=(Verdict.RECOVERED,),
    passed=True,
    reason="rolled back once",
    findings=(Finding("twin", Answer.PASS, "", "equal"),),
    seconds=1.5,
    rollbacks=1,
    penalties=1,
)
MISSED = replace(GREEN, verdict=Verdict.MISSED, passed=False)
Captured = pytest.CaptureFixture[str]
REASON = "The scenario shows less than it seemed to"


def command(*arguments: str) -> int:
    """Run a command and give its exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a green run and a red one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "machine_class", lambda: "box")
    write_json(tmp_path / "green.json", [GREEN])
    write_json(tmp_path / "red.json", [MISSED])
    return tmp_path


def test_a_regression_is_told_and_is_the_exit_code(here: Path, capsys: Captured) -> None:
    assert command("compare", "green.json", "green.json") == 0
    assert command("compare", "red.json", "green.json") == 0
    assert command("compare", "green.json", "red.json") == 1
    assert capsys.readouterr().out.rstrip().endswith("1 regression, 1 not-comparable, 3 unchanged")


def test_a_comparison_goes_into_the_comment(here: Path) -> None:
    command("compare", "green.json", "red.json", "--json", "changes.json")
    command("report", "red.json", "changes.json", "--md", "report.md")
    assert "| **regression** | `mine[cpu,seed=11]` | verdict | recovered | missed, not as expected |" in (here / "report.md").read_text()


def test_runs_of_two_machines_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(results, "machine_class", lambda: "other")
    write_json(here / "other.json", [GREEN])
    assert command("compare", "green.json", "other.json") == 2
    assert "different classes of machine, box and other" in capsys.readouterr().err


def test_what_was_accepted_is_what_is_compared_with(here: Path, capsys: Captured) -> None:
    (here / "baselines").mkdir()
    assert command("compare", "baselines", "green.json") == 4
    assert command("accept", "green.json", "--reason", "The first of its kind", "--baselines", "baselines") == 0
    assert command("compare", "baselines", "red.json") == 1
    assert command("accept", "red.json", "--reason", REASON, "--baselines", "baselines") == 0
    assert command("compare", "baselines", "red.json") == 0
    accepted = json.loads((here / "baselines" / "box" / "baseline.json").read_text())["accepted"]
    assert [(one["reason"], one["changes"]) for one in accepted] == [
        (REASON, "1 regression, 1 not-comparable, 3 unchanged"),
        ("The first of its kind", "the first baseline"),
    ]
    assert command("compare", "baselines/box/baseline.json", "red.json") == 0


def test_a_baseline_needs_a_reason_and_a_run_that_says_something(here: Path) -> None:
    assert command("accept", "green.json", "--reason", "because", "--baselines", "b") == 2
    assert command("accept", "nothing.json", "--reason", REASON, "--baselines", "b") == 2
    write_json(here / "broken.json", [replace(GREEN, verdict=Verdict.HARNESS_ERROR, passed=False)])
    assert command("accept", "broken.json", "--reason", REASON, "--baselines", "b") == 3
    write_json(here / "idle.json", [replace(GREEN, verdict=Verdict.NOT_RUN, passed=False)])
    assert command("accept", "idle.json", "--reason", REASON, "--baselines", "b") == 4
    assert not (here / "b").exists()


def test_two_benchmarks_are_compared_and_a_benchmark_with_a_run_is_not(here: Path, capsys: Captured) -> None:
    case = Case("take", 100_000, 30, "hot", 1.5, {}, 2.0, 3.0, 3.0, 8.0, 3.0, 3, False, (3.0,) * 9)
    record.write_json(here / "bench.json", record.Record({}, {}, (case,)))
    assert command("compare", "bench.json", "bench.json") == 0
    assert capsys.readouterr().out.endswith("1 unchanged\n")
    assert command("compare", "bench.json", "green.json") == 2
    assert "bench.json: the schema is 'firedrill.bench/1.2'" in capsys.readouterr().err


def test_what_is_neither_file_nor_revision_is_bad_input(here: Path, capsys: Captured) -> None:
    assert command("compare", "no-such-thing", "nor-this") == 2
    assert "no-such-thing, nor-this: neither files nor revisions" in capsys.readouterr().err


@pytest.mark.parametrize(("again", "code"), [(1.3, 1), (1.0, 0)])
def test_two_folders_are_timed_and_a_regression_is_confirmed(here: Path, monkeypatch: pytest.MonkeyPatch, again: float, code: int) -> None:
    asked: list[str] = []

    def interleaved(base: Path, head: Path, case: str, pairs: int, *_: object) -> list[Timed]:
        asked.append(case)
        slower = 1.3 if len(asked) == 2 else again
        return [Timed(f"rollback, {case}", ((1.0,),) * pairs, ((slower if case == "1M" else 1.0,),) * pairs)]

    monkeypatch.setattr(between, "sides", lambda *roots: nullcontext(roots[:2]))
    monkeypatch.setattr(between, "interleaved", interleaved)
    assert compare_cli.timed_between(here, here, {"rollback": ["0.1M", "1M"]}, here / "changes.json") == code
    assert asked == ["0.1M", "1M", "1M"]
    assert [one.change for one in read_beside([here / "changes.json"]).changes or ()] == [
        "unchanged",
        "regression" if code else "inconclusive",
    ]


def test_code_that_cannot_be_timed_is_not_comparable(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def sides(*_: Path) -> None:
        raise paired.SideFailed("ImportError: no arena yet")

    monkeypatch.setattr(between, "sides", sides)
    assert compare_cli.timed_between(here, here, {"snapshot": ["1M"]}, None) == 4
    assert "arena" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("nothing.json", "green.json"), ("green.json", "nothing.json"), ("green.json", "torn.json")])
def test_files_that_are_none_of_ours_are_bad_input(here: Path, arguments: tuple[str, str]) -> None:
    (here / "torn.json").write_text("torn{")
    assert command("compare", *arguments) == 2
