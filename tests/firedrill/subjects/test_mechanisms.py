"""Every mechanism on a model of two weights, whose gradients are written by hand."""

import math

import pytest
import torch

from firedrill.scenario.subject import MECHANISMS as NAMED
from firedrill.subjects.mechanisms import MECHANISMS, Mechanism, Parts, ReloadOnNan, Stopped, ZClip
from tolaria.governor.config import GovernorConfig
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, SnapshotTaken, UpdateGated

FINE, LOST = torch.tensor(0.5), torch.tensor(math.nan)


class Bench:
    """A model, its optimizer with momentum, and what a mechanism has told."""

    def __init__(self, name: str) -> None:
        self.model = torch.nn.Linear(2, 1, bias=False)
        self.weight.detach().copy_(torch.tensor([[3.0, 4.0]]))
        fused = name == "tolaria_gated"
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, momentum=0.5, fused=fused)
        self.events: list[Event] = []
        parts = Parts(self.model, self.optimizer, None, GovernorConfig(), math.log(2), self.events.append)
        self.mechanism: Mechanism = MECHANISMS[name](parts)

    @property
    def weight(self) -> torch.Tensor:
        return self.model.weight

    def step(self, gradient: list[float], loss: torch.Tensor = FINE) -> list[float]:
        """One step of a loop; returns the gradient that the optimizer got, or nothing."""
        self.weight.grad = torch.tensor([gradient])
        used: list[float] = []
        if self.mechanism.admits():
            used = self.weight.grad[0].tolist()
            self.optimizer.step()
        self.mechanism.after_step(loss)
        return used

    def told(self, kind: type[Event]) -> list[int]:
        """The steps of the events of a kind."""
        return [event.at.step for event in self.events if isinstance(event, kind)]


def test_a_scenario_may_name_every_mechanism() -> None:
    assert set(NAMED["plain_loop"]) == set(MECHANISMS)


@pytest.mark.parametrize("name", sorted(set(MECHANISMS) - {"clip_norm"}))
def test_an_ordinary_step_is_left_as_it_is(name: str) -> None:
    bench = Bench(name)
    assert [bench.step([0.3, 0.4]) for _ in range(30)] == [pytest.approx([0.3, 0.4])] * 30
    assert not bench.told(RolledBack) + bench.told(EnvironmentRetired) + bench.told(UpdateGated)


def test_a_clipped_gradient_keeps_its_direction_and_has_a_norm_of_1() -> None:
    assert Bench("clip_norm").step([30.0, 40.0]) == pytest.approx([0.6, 0.8], rel=1e-4)


def test_zclip_clips_an_outlier_to_what_its_paper_says_and_remembers_the_clipped_norm() -> None:
    """After norms of 1 and 3 in turn, mean and deviation are 1.96 and 0.9992; a norm of 50 has a z of 48.08."""
    bench = Bench("zclip")
    for number in range(25):
        bench.step([0.0, 3.0 if number % 2 else 1.0])
    assert bench.step([30.0, 40.0]) == pytest.approx([0.6 * 2.0899, 0.8 * 2.0899], rel=1e-3)
    zclip = bench.mechanism
    assert isinstance(zclip, ZClip)
    assert zclip._mean == pytest.approx(0.97 * 1.96 + 0.03 * 2.0899, rel=1e-4)


@pytest.mark.parametrize("name", ["none", "clip_norm", "zclip", "terminate_on_nan", "reload_on_nan", "tolaria"])
def test_a_gradient_that_is_not_finite_passes_who_does_not_look_for_it(name: str) -> None:
    bench = Bench(name)
    bench.step([math.nan, 1.0])
    assert bench.weight.isnan().any()


@pytest.mark.parametrize("name", ["skip_non_finite", "tolaria_gated"])
def test_a_step_with_a_gradient_that_is_not_finite_is_left_out_and_told(name: str) -> None:
    bench = Bench(name)
    bench.step([0.3, 0.4])
    before = bench.weight.clone()
    bench.step([math.inf, 1.0])
    assert torch.equal(bench.weight, before)
    assert bench.told(UpdateGated) == [2]


def test_a_loss_that_is_not_finite_ends_the_training_and_mends_nothing() -> None:
    bench = Bench("terminate_on_nan")
    bench.step([0.3, 0.4])
    with pytest.raises(Stopped, match="batch 1"):
        bench.step([math.nan, 1.0], LOST)
    assert bench.told(EnvironmentRetired) == [2]
    assert bench.weight.isnan().any()


def test_the_last_copy_of_model_and_momentum_is_put_back() -> None:
    bench = Bench("reload_on_nan")
    for _ in range(10):
        bench.step([0.3, 0.4])
    weight, momentum = bench.weight.clone(), bench.optimizer.state[bench.model.weight]["momentum_buffer"].clone()
    bench.step([0.3, 0.4])
    bench.step([math.nan, 1.0], LOST)
    assert torch.equal(bench.weight, weight)
    assert torch.equal(bench.optimizer.state[bench.model.weight]["momentum_buffer"], momentum)
    assert (bench.told(SnapshotTaken), bench.told(Collapsed), bench.told(RolledBack)) == ([0, 10], [12], [12])


def test_a_copy_of_weights_that_were_lost_already_is_put_back_too() -> None:
    """Whoever looks at losses only saves what the next loss will show."""
    bench = Bench("reload_on_nan")
    for number in range(10):
        bench.step([math.nan if number == 9 else 0.3, 0.4])
    bench.step([0.3, 0.4], LOST)
    assert isinstance(bench.mechanism, ReloadOnNan)
    assert bench.weight.isnan().any()


def test_the_governor_puts_the_weights_back() -> None:
    bench = Bench("tolaria")
    for _ in range(12):
        bench.step([0.3, 0.4])
    bench.step([math.nan, 1.0])
    bench.step([0.3, 0.4], LOST)
    assert bench.weight.isfinite().all()
    assert bench.told(RolledBack) == [14]
