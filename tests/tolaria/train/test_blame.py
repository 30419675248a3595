import math

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.env.training import Trained
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.ppo.penalty import Cause
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.train.blame import Ablations, ablate, causes_of, health

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 1.0), (2.0, math.exp(-1.0)), (math.nan, 0.0), (math.inf, 0.0)])
def test_a_loss_that_is_no_number_is_no_health(loss: float, expected: float) -> None:
    assert health(loss, 2.0) == pytest.approx(expected)


def test_seeds_are_blamed_by_how_much_taking_them_out_undoes() -> None:
    ablations = Ablations(0.25, {"s0": 0.75, "s1": 0.5, "s2": 0.125})
    assert ablations.parts(("s0", "s1", "s2")) == pytest.approx({"s0": 2 / 3, "s1": 1 / 3, "s2": 0.0})
    assert ablations.parts(("s1", "s2")) == {"s1": 1.0, "s2": 0.0}


def test_seeds_are_blamed_alike_where_no_ablation_undoes_anything() -> None:
    assert Ablations(0.5, {"s0": 0.5, "s1": 0.25}).parts(("s0", "s1")) == {"s0": 0.5, "s1": 0.5}
    assert Ablations().parts(("s0", "s1")) == {"s0": 0.5, "s1": 0.5}


def test_a_single_seed_is_blamed_alone_and_no_seed_not_at_all() -> None:
    assert Ablations().parts(("s1",)) == {"s1": 1.0}
    assert Ablations().parts(()) == {}


def test_the_latest_decision_on_a_pruned_seed_is_the_cause() -> None:
    touched = {"s0": 3, "s1": 7}
    causes = causes_of(touched, Ablations(0.0, {"s0": 0.75, "s1": 0.25}), ("s0", "s1"))
    assert causes == (Cause(3, 0.75), Cause(7, 0.25))
    assert causes_of(touched, Ablations(), ("s1",)) == (Cause(7, 1.0),)


def test_a_seed_that_nobody_decided_on_leaves_its_part_with_nobody() -> None:
    assert causes_of({"s1": 7}, Ablations(), ("s0", "s1")) == (Cause(7, 0.5),)


def grown() -> CapsuleHost:
    """A host of spirals with two seeds that are blended in."""
    config = TrainingConfig(batches_per_step=2)
    host = CapsuleHost(TASKS["spirals"](), config, 0, torch.device("cpu"), NO_TAPS, lambda _: None)
    for slot in ("s0", "s1"):
        for op in (Op.GERMINATE, Op.ADVANCE, Op.ADVANCE):
            assert host.apply(Action(op=op, slot=slot, blueprint="residual_mlp", tempo=1), OPEN, Point(0, 0))
            host.train(Point(0, 0))
            host.tick(Point(0, 0))
            host.measure_seeds(0.5)
    return host


@pytest.mark.parametrize("value", [1e4, math.nan])
def test_a_seed_that_broke_its_host_is_blamed_alone(value: float) -> None:
    host = grown()
    broken = host.host.slot("s1")
    with torch.no_grad():
        for parameter in broken.seed.parameters():
            parameter.fill_(value)
    before = digest(host)
    vitals = host.vitals(Point(3, 0), Trained(0.5, 1.0, False), False)
    ablations = ablate(host, vitals, host.task.chance_loss)
    assert ablations.parts(("s0", "s1"))["s1"] > 0.99
    assert ablations.collapsed < min(0.01, ablations.without["s1"])
    assert digest(host) == before


def test_a_host_that_is_lost_in_itself_blames_its_seeds_alike() -> None:
    host = grown()
    with torch.no_grad():
        next(host.host.get_submodule("head").parameters()).fill_(math.nan)
    ablations = ablate(host, host.vitals(Point(3, 0), Trained(0.5, 1.0, False), False), host.task.chance_loss)
    assert ablations.parts(("s0", "s1")) == {"s0": 0.5, "s1": 0.5}


def test_an_ablation_that_fails_leaves_its_seed_without_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    host = grown()
    vitals = host.vitals(Point(3, 0), Trained(0.5, 1.0, False), False)

    def fail(*_: object, **__: object) -> tuple[float, float]:
        raise RuntimeError("no memory")

    monkeypatch.setattr(CapsuleHost, "validate", fail)
    assert ablate(host, vitals, host.task.chance_loss).without == {"s0": 0.0, "s1": 0.0}


def test_one_seed_needs_no_ablation(monkeypatch: pytest.MonkeyPatch) -> None:
    host = CapsuleHost(TASKS["spirals"](), TrainingConfig(), 0, torch.device("cpu"), NO_TAPS, lambda _: None)
    assert host.apply(Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp"), OPEN, Point(0, 0))
    vitals = host.vitals(Point(3, 0), Trained(0.5, 1.0, False), False)
    monkeypatch.setattr(CapsuleHost, "validate", None)
    assert ablate(host, vitals, host.task.chance_loss) == Ablations()


def digest(host: CapsuleHost) -> str:
    return repr([(name, tensor.tolist()) for name, tensor in host.all_tensors().items()])
