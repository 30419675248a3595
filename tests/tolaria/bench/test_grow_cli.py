import json
from pathlib import Path

import pytest

from tolaria.bench.grow import experiment
from tolaria.bench.grow.arms import STATIC
from tolaria.cli import main
from tolaria.errors import WorkerLost

SMALL = ["--steps", "8", "--batches-per-step", "1", "--updates", "1", "--envs", "2", "--warm-start", "1", "--seeds", "2"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["bench", "grow", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_a_small_experiment_prints_its_table_and_writes_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--json", str(tmp_path / "grow.json"), "--picture", str(tmp_path / "grow.png")]
    # So few batches teach nobody anything, so that the regime gate is closed, and that is told by the exit code.
    assert run("--tasks", "spirals_impaired", *SMALL, *files) == 1
    told = capsys.readouterr().out
    assert "spirals_impaired: 2 held-out seeds, 8 steps of 1 batches" in told
    assert "regime gate: CLOSED" in told
    read = json.loads((tmp_path / "grow.json").read_text())
    assert read["complete"] is True
    assert len(read["tasks"]["spirals_impaired"]["runs"]) == 2 * 6
    assert (tmp_path / "grow.png").stat().st_size > 10_000


def test_a_process_that_is_lost_costs_nothing_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "grow.json"
    written: list[int] = []

    def until_lost(piece: experiment.Piece) -> object:
        if record.exists():
            read = json.loads(record.read_text())
            assert not read["complete"]
            written.append(len(read["tasks"]["spirals_impaired"]["runs"]))
        if piece.arm in STATIC and piece.seed == 1001:
            raise WorkerLost("a process ended")
        return make(piece)

    make = experiment.make
    monkeypatch.setattr(experiment, "make", until_lost)
    assert run("--tasks", "spirals_impaired", *SMALL, "--json", str(record)) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "error: a process ended"
    assert "spirals_impaired: 1 held-out seeds" in told.out
    # Two pieces that are no runs come before the first one; the file is there as soon as the first is over.
    assert written == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert len(json.loads(record.read_text())["tasks"]["spirals_impaired"]["runs"]) == 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--tasks", "spiralz"), "tasks: found 'spiralz'"),
        (("--seeds", "1"), "seeds: found 1, expected at least 2"),
        (("--steps", "0"), "steps: found 0"),
        (("--picture", "grow.svg"), "a name that ends in .png"),
        (("--json", "nowhere/grow.json"), "a file in a folder that exists"),
        (("--tasks", "cifar10"), "expected some of digits, digits_impaired, spirals, spirals_impaired, pydoc_lm, stdlib_lm, wide\n"),
    ],
)
def test_what_cannot_be_had_is_refused_at_once(arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert complaint in capsys.readouterr().err
