"""A thousand rollbacks leave nothing behind, and one of them needs next to no memory of its own."""

import gc
import math
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from firedrill.subjects.census import Census
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.host.mlp_host import MlpHost
from tolaria.integrations.plain import Outcome, watch
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.vitals import Vitals

ROLLBACKS = 1000
# When everything is counted: the lives around these rollbacks are alike.
MOMENTS = (40, 520, ROLLBACKS)
NEVER_GIVES_UP = {"budget": 10**9, "budget_window": 1, "relapse_steps": 0}
GROWING = (Stage.TRAINING, Stage.BLENDING, Stage.HOLDING)


class World:
    """A host that grows, shrinks and dies under a governor that never gives up."""

    def __init__(self, width: int = 8, trainer: str = "adam", policy: str = "reset") -> None:
        spirals = TASKS["spirals"]()
        task = replace(spirals, build_host=lambda seed: MlpHost(inputs=2, width=width, depth=3, classes=3, seed=seed), batch_size=4)
        self.told: Counter[str] = Counter()
        self.host = CapsuleHost(task, TrainingConfig(1, trainer), 0, torch.device("cpu"), NO_TAPS, self.tell)
        self.host.loss_before = 1.0
        config = GovernorConfig(optimizer=policy, snapshot_every=3, probation=1, **NEVER_GIVES_UP)
        self.governor = Governor(config, task.chance_loss, task.explosion_loss, NO_TAPS, self.tell)
        self.step = 0
        self.governor.begin(self.host, self.at)

    @property
    def at(self) -> Point:
        return Point(self.step, 0)

    def tell(self, event: Event) -> None:
        self.told[type(event).__name__] += 1

    def grow(self, slot: str, stage: Stage) -> None:
        self.host.host.germinate(slot, "residual_mlp", seed=self.step, steps=1)
        for after in GROWING[: GROWING.index(stage) + 1] if stage in GROWING else GROWING:
            self.host.host.slot(slot).state = self.host.state(slot).advanced().ticked()
            assert self.host.state(slot).stage is after
        self.host.renew_optimizers()
        if stage is Stage.FOSSILIZED:
            self.host.fossilize(slot, self.at, "test", "policy")

    def live(self, fossilized: bool = False) -> None:
        self.host.train(self.at)
        self.step += 1
        self.judge(Vitals(self.step, 0.3, 0.3, 0.5, 1.0), fossilized)

    def die(self) -> None:
        self.spoil()
        self.judge(Vitals(self.step, math.nan, math.nan, 0.0, None))

    def spoil(self) -> None:
        self.step += 1
        with torch.no_grad():
            next(iter(self.host.host.own_parameters().values())).fill_(math.nan)

    def judge(self, vitals: Vitals, fossilized: bool = False) -> None:
        self.governor.enforce(self.governor.judge(vitals), vitals, self.host, self.at, fossilized)

    def rest(self) -> None:
        """Until every slot is free again."""
        while any(state.stage is not Stage.DORMANT for state in self.host.host.slot_states().values()):
            self.host.tick(self.at)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_rollbacks_leave_nothing_behind() -> None:
    world = World()
    # A seed in each stage that it can have, in either slot; every fourth is a fossil that goes again.
    stages = (*GROWING, Stage.FOSSILIZED)
    seen: dict[int, Census] = {}
    objects = {}
    for number in range(1, ROLLBACKS + 1):
        stage = stages[number % 4]
        world.grow(f"s{number // 4 % 2}", stage)
        # Now and then long enough for a snapshot to be trusted.
        for step in range(5 if number % 12 == 1 else 1):
            world.live(fossilized=step == 0 and stage is Stage.FOSSILIZED)
        world.die()
        world.rest()
        if number in MOMENTS:
            seen[number] = Census.of([world.host])
            objects[number] = len(gc.get_objects())
    assert world.told["RolledBack"] == ROLLBACKS
    # Fossils that went, and snapshots that a rollback went back to.
    assert min(world.told["SlotRestored"], world.told["SnapshotTrusted"]) > ROLLBACKS // 20
    first, *later = (seen[number] for number in MOMENTS)
    assert later == [first, first]
    assert first.hooks == 0
    # The interpreter and whoever runs tests keep something now and then; one a rollback would be hundreds in either half.
    assert min(after - before for before, after in pairwise(objects[number] for number in MOMENTS)) < 25


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_thousand_rollbacks_of_any_loop_leave_nothing_behind() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    optimizer = torch.optim.Adam(model.parameters())
    guard = watch(model, optimizer, GovernorConfig(snapshot_every=3, probation=1, **NEVER_GIVES_UP), chance_loss=2.0)
    seen: dict[int, tuple[Census, list[int]]] = {}
    for number in range(1, ROLLBACKS + 1):
        for factor in (1.0, 1.0, 1.0, 1.0, math.nan):
            optimizer.zero_grad()
            loss = factor * model(torch.ones(2, 4)).pow(2).mean()
            loss.backward()
            optimizer.step()
            answer = guard.after_step(loss)
        assert answer.outcome is Outcome.ROLLED_BACK
        if number in MOMENTS:
            seen[number] = Census.of([]), [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    first, *later = (seen[number] for number in MOMENTS)
    assert later == [first, first]


@pytest.mark.parametrize("stage", [None, *GROWING, Stage.FOSSILIZED])
@pytest.mark.parametrize(("trainer", "policy"), [("sgd", "reset"), ("adam", "reset"), ("adam", "restore"), ("adam", "reset_all")])
def test_a_rollback_needs_no_more_memory_than_the_largest_tensor_has(trainer: str, policy: str, stage: Stage | None) -> None:
    world = World(256, trainer, policy)
    for _ in range(4):
        world.live()
    if stage is not None:
        world.grow("s0", stage)
    world.live(fossilized=stage is Stage.FOSSILIZED)
    world.spoil()
    tracemalloc.start()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        world.judge(Vitals(world.step, math.nan, math.nan, 0.0, None))
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert world.told["RolledBack"] == 1
    # The first weights between two blocks.
    largest = 256 * 256 * 4
    assert max(tensor.nbytes for tensor in world.host.all_tensors().values()) == largest
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as validated:
        world.host.validate()
    # A host that leaned on its seed is validated once more, as in every step; nothing else needs memory.
    leaned = stage in {Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED}
    assert peak_of(recorded) <= (max(largest, peak_of(validated)) if leaned else largest)
    assert python <= largest


def peak_of(recorded: profile) -> int:
    """The most bytes that were allocated for tensors at one time; memory that was there before and is freed does not count."""
    assert recorded.profiler is not None
    assert recorded.profiler.kineto_results is not None
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = held = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held = max(0, held + event.nbytes())
        peak = max(peak, held)
    return peak


def test_the_measure_sees_memory_that_is_used_for_a_moment_only() -> None:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        for _ in range(3):
            torch.zeros(1000, dtype=torch.float64).clone()
    assert peak_of(recorded) == 16000
