"""Two states of the code, timed in turns on one machine: blocks in the order A B B A, so that a drift strikes both alike."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).parents[2]
# What is timed of two states of the code, and of which cases where no others are asked for: the program of a side has its name.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "snapshot": ("0.1M", "1M"),
    "rollback": ("0.1M", "1M"),
    "training": (
        "a convolutional host",
        "32 perceptrons",
        "32 perceptrons, stacked",
        "32 perceptrons that grow",
        "32 perceptrons that grow, stacked",
    ),
}
CPU, WALL = "CPU time", "wall time"


class SideFailed(RuntimeError):
    """A state of the code could not be measured; says why."""


class NoRevision(ValueError):
    """What was named is no revision of this repository."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One operation: seconds of every call, block by block. Blocks of one number were neighbours; of even ones the base came first."""

    subject: str
    base: tuple[tuple[float, ...], ...]
    head: tuple[tuple[float, ...], ...]
    clock: str = CPU

    @property
    def medians(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Of every block, base and head."""
        return tuple(map(statistics.median, self.base)), tuple(map(statistics.median, self.head))


@dataclass(frozen=True, slots=True)
class Block:
    """Seconds of every call by operation; those of `wall` are of the wall clock."""

    seconds: dict[str, tuple[float, ...]]
    wall: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Side:
    """A process with the code of one folder, which answers one block at a time."""

    process: "subprocess.Popen[str]"

    def block(self, case: str, rounds: int) -> Block:
        """A block of a case; raises `SideFailed`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"case": case, "rounds": rounds}) + "\n")
        self.process.stdin.flush()
        told = self.answer()
        return Block({name: tuple(seconds) for name, seconds in told["seconds"].items()}, frozenset(told["wall"]))

    def answer(self) -> dict[str, Any]:  # JSON has no types.
        """The next line that it says; raises `SideFailed`."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SideFailed("its process ended before it could say anything; its last words are above")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise SideFailed(told["error"])
        return told


def interleaved(base: Side, head: Side, case: str, pairs: int, rounds: int, after_pair: Callable[[], object]) -> list[Timed]:
    """So many pairs of blocks of a case, in the order A B B A; raises `SideFailed`."""
    blocks: list[tuple[Block, Block]] = []
    for number in range(pairs):
        if number % 2 == 0:
            before = base.block(case, rounds)
            after = head.block(case, rounds)
        else:
            after = head.block(case, rounds)
            before = base.block(case, rounds)
        blocks.append((before, after))
        after_pair()
    first, _ = blocks[0]
    return [
        Timed(
            f"{name}, {case}",
            tuple(before.seconds[name] for before, _ in blocks),
            tuple(after.seconds[name] for _, after in blocks),
            WALL if name in first.wall else CPU,
        )
        for name in first.seconds
    ]


@contextmanager
def side(root: Path, subject: str) -> Iterator[Side]:
    """A process with the code of a folder; raises `SideFailed` where it finds none there, or cannot load it."""
    if not (root / "src" / "tolaria" / "__init__.py").exists():
        # An installed one would be found instead.
        raise SideFailed(f"there is no src/tolaria in {root}")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(HARNESS)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"firedrill.bench.sides.{subject}"]
    # Its input ends with the context, and it ends with its input.
    with subprocess.Popen(command, cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        started = Side(process)
        found = Path(str(started.answer()["tolaria"]))
        assert found.resolve() == (root / "src" / "tolaria").resolve(), f"{found} was loaded, not the code of {root}"
        yield started


@contextmanager
def sides(base: Path, head: Path, subject: str) -> Iterator[tuple[Side, Side]]:
    """A process for each of two folders with the code."""
    with side(base, subject) as before, side(head, subject) as after:
        yield before, after


@contextmanager
def checked_out(*revisions: str) -> Iterator[tuple[Path, ...]]:
    """Worktrees of these revisions, which are gone afterwards; nothing of the one that stands here is touched."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firedrill-")))
        roots = []
        for number, revision in enumerate(revisions):
            root = scratch / str(number)
            git("worktree", "add", "--detach", "--quiet", str(root), revision)
            stack.callback(git, "worktree", "remove", "--force", str(root))
            roots.append(root)
        yield tuple(roots)


def commit_of(revision: str) -> str:
    """The commit that a revision names; raises `NoRevision`."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def merge_base(revision: str) -> str:
    """Where what stands here left another line of work; raises `NoRevision`."""
    return git("merge-base", commit_of(revision), "HEAD")


def git(*arguments: str) -> str:
    """What git answers; raises `NoRevision` with its words where it fails."""
    ended = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NoRevision(ended.stderr.strip() or f"git {' '.join(arguments)} failed: there is no such revision")
    return ended.stdout.strip()
