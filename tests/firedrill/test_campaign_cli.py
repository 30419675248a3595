import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from firedrill import cli
from firedrill.runner.result import read_json
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from firedrill.scenario.token import token_of

SMALL = """\
version: 1
name: small
because: A NaN in a host of two is undone, and costs a second.
subject:
  seed: 11
  envs: 2
  steps: 6
  batches_per_step: 1
  governor: {snapshot_every: 2, probation: 1}
  script: [{step: 0, env: 0, op: germinate, slot: s0, blueprint: residual_mlp}]
faults:
  - {at: {step: 4, env: 1}, do: tensor.set, target: {params: "head.*", pick: {index: 0}}, with: {value: nan}}
expect: [core, bystanders_untouched]
"""


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


def test_a_run_is_replayed_by_name_and_by_token_with_the_same_bytes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(SMALL)
    assert command("run", "small.yaml", "--json", "run.json", "--jobs", "1") == 0
    (kept,) = read_json(here / "run.json").cells
    assert command("replay", f"run.json#{kept.id}", "--json", "again.json") == 0
    assert f"{kept.id}: the same bytes as before" in capsys.readouterr().out
    assert command("replay", kept.token, "--json", "token.json") == 0
    for name in ("again.json", "token.json"):
        assert [cell.history_digest for cell in read_json(here / name).cells] == [kept.history_digest]


def test_what_cannot_be_replayed_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("replay", "nonsense") == 2
    assert command("shrink", "nonsense") == 2
    assert command("coverage", "nothing.json") == 2
    assert "no token" in capsys.readouterr().err


def test_a_campaign_without_time_keeps_its_file_and_says_that_nothing_ran(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("fuzz", "--cases", "3", "--time-budget", "0", "--json", "fuzz.json") == 4
    assert (read_json(here / "fuzz.json").cells, read_json(here / "fuzz.json").complete) == ((), False)
    assert "out of time" in capsys.readouterr().out
    assert command("enumerate", "--time-budget", "0") == 4


def test_enumerated_cells_are_chosen_by_words_and_prove_themselves_on_the_planted_bug(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "tensor-set-weights-updated-bare-strong"
    assert command("enumerate", "-k", words, "--json", "enumerated.json", "--jobs", "1") == 0
    assert "planted bug: seen in enumerate/tensor-set" in capsys.readouterr().out
    assert command("coverage", "enumerated.json", "--json", "coverage.json") == 1
    assert json.loads((here / "coverage.json").read_text())["exercised"]["cpu"]["cells"] == 1
    assert command("enumerate", "-k", "(") == 2


def test_a_run_without_time_says_that_its_file_is_partial(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(SMALL)
    assert command("run", "small.yaml", "--time-budget", "0", "--json", "run.json") == 4
    assert not read_json(here / "run.json").complete
    assert "out of time: 0 of 1 cells finished" in capsys.readouterr().err
    command("coverage", "run.json")
    assert "run.json is partial" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fuzz", "enumerate", "run", "replay", "shrink"])
def test_every_campaign_refuses_what_cannot_run_cells(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(SMALL)
    source = {"run": ("small.yaml",), "shrink": ("small.yaml",), "replay": (token_of(only_cell(here)),)}.get(name, ())
    assert command(name, *source, "--jobs", "0") == 2
    assert "--jobs 0: at least one cell must run at a time" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(SMALL)
    (here / "taken").write_text("a file")
    assert command("run", "small.yaml", "--keep", "taken") == 2
    assert "taken: " in capsys.readouterr().err


def only_cell(here: Path) -> Cell:
    """The cell of the small scenario."""
    return cells(load(here / "small.yaml"))[0]


def test_a_damaged_corpus_is_bad_input(here: Path) -> None:
    (here / "corpus.jsonl").write_text("nonsense\n")
    assert command("fuzz", "--cases", "1", "--corpus", "corpus.jsonl") == 2


def test_shrinking_writes_a_scenario_and_a_test(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(f"{SMALL}verdict: masked\n")
    arguments: Sequence[str] = ("small.yaml", "--time-budget", "0", "--out", "shrunk", "--json", "shrunk.json")
    assert command("shrink", *arguments) == 1
    assert command("validate", "shrunk") == 0
    assert (here / "shrunk" / "test_small.py").exists()
    assert json.loads((here / "shrunk.json").read_text())["minimal"] is False
    assert "not yet 1-minimal after 1 runs" in capsys.readouterr().out


def test_what_ends_as_expected_is_not_shrunk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.yaml").write_text(SMALL)
    assert command("shrink", "small.yaml") == 2
    assert "ended recovered, as expected" in capsys.readouterr().err
