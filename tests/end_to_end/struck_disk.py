"""Strikes every file operation of the disk tier, in a forked process each, and tells on stdout what is found afterwards.

Usage: struck_disk.py FOLDER, which does not exist yet. A fork costs milliseconds where a fresh interpreter with torch costs seconds.
"""

import errno
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from firedrill.faults.disk_operations import Operation, answered
from tolaria.env.config import TrainingConfig
from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.train import checkpoint
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

CONFIG = TrainConfig(task="spirals", envs=1, steps=2, rollout_steps=2, checkpoint_every=1, training=TrainingConfig(batches_per_step=1))

Content = tuple[dict[str, torch.Tensor], dict[str, Any]]


class StruckDisk:
    """Passes operations on to the system, and strikes the `number`th of them, counted from 0.

    kill, kill_after   SIGKILL before or after it           torn        SIGKILL in the middle of a write
    power              as kill, and what was not brought to the disk is lost: written bytes and renames
    28, 5              the error of that number before it   after_5     the same error although it was done
    full               that error in the middle of a write, and from then on
    short              half of a write is taken, and nothing is wrong
    """

    def __init__(self, number: int = -1, kind: str = "") -> None:
        self.number = number
        self.kind = kind
        self.told: list[str] = []
        self.unsynced: dict[int, Path] = {}
        self.paths: dict[int, Path] = {}
        self.renamed: list[tuple[Any, Any]] = []

    def answer(self, operation: Operation) -> Any:
        self.told.append(operation.name)
        if len(self.told) - 1 == self.number:
            return self._strike(operation)
        if self.kind == "full" and 0 <= self.number < len(self.told) - 1 and operation.name in {"mkdir", "open", "write"}:
            raise OSError(errno.ENOSPC, "struck")
        return self._noted(operation, operation.done())

    def _noted(self, operation: Operation, done: Any) -> Any:
        name, args = operation.name, operation.args
        if name == "open":
            self.paths[done] = Path(args[0])
        elif name == "write":
            self.unsynced[args[0]] = self.paths[args[0]]
        elif name == "fsync" and self.paths.get(args[0], Path()).is_dir():
            self.renamed = [pair for pair in self.renamed if Path(pair[1]).parent != self.paths[args[0]]]
        elif name == "fsync":
            self.unsynced.pop(args[0], None)
        elif name == "rename":
            moved = {file: Path(args[1]) / path.name for file, path in self.unsynced.items() if path.parent == Path(args[0])}
            self.unsynced |= moved
            self.renamed.append((args[0], args[1]))
        return done

    def _strike(self, operation: Operation) -> Any:
        kind = self.kind
        if kind in {"torn", "short", "full"} and operation.name == "write":
            written = self._noted(operation, operation.half_written())
            if kind == "short":
                return written
            self._end(kind)
            raise OSError(errno.ENOSPC, "struck")
        if kind == "power":
            self._lose()
        if kind in {"kill", "power"}:
            self._end("kill")
        if kind in {"28", "5", "full"}:
            raise OSError(int(kind) if kind != "full" else errno.ENOSPC, "struck")
        done = self._noted(operation, operation.done())
        self._end(kind)
        if kind == "after_5":
            raise OSError(errno.EIO, "struck")
        return done

    def _end(self, kind: str) -> None:
        if kind in {"kill", "kill_after", "torn"}:
            os.kill(os.getpid(), signal.SIGKILL)

    def _lose(self) -> None:
        # These are no operations of the disk tier, and are not to be struck.
        self.number = -1
        for path in self.unsynced.values():
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for source, target in reversed(self.renamed):
            if Path(target).exists() and not Path(source).exists():
                Path(target).rename(source)


KILLING = ("kill", "kill_after", "torn", "power")
FAILING = ("28", "5", "after_5", "full", "short")


def forked(work: Callable[[], object]) -> int:
    """Do something in a process of its own; 0, the number of the signal that ended it, or 256 for an OSError."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except OSError:
            os._exit(1)
        except BaseException:  # noqa: BLE001 - a child must never go on as its parent
            sys.excepthook(*sys.exc_info())
            os._exit(2)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def content(mark: int) -> Content:
    """What a checkpoint of this mark holds; every byte of it depends on the mark."""
    return {"a": torch.full((40,), float(mark)), "b": torch.tensor([mark, mark], dtype=torch.int16)}, {"mark": mark, "names": ["x", None]}


def write(folder: Path, step: int, mark: int) -> None:
    checkpoint.write(folder, step, *content(mark))


def found(folder: Path) -> int | None:
    """The mark of the newest checkpoint, byte for byte; None without one, -1 for a mixture."""

    def mark(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> int:
        wanted, told = content(facts["mark"])
        same = tensors.keys() == wanted.keys() and all(torch.equal(tensors[name], wanted[name]) for name in wanted)
        return facts["mark"] if same and told == facts else -1

    try:
        return checkpoint.read_newest(folder, mark)[0]
    except CheckpointDamaged:
        return None


def leftovers(folder: Path) -> list[str]:
    """Everything in a folder of checkpoints that is not one of two whole ones."""
    places = sorted(path.name for path in folder.iterdir())
    files = {file for place in folder.iterdir() for file in ([path.name for path in place.iterdir()] if place.is_dir() else ["?"])}
    return places[:-2] + [name for name in places if "." in name] + sorted(files - {"tensors.safetensors", "manifest.json"})


def after(folder: Path, status: int) -> dict[str, Any]:
    """What is found after a strike, and after the next checkpoint, which nobody strikes."""
    seen: dict[str, Any] = {"status": status, "found": found(folder)}
    write(folder, 4, 99)
    return seen | {"next": found(folder), "leftovers": leftovers(folder)}


def struck_write(folder: Path, step: int, struck: StruckDisk) -> None:
    with answered(struck.answer):
        write(folder, step, 9)


def outcome(work: Callable[[], object], kind: str) -> int:
    """How something ends, in a process of its own where it is killed; see `forked`."""
    if kind in KILLING:
        return forked(work)
    try:
        work()
    except OSError:
        return 256
    return 0


def strike_checkpoints(base: Path, before: int, step: int) -> list[dict[str, Any]]:
    """Every operation of one checkpoint behind `before` others, in every way."""
    old = base / "old"
    base.mkdir()
    for mark in range(1, before + 1):
        write(old, mark, mark)

    def begun(name: str) -> Path:
        if before:
            shutil.copytree(old, base / name)
        return base / name

    counting = StruckDisk()
    struck_write(begun("counted"), step, counting)
    seen = []
    for kind in (*KILLING, *FAILING):
        for number, name in enumerate(counting.told):
            # Between writes it is the same as "kill_after".
            if kind == "torn" and name != "write":
                continue
            folder = begun(f"{kind}-{number}")
            work = partial(struck_write, folder, step, StruckDisk(number, kind))
            status = outcome(work, kind)
            folder.mkdir(exist_ok=True)
            seen.append({"kind": kind, "operation": f"{number} {name}", **after(folder, status)})
    return seen


def limit_files(base: Path) -> list[dict[str, Any]]:
    """A real limit of the system in the middle of every write: an error after a short write, or the death of the process."""
    seen = []
    base.mkdir()
    for handler in (signal.SIG_IGN, signal.SIG_DFL):
        for size in range(0, 440, 40):
            folder = base / f"{handler}-{size}"
            write(folder, 1, 1)
            write(folder, 2, 2)

            def work(folder: Path = folder, handler: signal.Handlers = handler, size: int = size) -> None:
                signal.signal(signal.SIGXFSZ, handler)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                write(folder, 3, 9)

            status = forked(work)
            seen.append({"kind": f"limit {handler.name}", "operation": str(size), **after(folder, status)})
    return seen


def whole_run(folder: Path, struck: StruckDisk) -> None:
    with answered(struck.answer):
        trainer = Trainer.start(CONFIG, folder)
        trainer.train()
        trainer.close()


def resumed_run(folder: Path) -> str:
    """Go on to the end; what is said where that cannot be."""
    try:
        trainer, _ = Trainer.resume(folder)
    except (CheckpointDamaged, ConfigError) as error:
        return str(error)
    trainer.train()
    trainer.close()
    return ""


def strike_runs(base: Path) -> list[dict[str, Any]]:
    """A run whose power goes at every file operation of its own, and which is resumed."""
    base.mkdir()
    # What a process does once, such as to ask git for the commit, is no operation of the run.
    whole_run(base / "first", StruckDisk())
    counting = StruckDisk()
    whole_run(base / "whole", counting)
    last = Path("checkpoints") / "step-00000002"
    seen = []
    for number, name in enumerate(counting.told):
        folder = base / str(number)
        killed = forked(partial(whole_run, folder, StruckDisk(number, "power")))
        begun = any((folder / "checkpoints").glob("step-*"))
        refused = resumed_run(folder)
        same = not refused and all(
            (folder / path).read_bytes() == (base / "whole" / path).read_bytes()
            for path in ("events.jsonl", last / "tensors.safetensors", last / "manifest.json")
        )
        seen.append({"operation": f"{number} {name}", "killed": killed, "same": same, "begun": begun, "refused": refused})
    return seen


def strike_all(base: Path) -> dict[str, Any]:
    """Everything, by subject."""
    base.mkdir()
    return {
        "the first one": strike_checkpoints(base / "first", 0, 3),
        "behind the newest": strike_checkpoints(base / "behind", 2, 3),
        "in the place of the newest": strike_checkpoints(base / "in place", 2, 2),
        "under a limit": limit_files(base / "limit"),
        "runs": strike_runs(base / "run"),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps(strike_all(Path(sys.argv[1]))))
