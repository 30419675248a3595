"""Environments that are stepped, judged, snapshotted and rolled back by several threads at once end as if one had done it."""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.seams import ACTION_APPLIED, ROLLBACK_COPYING, SNAPSHOT_COPYING, Seam, T
from tolaria.tasks import TASKS
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack, SnapshotRefused
from tolaria.telemetry.history import History, read

ENVS, THREADS, STEPS, ROUNDS = 16, 4, 16, 3
OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)
# A seed's way through a slot: a fossil in the first slot, in the second it is pruned.
OPS = {0: Op.GERMINATE, 1: Op.ADVANCE, 2: Op.ADVANCE, 4: Op.ADVANCE, 5: Op.FOSSILIZE}
# The steps in which NaN strikes every third environment. Once the copying of a rollback fails there, and of a late snapshot.
NAN_AT = (5, 9)
REFUSED_FROM = 10


class Faults:
    """What strikes one environment."""

    def __init__(self, env: int) -> None:
        self.struck = env % 3 == 0
        self.failed: set[str] = set()

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if self.struck and seam is ACTION_APPLIED and at.step in NAN_AT:
            with torch.no_grad():
                next(iter(value.host.own_parameters().values())).view(-1)[0] = math.nan
        copies = seam is ROLLBACK_COPYING or (seam is SNAPSHOT_COPYING and at.step >= REFUSED_FROM)
        if self.struck and copies and value == 3 and seam.name not in self.failed:
            self.failed.add(seam.name)
            raise OSError("struck in the middle of copying")
        return value


@dataclass(frozen=True, slots=True)
class End:
    """All that is left of an environment, as bytes and as text."""

    tensors: dict[str, bytes]
    snapshots: dict[str, bytes]
    facts: str
    governor: str


def action_of(env: int, step: int) -> Action:
    op = OPS.get((step + env) % 8)
    if op is None:
        return WAIT
    slot = f"s{(step // 8 + env) % 2}"
    return Action(op=Op.PRUNE if op is Op.FOSSILIZE and slot == "s1" else op, slot=slot, blueprint="residual_mlp", tempo=2)


def live_through(env: int, history: History) -> End:
    """The whole life of one environment under its governor."""
    taps = Faults(env)
    config = EnvConfig(STEPS + 1, TrainingConfig(batches_per_step=2), OPEN)
    world = GrowthEnv(TASKS["spirals"](), config, 3, env, taps=taps, emit=history.emit)
    settings = GovernorConfig(snapshot_every=3, probation=1)
    governor = Governor(settings, world.task.chance_loss, world.task.explosion_loss, taps, history.emit)
    governor.begin(world.training, Point(0, env))
    for step in range(STEPS):
        at = Point(step, env)
        outcome = world.advance(action_of(env, step), at)
        governor.enforce(governor.judge(outcome.vitals), outcome.vitals, world.training, at, outcome.fossilized)
    snapshots, facts = governor.capsule()
    return End(raw(world.training.all_tensors()), raw(snapshots), repr(world.facts()), repr(facts))


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def by_environment(events: list[Event]) -> dict[int | None, list[str]]:
    """As they are recorded: without clocks, and a loss that is NaN equals itself."""
    told: dict[int | None, list[str]] = {}
    for event in events:
        told.setdefault(event.at.env, []).append(to_line(0, event))
    return told


@pytest.fixture(autouse=True)
def _hurried() -> Iterator[None]:
    """One thread an operation, and threads that give way as often as they can."""
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(1)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    torch.set_num_threads(threads)


def test_four_threads_come_to_the_bytes_and_events_of_one(tmp_path: Path) -> None:
    alone = History()
    expected = [live_through(env, alone) for env in range(ENVS)]
    assert len({event.at.env for event in alone.events if isinstance(event, RolledBack) and event.work.attempts == 2}) == 6
    assert len([event for event in alone.events if isinstance(event, SnapshotRefused)]) == 6
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.jsonl"
        with History.open(path, durable=frozenset()) as together, ThreadPoolExecutor(THREADS) as pool:
            ends = list(pool.map(live_through, range(ENVS), [together] * ENVS))
        different = [env for env in range(ENVS) if ends[env] != expected[env]]
        assert different == []
        assert by_environment(together.events) == by_environment(alone.events)
        # Also on disk every event has one line and its own number.
        assert by_environment(read(path)) == by_environment(together.events)
