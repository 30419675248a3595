import json
from pathlib import Path

import pytest
import torch

from firedrill import bench_cli, cli
from firedrill.bench import on_device, rollback, snapshot, training
from firedrill.bench.clock import Place
from firedrill.bench.figures import ARRIVED, KEPT, DeviceRecord, Figure
from firedrill.bench.paired import SUBJECTS
from firedrill.bench.ratios import Measured
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


def test_training_has_no_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("bench", "training", "--sizes", "1M") == 2
    assert capsys.readouterr().err == "--sizes: training has none\n"


def test_a_rollback_has_sizes_of_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    monkeypatch.setattr(rollback, "measure", lambda size, *_: [measured.append(size)][:0])
    assert command("bench", "rollback", "--sizes", "0.1M") == 0
    assert command("bench", "rollback") == 0
    assert measured == ["0.1M", "0.1M", "1M", "10M"]
    assert command("bench", "rollback", "--sizes", "100M") == 2


@pytest.mark.parametrize(("value", "contended", "code"), [(2.0, False, 0), (1.2, False, 1), (1.2, True, 4)])
def test_a_bound_that_is_missed_is_the_exit_code(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: float, contended: bool, code: int
) -> None:
    found = [Measured("one / two", value, value, value, 1.7, at_most=False, clock="wall", contended=contended)]
    monkeypatch.setattr(training, "measure", lambda *_: found)
    assert command("bench", "training", "--json", "training.json") == code
    assert "one / two" in capsys.readouterr().out
    assert json.loads(Path("training.json").read_text())["schema"] == "firedrill.ratios/1.1"


def test_everything_is_measured_one_after_the_other(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "measure", lambda *_: [])
    monkeypatch.setattr(rollback, "measure", lambda *_: [])
    monkeypatch.setattr(snapshot, "measure", lambda *_: Record({}, {}, ()))
    assert command("bench", "all", "--json", "all.json") == 0
    assert sorted(path.name for path in here.iterdir()) == ["all.json", "all.rollback.json", "all.training.json"]
    (here / "all.rollback.json").unlink()
    # A rollback of this size is not measured.
    assert command("bench", "all", "--sizes", "100M", "--json", "all.json") == 0
    assert not (here / "all.rollback.json").exists()


@pytest.mark.parametrize("subject", ["snapshot", "rollback", "training", "all"])
@pytest.mark.parametrize("wrong", [("--aa",), ("--against", "main"), ("--sizes", "2M")])
def test_a_device_is_held_against_no_other_state_of_the_code(subject: str, wrong: tuple[str, ...]) -> None:
    assert command("bench", subject, "--device", "cuda", *wrong) == 2


@pytest.mark.parametrize("subject", ["snapshot", "rollback", "training", "all"])
def test_without_a_device_nothing_is_measured_and_that_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command("bench", subject, "--device", "cuda", "--json", "device.json") == 4
    assert capsys.readouterr().err == "PyTorch sees no GPU here, so nothing was measured\n"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("microseconds", "code"), [(25.0, 0), (25.1, 1)])
def test_a_missed_target_of_a_device_is_the_exit_code(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], microseconds: float, code: int
) -> None:
    found = DeviceRecord({}, {}, (Figure(KEPT, 100_000, microseconds, "µs"), Figure(ARRIVED, 100_000, 1e9, "µs")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(on_device, "measure", lambda sizes, _: found if [size.params for size in sizes] == [100_000] else None)
    assert command("bench", "snapshot", "--device", "cuda", "--sizes", "0.1M", "--json", "device.json") == code
    assert json.loads((here / "device.json").read_text())["figures"][0]["holds"] is (code == 0)
    assert f"1 targets: {1 - code} hold, {code} missed" in capsys.readouterr().out


def test_rollbacks_and_training_are_measured_on_the_device_and_say_on_which(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Place] = []

    def measure(*given: object) -> list[Measured]:
        places.append(next(one for one in given if isinstance(one, Place)))
        return []

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(on_device, "machine", lambda: {"device": "an imagined one"})
    monkeypatch.setattr(training, "measure", measure)
    monkeypatch.setattr(rollback, "measure", measure)
    assert command("bench", "training", "--device", "cuda", "--json", "training.json") == 0
    assert command("bench", "rollback", "--device", "cuda", "--sizes", "1M", "--json", "rollback.json") == 0
    assert [(place.device, place.clock) for place in places] == [("cuda", "wall")] * 2
    for name in ("training.json", "rollback.json"):
        assert json.loads((here / name).read_text())["machine"] == {"device": "an imagined one"}


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


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (("snapshot", "--sizes", "1M"), {"snapshot": ("1M",)}),
        (("rollback",), {"rollback": ("0.1M", "1M")}),
        (("training",), {"training": SUBJECTS["training"]}),
        (("all", "--sizes", "10M"), {"snapshot": ("10M",), "rollback": ("10M",), "training": SUBJECTS["training"]}),
    ],
)
def test_aa_holds_what_stands_here_against_itself(
    monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], chosen: dict[str, tuple[str, ...]]
) -> None:
    handed: list[object] = []
    monkeypatch.setattr(bench_cli, "timed_between", lambda *given: handed.extend(given) or 0)
    monkeypatch.chdir(Path(__file__).parent)
    assert command("bench", *asked, "--aa") == 0
    root = Path(__file__).parents[2]
    assert handed == [root, root, chosen, None]
