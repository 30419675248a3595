import json
from pathlib import Path

import pytest

from firedrill import bench_cli, cli
from firedrill.bench import snapshot
from firedrill.bench.record import Case, Record


def command(*arguments: str) -> int:
    """Run a command and give its exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("wrong", [("--sizes", "2M"), ("--mode", "cold"), ("--sizes", "1M,")])
def test_a_benchmark_of_what_is_not_known_is_bad_input(wrong: tuple[str, str]) -> None:
    assert command("bench", "snapshot", *wrong) == 2


@pytest.mark.parametrize(("ratio", "contended", "code"), [(3.0, False, 0), (3.1, False, 1), (3.0, True, 0), (3.1, True, 4)])
def test_a_missed_gate_is_the_exit_code_of_a_benchmark(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ratio: float, contended: bool, code: int
) -> None:
    peers = {"deepcopy of state_dict": 20.0, "StateDictStager": 20.0}
    case = Case("take", 100_000, 30, "hot", ratio, peers, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5, 7, contended)
    monkeypatch.setattr(snapshot, "measure", lambda *_: Record({}, {}, (case,)))
    assert command("bench", "snapshot", "--sizes", "0.1M", "--mode", "hot", "--json", "bench.json") == code
    assert json.loads((here / "bench.json").read_text())["cases"][0]["ratio_to_limit"] == ratio
    missed = f"{int(code == 1)} missed, {int(code == 4)} undecided"
    assert f"3 gates: {2 + (code == 0)} hold, {missed}" in capsys.readouterr().out


def test_against_itself_and_against_another_state_at_once_is_bad_input(here: Path) -> None:
    assert command("bench", "snapshot", "--aa", "--against", "main") == 2


def test_against_what_is_no_revision_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bench", "snapshot", "--against", "main") == 2
    assert capsys.readouterr().err.startswith("--against main: ")


def test_aa_holds_what_stands_here_against_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[object] = []
    monkeypatch.setattr(bench_cli, "timed_between", lambda *given: handed.extend(given) or 0)
    monkeypatch.chdir(Path(__file__).parent)
    assert command("bench", "snapshot", "--aa", "--sizes", "1M") == 0
    root = Path(__file__).parents[2]
    assert handed == [root, root, ["1M"], None]
