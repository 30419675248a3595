import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.oracles.oracle import Answer
from firedrill.oracles.quiet import Quiet
from firedrill.runner import keep as keeping
from firedrill.runner.cell import record
from firedrill.runner.folder import FAULTED
from firedrill.runner.keep import CannotKeep, Keep, kept_cells, oracles_named
from firedrill.runner.verdict import End, Ending, Verdict
from firedrill.scenario.cell import Cell

Put = Callable[..., None]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """A folder that cells are kept in."""
    with Keep(tmp_path / "kept") as keep:
        yield keep


@pytest.fixture
def put(keep: Keep, tmp_path: Path) -> Put:
    """Keeps a cell that was recorded in this very process."""

    def put(cell: Cell, how: End = End.ENDED) -> None:
        folder = tmp_path / "kept" / "firedrill-scratch"
        folder.mkdir()
        record(cell, folder)
        keep.put(cell, folder, Ending(how, ""), 1.5)

    return put


def test_a_finished_cell_of_the_same_content_is_taken_over_as_it_was_judged(keep: Keep, put: Put, small: Cell) -> None:
    assert keep.finished(small) is None
    put(small)
    taken = keep.finished(small)
    assert taken is not None
    assert (taken.id, taken.verdict, taken.passed, taken.seconds) == (small.id, Verdict.RECOVERED, True, 1.5)
    assert keep.taken_over == 1


def test_another_cell_of_the_same_name_runs_and_takes_the_place(keep: Keep, put: Put, small: Cell) -> None:
    put(small)
    shorter = replace(small, scenario=replace(small.scenario, subject=replace(small.scenario.subject, steps=7)))
    assert keep.finished(shorter) is None
    put(shorter)
    assert keep.finished(shorter) is not None
    assert keep.finished(small) is None


def test_other_code_takes_nothing_over(keep: Keep, put: Put, small: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    put(small)
    monkeypatch.setattr(keeping, "code_digest", lambda: "of other code")
    assert keep.finished(small) is None


@pytest.mark.parametrize("how", [End.DIED, End.TIMED_OUT, End.HARNESS_FAILED, End.NOT_RUN])
def test_what_may_have_been_the_machine_s_doing_runs_again(keep: Keep, put: Put, small: Cell, how: End) -> None:
    put(small, how)
    assert keep.finished(small) is None


def test_a_kept_cell_is_read_and_judged_by_its_own_oracles_or_by_others(put: Put, small: Cell, tmp_path: Path) -> None:
    put(small)
    # What a run that was killed left of a cell under way is none.
    (tmp_path / "kept" / "firedrill-left" / "cell-0").mkdir(parents=True)
    (tmp_path / "kept" / "firedrill-left" / "cell-0" / "cell.json").write_text("{}")
    (one,) = kept_cells(tmp_path / "kept")
    assert replace(one.cell, scenario=replace(one.cell.scenario, path=small.scenario.path)).id == small.id
    assert {finding.oracle for finding in one.judged().findings} == {oracle.kind for oracle in small.scenario.oracles}
    (finding,) = one.judged([Quiet()]).findings
    assert (finding.oracle, finding.answer) == ("quiet", Answer.PASS)
    about = json.loads((one.folder / "cell.json").read_text())
    assert about["plan"]["subject"]["seed"] == 11


def test_a_tampered_history_is_judged_anew(put: Put, small: Cell, tmp_path: Path) -> None:
    put(small)
    (one,) = kept_cells(tmp_path / "kept")
    lines = (one.folder / FAULTED).read_bytes().splitlines(keepends=True)
    (one.folder / FAULTED).write_bytes(b"".join(lines[: len(lines) // 2]))
    assert one.judged().verdict is not Verdict.RECOVERED


def test_two_runs_do_not_keep_in_one_folder_at_a_time(keep: Keep, tmp_path: Path) -> None:
    with pytest.raises(CannotKeep, match="another run"), Keep(tmp_path / "kept"):
        pass


@pytest.mark.parametrize("about", ["torn{", '{"schema": "firedrill.cell/9"}', '{"schema": "firedrill.cell/1", "token": "fd1.x"}'])
def test_what_was_not_kept_by_this_version_is_refused(tmp_path: Path, about: str) -> None:
    (tmp_path / "cell.json").write_text(about)
    with pytest.raises(CannotKeep, match=r"cell\.json: "):
        list(kept_cells(tmp_path))


def test_oracles_have_the_parameters_of_the_scenario_or_their_defaults(small: Cell) -> None:
    named = oracles_named(["core", "quiet", "told"], small)
    assert [oracle.kind for oracle in named[-2:]] == ["told", "quiet"]
    assert set(small.scenario.oracles) & set(named)
    with pytest.raises(CannotKeep, match="nonsense: no such oracle, known are witnessed"):
        oracles_named(["nonsense"], small)
    with pytest.raises(CannotKeep, match=r"does not say what an oracle needs to know: .*within"):
        oracles_named(["detected"], small)
