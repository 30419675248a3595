import json
from functools import partial
from pathlib import Path

import pytest

from tolaria.bench.credit import cells, first_update, plan, toxic, toxic_bars
from tolaria.bench.credit.toxic import ToxicCell
from tolaria.cli import main
from tolaria.errors import WorkerLost


def code_of(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(["bench", "credit", *arguments])
    return left.value.code


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--seeds", "0"], "seeds"),
        (["--only", "delay-5,delay-6"], "delay-6"),
        (["--picture", "x.jpg"], ".png"),
        (["--jobs", "0"], "seeds"),
        (["--json", "nowhere/x.json"], "a folder that exists"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_runs(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(arguments) == 2
    assert word in capsys.readouterr().err


def test_a_run_that_is_too_short_to_learn_misses_its_bars_and_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cells, "UPDATES", 2)
    monkeypatch.setattr(plan, "ATTRIBUTIONS", ("shipped",))
    monkeypatch.setattr(first_update, "SEEDS", 1)
    assert code_of(["--seeds", "1", "--only", "delay-20", "--json", str(tmp_path / "credit.json")]) == 1
    value = json.loads((tmp_path / "credit.json").read_text())
    assert value["complete"]
    assert [run["cell"]["question"] for run in value["runs"]] == ["delay-20"]
    assert "MISSED  delay 20" in capsys.readouterr().out


def test_a_process_that_is_lost_costs_nothing_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cells, "UPDATES", 1)
    run_cell, left = cells.run_cell, iter([True, True])

    def until_lost(cell: cells.Cell) -> cells.Run:
        if not next(left, False):
            raise WorkerLost("a process ended")
        return run_cell(cell)

    monkeypatch.setattr(cells, "run_cell", until_lost)
    assert code_of(["--seeds", "1", "--only", "delay-20", "--json", str(tmp_path / "credit.json")]) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "error: a process ended"
    assert "delay-20" in told.out
    value = json.loads((tmp_path / "credit.json").read_text())
    assert (len(value["runs"]), value["complete"]) == (2, False)


def test_the_toxic_task_is_asked_by_name_and_tells_its_bars_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(toxic, "ENVS", 4)
    monkeypatch.setattr(toxic_bars, "TOXIC_SHARE_MAX", -1.0)
    monkeypatch.setattr(toxic_bars, "ToxicCell", partial(ToxicCell, episodes=1))
    assert code_of(["--seeds", "1", "--only", "toxic", "--json", str(tmp_path / "credit.json")]) == 1
    value = json.loads((tmp_path / "credit.json").read_text())
    assert value["complete"]
    assert value["runs"] == value["first_update"] == []
    assert [run["cell"]["arm"] for run in value["toxic"]] == ["shipped", "penalty-0", "clear"]
    assert all(bar["claim"].startswith("toxic") for bar in value["bars"])
    assert "MISSED  toxic: shipped" in capsys.readouterr().out
