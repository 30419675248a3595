"""Small scenarios that come out as they should, a way to record one of their cells in this very process, and operations that fail.

They are as large as their claim needs and no larger, so that a sabotaged run costs tenths of a second. Snapshots are
taken in steps 0, 3, 6 and so on, and are trusted one healthy step later.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from firedrill.runner.assess import result_of
from firedrill.runner.cell import record
from firedrill.runner.folder import told_ending
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from tolaria.env.capsule import CapsuleHost
from tolaria.governor.arena import Arena
from tolaria.host.slot import Slot

HEAD = """\
version: 1
name: {name}
because: What is claimed here is broken on purpose, and the harness must see it.
subject: {{seed: 11, envs: 2, rollout_steps: 40, {subject}}}
faults:
{faults}
expect:
{expect}
verdict: {verdict}
budget: {{{budget}}}
"""

SPIRALS = "steps: 16, batches_per_step: 2, governor: {snapshot_every: 3, probation: 1}"
# The seed of step 5 is younger than every trusted snapshot when the host is struck in step 7.
YOUNG_SEED = "script: [{step: 5, op: germinate, slot: s1, blueprint: linear_bottleneck}, {step: 6, op: advance, slot: s1}]"

ENDLESS = "steps: 10000, batches_per_step: 1000"

NAN = 'do: tensor.set, target: {params: "blocks.0.*", pick: {index: 0}}, with: {value: nan}'
EXPLODE = "do: tensor.scale, target: {params: head.weight}, with: {factor: 1.0e+4}"

UNDONE = ("recovered: {within: 3 steps}", "core", "bystanders_untouched", "quiet")
NAN_NOTICED = "detected: {within: 1 steps, cause: non_finite}"
EXPLOSION_NOTICED = "detected: {within: 3 steps, cause: loss_explosion}"


def scenario(
    name: str,
    subject: str,
    faults: Sequence[str],
    expect: Sequence[str],
    verdict: str = "recovered",
    budget: str = "rollbacks: 4",
) -> str:
    """The text of a scenario file; a fault is the inside of its mapping."""
    listed = ["\n".join(f"  - {word}{line}{end}" for line in lines) for word, lines, end in (("{", faults, "}"), ("", expect, ""))]
    return HEAD.format(name=name, subject=subject, faults=listed[0], expect=listed[1], verdict=verdict, budget=budget)


WITNESSED = ("witnessed", "state_restored", "keys_matched", "clean", "optimizer_reset", "penalized", "told", "quiet")

SCENARIOS = (
    scenario(
        "nan-weight",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 5}"],
    ),
    scenario(
        "nan-weight-adam",
        f"{SPIRALS}, optimizer: adam, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 5}"],
    ),
    scenario(
        "nan-weight-persistent",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1, for_steps: forever}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:]],
        verdict="fail_stop",
    ),
    scenario(
        # Without relapses, so that both strikes are undone from one snapshot.
        "nan-weight-twice",
        f"{SPIRALS[:-1]}, optimizer: restore, relapse_steps: 0}}, {YOUNG_SEED}",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}", f"at: {{step: 8, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, *UNDONE[1:]],
    ),
    scenario(
        "nan-weight-four-times",
        "steps: 22, batches_per_step: 2, governor: {snapshot_every: 2, probation: 1, budget: 5, relapse_steps: 0, detectors: classic}",
        [f"at: {{step: {step}, env: 1, batch: 1}}, {NAN}" for step in (9, 13, 17, 21)],
        ["frugal: {rollbacks: 4}", *WITNESSED],
        budget="rollbacks: 4",
    ),
    scenario(
        "explosion-on-snapshot-step",
        f"{SPIRALS}, {YOUNG_SEED}",
        [f"at: {{step: 6, env: 1, batch: 1}}, {EXPLODE}"],
        [EXPLOSION_NOTICED, *UNDONE],
    ),
    scenario(
        "lobotomy",
        "steps: 18, batches_per_step: 8, governor: {snapshot_every: 3, probation: 1, lobotomy_history: 0.9}",
        ["at: {step: last, env: 1, batch: 7}, do: output.lobotomize"],
        ["detected: {within: 1 steps, cause: lobotomy}", *WITNESSED],
    ),
    scenario(
        "penalty",
        f"{SPIRALS}, policy: ppo",
        [f"at: {{step: 7, env: 1, batch: 1}}, {NAN}"],
        [NAN_NOTICED, UNDONE[0], *WITNESSED],
    ),
    scenario(
        "batch-norm-statistics",
        "task: digits, steps: 8, batches_per_step: 1, governor: {snapshot_every: 2, probation: 1}",
        ['at: {step: 5, env: 1}, do: tensor.set, target: {buffers: "blocks.0.*running_mean", pick: {index: 0}}, with: {value: nan}'],
        [NAN_NOTICED, "recovered: {within: 2 steps}", *WITNESSED],
    ),
    scenario(
        "young-fossil",
        f"{SPIRALS}, script: [{{step: 1, op: germinate, slot: s0, blueprint: residual_mlp, tempo: 3}}, {{step: 2, op: advance, slot: s0}},"
        " {step: 5, op: advance, slot: s0}, {step: 8, op: advance, slot: s0}]",
        [
            "at: {step: 10, env: 1, phase: step_begun}, do: lifecycle.fossilize, target: {slot: s0}",
            f"at: {{step: 11, env: 1, batch: 1}}, {NAN}",
        ],
        [NAN_NOTICED, *UNDONE, "twin: {steps: 4}"],
    ),
    scenario(
        # Step 7 begins with batch 14; the third rollback comes behind batch 19 and skips the data of ten steps.
        "bad-window",
        f"{SPIRALS}, {YOUNG_SEED}",
        ["at: {step: first, env: 1, for_steps: forever}, do: data.damage, with: {value: nan, first: 14, batches: 20}"],
        [NAN_NOTICED, *UNDONE[1:], "climbed: {to: eased, rollbacks: 3}", "twin: {steps: 4}"],
    ),
    scenario(
        "dead-without-its-seed",
        "steps: 30, batches_per_step: 8, script: [{step: 16, op: germinate, slot: s0, blueprint: residual_mlp, tempo: 3},"
        " {step: 17, op: advance, slot: s0}, {step: 20, op: advance, slot: s0}]",
        [
            f"at: {{step: 22, env: 1}}, {NAN}",
            "at: {event: rolled_back, plus_steps: 1, env: 1, batch: 7, for_steps: 2}, do: output.lobotomize, with: {mode: constant_logits}",
        ],
        [NAN_NOTICED, *UNDONE[1:], "climbed: {to: older, rollbacks: 2}"],
    ),
    # These two would take hours, and their children are ended from outside.
    scenario("endless", ENDLESS, [f"at: {{step: last, env: 1}}, {NAN}"], ["witnessed"], verdict="crashed", budget="wall: 120s"),
    scenario("hangs", ENDLESS, [f"at: {{step: last, env: 1}}, {NAN}"], ["witnessed"], verdict="hung", budget="wall: 0.2s"),
)


@pytest.fixture
def cell_of(tmp_path: Path) -> Callable[[str], Cell]:
    """The cell of one of these scenarios."""
    return lambda name: cells(load(written(name, tmp_path / "scenarios")))[0]


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[str], Path]:
    """The file of one of these scenarios."""
    return lambda name: written(name, tmp_path / "scenarios")


def written(name: str, folder: Path) -> Path:
    """Write one of these scenarios."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(next(text for text in SCENARIOS if f"\nname: {name}\n" in text), encoding="utf-8")
    return path


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Cell], CellResult]:
    """Record a cell here, and judge it."""

    def recorded(cell: Cell) -> CellResult:
        folder = tmp_path / "recorded"
        folder.mkdir()
        record(cell, folder)
        return result_of(cell, folder, told_ending(folder), 0.0)

    return recorded


# Operations that fail.


@dataclass
class Failing:
    """Raises at the operation of a number, counted from 0, or from it on."""

    number: int
    persists: bool
    count: int = 0

    def operate(self) -> None:
        self.count += 1
        if self.count - 1 == self.number or (self.persists and self.count > self.number >= 0):
            raise RuntimeError("struck")

    def wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.operate()
            return operation(*args, **kwargs)

        return call


class FailingTorch(TorchDispatchMode):
    """Raises before an operation of torch."""

    def __init__(self, failing: Failing) -> None:
        super().__init__()
        self.failing = failing

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.failing.operate()
        return func(*args, **(kwargs or {}))


OPERATIONS: dict[str, tuple[tuple[Any, tuple[str, ...]], ...]] = {
    "parts": (
        (Slot, ("attach", "detach_seed")),
        (CapsuleHost, ("stable_tensors", "prepare", "commit", "renew_optimizers", "restore_optimizers", "settle")),
        (Arena, ("digest", "copy_out")),
    ),
    "digest": ((Arena, ("digest",)),),
    "disk": ((os, ("mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir")),),
}


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Failing], contextlib.AbstractContextManager[None]]:
    """A context in which operations of torch, the parts of a rollback, digests or operations on the disk fail."""

    @contextlib.contextmanager
    def strike(what: str, failing: Failing) -> Iterator[None]:
        with monkeypatch.context() as patched:
            if what == "torch":
                with FailingTorch(failing):
                    yield
                return
            for owner, names in OPERATIONS[what]:
                for name in names:
                    patched.setattr(owner, name, failing.wrapped(getattr(owner, name)))
            yield

    return strike


@pytest.fixture
def new_failing() -> Callable[[int, bool], Failing]:
    """What fails at an operation of a number, once or for good."""
    return Failing
