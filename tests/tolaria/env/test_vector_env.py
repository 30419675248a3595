import math
from collections.abc import Sequence

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig
from tolaria.env.vector_env import POOLS, VectorEnv
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.policy.view import View
from tolaria.seams import BATCH_READY, NO_TAPS, WEIGHTS_UPDATED, Batch, Seam, T, Taps
from tolaria.tasks import TASKS
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
