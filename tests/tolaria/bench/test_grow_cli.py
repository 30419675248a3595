import json
from pathlib import Path

import pytest

from tolaria.cli import main

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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--tasks", "spiralz"), "tasks: found 'spiralz'"),
        (("--seeds", "1"), "seeds: found 1, expected at least 2"),
        (("--steps", "0"), "steps: found 0"),
        (("--picture", "grow.svg"), "a name that ends in .png"),
    ],
)
def test_what_cannot_be_had_is_refused_at_once(arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert complaint in capsys.readouterr().err
