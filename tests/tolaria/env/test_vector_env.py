import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from pools.hosts import OPEN
from torch import nn

from tolaria.env.config import OBJECTIVES, TrainingConfig
from tolaria.env.growth_env import EnvConfig, Outcome
from tolaria.env.vector_env import POOLS, VectorEnv
from tolaria.host.graft import graft
from tolaria.host.host import Host
from tolaria.host.randomness import seeded
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.stage import Stage
from tolaria.policy.view import View
from tolaria.seams import BATCH_READY, NO_TAPS, WEIGHTS_UPDATED, Batch, Seam, T, Taps
from tolaria.tasks import TASKS
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point

STEPS = 6
# Graphs need a device; without one they are held against the loop on a played one.
ON_CPU = [name for name in POOLS if name != "graphs"]
CONFIG = EnvConfig(STEPS, TrainingConfig(batches_per_step=2))
# What every environment does, so that seeds grow in all of them.
MOVES = {0: Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp"), 1: Action(op=Op.ADVANCE, slot="s0")}


class NanIn:
    """Breaks the hosts of some environments for good, in step 2."""

    def __init__(self, *envs: int) -> None:
        self.envs = envs

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is WEIGHTS_UPDATED and at.step == 2 and at.env in self.envs:
            with torch.no_grad():
                value.host.head.weight.fill_(math.nan)  # type: ignore[attr-defined]  # the seam passes a trainee
        return value


class BatchOverwritten:
    """Puts other numbers into the training batches of environment 0, in place."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is BATCH_READY and at.env == 0:
            assert isinstance(value, Batch)
            value.inputs.fill_(0.5)
            value.targets.fill_(0)
        return value


class Played:
    """N environments after six steps; an environment that is left out is retired from the start."""

    def __init__(self, num_envs: int, taps: Taps = NO_TAPS, retired: Sequence[int] = (), backend: str = "loop") -> None:
        self.events: list[Event] = []
        self.envs = VectorEnv(TASKS["spirals"](), CONFIG, num_envs, 0, torch.device("cpu"), taps, self.events.append, POOLS[backend]())
        self.envs.retired.update(retired)
        self.views: list[list[View]] = []
        for step in range(STEPS):
            views = self.envs.views()
            self.views.append(views)
            self.envs.advance(views, [MOVES.get(step, WAIT)] * len(views), step)

    def state(self, env: int) -> tuple[list[str], list[View], dict[str, torch.Tensor]]:
        """Everything that an environment told, showed and holds."""
        told = [repr(event) for event in self.events if event.at.env == env]
        shown = [view for views in self.views for view in views if view.env == env]
        return told, shown, self.envs.envs[env].training.all_tensors()


def assert_untouched(ours: Played, theirs: Played, envs: Sequence[int]) -> None:
    for env in envs:
        (told, shown, tensors), (told_too, shown_too, tensors_too) = ours.state(env), theirs.state(env)
        assert told == told_too
        assert shown == shown_too
        assert tensors.keys() == tensors_too.keys()
        assert [name for name in tensors if not torch.equal(tensors[name], tensors_too[name])] == []


@pytest.mark.parametrize("backend", ON_CPU)
def test_removing_an_environment_leaves_the_others_unchanged(backend: str) -> None:
    assert_untouched(Played(2, backend=backend), Played(3, backend=backend), (0, 1))


@pytest.mark.parametrize("backend", ON_CPU)
@pytest.mark.parametrize("struck", [(1,), (0, 2)])
def test_others_notice_nothing_of_one_that_is_struck(struck: tuple[int, ...], backend: str) -> None:
    calm, broken = Played(3, backend=backend), Played(3, NanIn(*struck), backend=backend)
    assert_untouched(calm, broken, [env for env in range(3) if env not in struck])
    assert all(calm.state(env)[0] != broken.state(env)[0] for env in struck)


@pytest.mark.parametrize("backend", ON_CPU)
def test_a_batch_that_is_overwritten_in_place_is_nobody_elses(backend: str) -> None:
    calm, overwritten = Played(3, backend=backend), Played(3, BatchOverwritten(), backend=backend)
    assert_untouched(calm, overwritten, (1, 2))
    assert calm.state(0)[0] != overwritten.state(0)[0]


@pytest.mark.parametrize("backend", ON_CPU)
def test_others_notice_nothing_of_one_that_is_retired(backend: str) -> None:
    assert_untouched(Played(3, backend=backend), Played(3, retired=(1,), backend=backend), (0, 2))


def test_every_environment_is_another_world() -> None:
    played = Played(3)
    heads = [env.training.host.head.weight for env in played.envs.envs]
    assert not any(torch.equal(heads[i], heads[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_a_retired_environment_is_stepped_no_more() -> None:
    played = Played(3, retired=(1,))
    assert [view.env for view in played.views[0]] == [0, 2]
    assert [env.env for env in played.envs.active] == [0, 2]
    assert played.state(1)[0] == []
    assert played.envs.envs[1].course.step == 0


def test_nothing_draws_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    Played(2)
    assert torch.equal(torch.get_rng_state(), before)


def spirals_on(build: Callable[[int], Host]) -> Task:
    def frozen(seed: int) -> Host:
        host = build(seed)
        host.requires_grad_(False)
        return host

    return replace(TASKS["spirals"](), build_host=frozen)


def grafted(seed: int) -> Host:
    with seeded(seed):
        network = nn.Sequential(nn.Linear(2, 16), nn.ReLU(inplace=True), nn.Linear(16, 16), nn.ReLU(inplace=True), nn.Linear(16, 3))
    return graft(network, ["0", "2"], torch.zeros(4, 2))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("build", [TASKS["spirals"]().build_host, grafted], ids=["perceptron", "grafted"])
@pytest.mark.parametrize("backend", ON_CPU)
def test_a_seed_in_a_frozen_network_learns_is_blended_and_is_committed(backend: str, build: Callable[[int], Host], objective: str) -> None:
    config = EnvConfig(9, TrainingConfig(seed_objective=objective), OPEN)
    envs = VectorEnv(spirals_on(build), config, 2, 0, torch.device("cpu"), pool=POOLS[backend]())
    hosts = [env.training.host for env in envs.envs]
    own = [{name: parameter.clone() for name, parameter in host.own_parameters().items()} for host in hosts]
    seeds: list[list[torch.Tensor]] = []
    for step, op in enumerate((Op.WAIT, Op.GERMINATE, Op.ADVANCE, Op.WAIT, Op.ADVANCE, Op.WAIT, Op.ADVANCE, Op.WAIT, Op.FOSSILIZE)):
        action = Action(op=op, slot="s0", blueprint="residual_mlp", tempo=1)
        came = envs.advance(envs.views(), [action, WAIT], step)
        assert isinstance(came[0], Outcome), came[0]
        assert isinstance(came[1], Outcome), came[1]
        assert came[0].accepted, op
        seeds.append([tensor.detach().clone() for tensor in hosts[0].seed_tensors("s0").values()])
    assert hosts[0].slot_states()["s0"].stage is Stage.FOSSILIZED
    # From step to step: twice in isolation, not at alpha 0, then blended and held; committed it has learnt.
    changed = [any(not torch.equal(*pair) for pair in zip(*both, strict=True)) for both in pairwise(seeds[1:])]
    assert changed == [True, True, False, True, True, True, False]
    assert came[0].vitals.val_loss < came[1].vitals.val_loss
    for host, before in zip(hosts, own, strict=True):
        assert all(torch.equal(parameter, before[name]) for name, parameter in host.own_parameters().items())
