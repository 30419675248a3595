import subprocess
from pathlib import Path

import pytest

from firedrill.bench.paired import (
    CPU,
    SUBJECTS,
    WALL,
    Block,
    NoRevision,
    SideFailed,
    Timed,
    checked_out,
    commit_of,
    interleaved,
    merge_base,
    side,
)

ROOT = Path(__file__).parents[3]


class Told:
    """A side that takes a second more each time it is asked, and says in which order."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self.order = name, order

    def block(self, case: str, rounds: int) -> Block:
        self.order.append(self.name)
        return Block({"take": (float(len(self.order)),) * rounds, "copy": (1.0,) * rounds}, frozenset({"copy"}))


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two lines of work that parted at `first`."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("NAME", "n"), ("EMAIL", "e")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    for arguments in (
        "init -q -b main",
        "commit -q --allow-empty -m one",
        "tag first",
        "switch -q -c work",
        "commit -q --allow-empty -m two",
    ):
        subprocess.run(["git", *arguments.split()], check=True)
    for arguments in ("switch -q main", "commit -q --allow-empty -m three", "switch -q work"):
        subprocess.run(["git", *arguments.split()], check=True)
    return tmp_path


def test_blocks_come_in_the_order_a_b_b_a() -> None:
    order: list[str] = []
    pairs: list[int] = []
    found = interleaved(Told("A", order), Told("B", order), "1M", 3, 2, lambda: pairs.append(1))  # type: ignore[arg-type]  # It has what is used.
    assert "".join(order) == "ABBAAB"
    assert found[0] == Timed("take, 1M", ((1.0, 1.0), (4.0, 4.0), (5.0, 5.0)), ((2.0, 2.0), (3.0, 3.0), (6.0, 6.0)))
    assert [(one.subject, one.clock) for one in found] == [("take, 1M", CPU), ("copy, 1M", WALL)]
    assert found[0].medians == ((1.0, 4.0, 5.0), (2.0, 3.0, 6.0))
    assert len(pairs) == 3


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_side_loads_the_code_of_its_folder_and_tells_of_its_failures(tmp_path: Path, subject: str) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    with side(tmp_path, subject) as started, pytest.raises(SideFailed, match="KeyError: 'no such case'"):
        started.block("no such case", 1)


def test_a_side_answers_with_seconds_by_operation_and_their_clocks(tmp_path: Path) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    with side(tmp_path, "rollback") as started:
        told = started.block("0.1M", 2)
    assert {"rollback: total", "rollback: buffer"} == told.seconds.keys() - told.wall
    assert {len(seconds) for seconds in told.seconds.values()} == {2}


def test_a_folder_without_the_code_is_a_failed_side(tmp_path: Path) -> None:
    with pytest.raises(SideFailed, match="there is no src/tolaria in"), side(tmp_path, "snapshot"):
        pass


def test_a_process_that_ends_at_once_is_a_failed_side(tmp_path: Path) -> None:
    for package in ("tolaria", "firedrill"):
        (tmp_path / "src" / package).mkdir(parents=True)
        (tmp_path / "src" / package / "__init__.py").write_text("raise SystemExit(1)")
    with pytest.raises(SideFailed, match="ended before it could say anything"), side(tmp_path, "snapshot"):
        pass


def test_a_revision_is_checked_out_beside_and_is_gone_afterwards(repository: Path) -> None:
    with checked_out("first", "work") as (before, after):
        heads = [
            subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
            for root in (before, after)
        ]
        assert [head.strip() for head in heads] == [commit_of("first"), commit_of("work")]
    assert not before.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_the_base_is_where_two_lines_of_work_parted(repository: Path) -> None:
    assert merge_base("main") == commit_of("first")


@pytest.mark.parametrize("revision", ["nothing", "--all", ""])
def test_what_names_no_commit_is_refused(repository: Path, revision: str) -> None:
    with pytest.raises(NoRevision):
        commit_of(revision)
