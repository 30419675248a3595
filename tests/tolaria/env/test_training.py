import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import Stage
from tolaria.seams import GRADIENTS_READY, NO_TAPS, Seam, T, Taps
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import UpdateGated
from tolaria.telemetry.growth_events import StageChanged

# Builds a host in training and keeps what it tells.
MakeHost = Callable[..., Any]


def step(host: Any, number: int, action: Action | None, gates: GateConfig) -> float:
    at = Point(number, 0)
    if action is not None:
        assert host.apply(action, gates, at)
    trained = host.train(at)
    host.tick(at)
    host.measure_seeds(Point(0, 0))
    return float(trained.loss)


def germinate(slot: str = "s0", blueprint: str = "residual_mlp") -> Action:
    return Action(op=Op.GERMINATE, slot=slot, blueprint=blueprint, tempo=2)


def own_tensors(host: Any) -> dict[str, torch.Tensor]:
    """The host's own weights and optimizer state, whatever grows in its slots."""
    return {
        name: tensor.clone()
        for name, tensor in host.all_tensors().items()
        if name.removeprefix("optimizer/").startswith(("host/blocks", "host/head"))
    }


def poison_seed(host: Any, slot: str) -> None:
    with torch.no_grad():
        for parameter in host.host.slot(slot).seed.parameters():
            parameter.fill_(math.nan)


def assert_equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_training_learns(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host(batches_per_step=10).subject
    before = host.validate()[0]
    for number in range(20):
        step(host, number, None, open_gates)
    assert host.validate()[0] < 0.6 * before


def test_the_same_seed_trains_to_the_same_bytes_and_another_does_not(make_host: MakeHost, open_gates: GateConfig) -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        host = make_host(seed).subject
        for number in range(4):
            step(host, number, germinate() if number == 1 else None, open_gates)
        return {name: tensor.clone() for name, tensor in host.all_tensors().items()}

    assert_equal(trained(3), trained(3))
    assert not torch.equal(trained(3)["host/head.weight"], trained(4)["host/head.weight"])


def test_the_learning_rate_is_a_function_of_the_batches_alone(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host(warmup_batches=4, learning_rate=0.2, seed_lr_factor=0.5).subject
    assert [host.learning_rate("host")] == [pytest.approx(0.05)]
    step(host, 0, germinate(), open_gates)
    step(host, 1, Action(op=Op.ADVANCE, slot="s0"), open_gates)
    # The host has stepped 4 batches; the seed 2, and so stands before its third.
    assert host.learning_rate("host") == pytest.approx(0.2)
    assert host.learning_rate("s0.1") == pytest.approx(0.075)
    assert host.optimizers["s0.1"].param_groups[0]["lr"] == pytest.approx(0.05)
    host.batches_stepped["host"] = 1
    assert host.learning_rate("host") == pytest.approx(0.1)


def assert_optimizers_hold_what_learns(host: Any) -> None:
    held = [parameter for optimizer in host.optimizers.values() for group in optimizer.param_groups for parameter in group["params"]]
    germinated = tuple(f"slots.{slot}." for slot, state in host.host.slot_states().items() if state.stage is Stage.GERMINATED)
    learning = [
        parameter for name, parameter in host.host.named_parameters() if parameter.requires_grad and not name.startswith(germinated)
    ]
    assert len(held) == len(learning)
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in learning}
    assert host.batches_stepped.keys() == host.optimizers.keys()


def test_optimizers_hold_exactly_what_learns_after_every_move(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    script: list[Action | None] = [
        germinate("s0"),
        Action(op=Op.ADVANCE, slot="s0"),
        germinate("s1", "mlp_norm"),
        Action(op=Op.ADVANCE, slot="s0"),
        Action(op=Op.ADVANCE, slot="s1"),
        Action(op=Op.ADVANCE, slot="s0"),
        Action(op=Op.RETARGET, slot="s0", alpha_speed=0),
        Action(op=Op.ADVANCE, slot="s0"),
        Action(op=Op.PRUNE, slot="s1"),
        Action(op=Op.FOSSILIZE, slot="s0"),
        *[None] * 7,
        germinate("s1", "linear_bottleneck"),
        Action(op=Op.ADVANCE, slot="s1"),
    ]
    keys = []
    for number, action in enumerate(script):
        if action is not None:
            assert host.apply(action, open_gates, Point(number, 0))
            assert_optimizers_hold_what_learns(host)
        step(host, number, None, open_gates)
        assert_optimizers_hold_what_learns(host)
        keys.append(sorted(host.optimizers))
    assert keys[7] == ["host", "s0.1", "s1.1"]
    assert keys[9] == ["host"]
    assert keys[-1] == ["host", "s1.2"]


def test_a_fossil_is_trained_no_more(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    moves = [
        germinate(),
        *[Action(op=Op.ADVANCE, slot="s0")] * 2,
        None,
        Action(op=Op.ADVANCE, slot="s0"),
        Action(op=Op.FOSSILIZE, slot="s0"),
    ]
    for number, action in enumerate(moves):
        step(host, number, action, open_gates)
    before = {name: tensor.clone() for name, tensor in host.host.seed_tensors("s0").items()}
    for number in range(6, 9):
        step(host, number, None, open_gates)
    assert host.state("s0").stage is Stage.FOSSILIZED
    assert_equal(dict(host.host.seed_tensors("s0")), before)


@pytest.mark.parametrize("spoiled", [False, True], ids=["a sound seed", "a seed of NaN"])
def test_a_host_does_not_notice_the_seed_that_learns_beside_it(spoiled: bool, make_host: MakeHost, open_gates: GateConfig) -> None:
    host, twin = make_host().subject, make_host().subject
    moves = [germinate(), Action(op=Op.ADVANCE, slot="s0"), None, None]
    for number, action in enumerate(moves):
        if spoiled and number == 2:
            poison_seed(host, "s0")
        step(host, number, action, open_gates)
        step(twin, number, None, open_gates)
        assert_equal(own_tensors(host), own_tensors(twin))


def test_a_seed_is_not_credited_with_what_its_host_learns(make_host: MakeHost, open_gates: GateConfig) -> None:
    # The seed learns nothing, so its residual stays zero.
    host = make_host(batches_per_step=10, seed_lr_factor=0.0).subject
    before = host.validate()[1]
    for number, action in enumerate([germinate(), *[Action(op=Op.ADVANCE, slot="s0")] * 2, *[None] * 9]):
        step(host, number, action, open_gates)
    assert host.state("s0").alpha == 1.0
    assert host.validate()[1] > before + 0.1
    assert host.state("s0").contribution == 0.0


def test_a_seed_that_learns_beside_its_host_does_learn(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    step(host, 0, germinate(), open_gates)
    before = {name: tensor.clone() for name, tensor in host.host.seed_tensors("s0").items()}
    step(host, 1, Action(op=Op.ADVANCE, slot="s0"), open_gates)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in host.host.seed_tensors("s0").items())
    assert host.state("s0").magnitude > 0.0


def test_a_spoiled_seed_in_training_is_pruned_by_the_environment_and_alarms_nobody(make_host: MakeHost, open_gates: GateConfig) -> None:
    told = make_host()
    host = told.subject
    step(host, 0, germinate(), open_gates)
    step(host, 1, Action(op=Op.ADVANCE, slot="s0"), open_gates)
    poison_seed(host, "s0")
    at = Point(2, 0)
    assert host.nonfinite_places() == ()
    trained = host.train(at)
    host.tick(at)
    assert host.vitals(at, trained, scan=True).finite
    pruned = [event for event in told.of(StageChanged) if event.stage_to is Stage.PRUNED]
    assert [(event.slot, event.reason, event.initiator) for event in pruned] == [("s0", "not finite", "environment")]
    assert host.host.slot("s0").seed is None
    assert sorted(host.optimizers) == ["host"]


def test_a_fossil_without_strength_that_is_spoiled_stays_where_the_table_leaves_it(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    moves = [
        Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp", tempo=1, alpha_target=0.0),
        *[Action(op=Op.ADVANCE, slot="s0")] * 3,
        Action(op=Op.FOSSILIZE, slot="s0"),
    ]
    for number, action in enumerate(moves):
        step(host, number, action, open_gates)
    poison_seed(host, "s0")
    step(host, 5, None, open_gates)
    assert host.state("s0").stage is Stage.FOSSILIZED
    assert math.isfinite(host.validate()[0])


@pytest.mark.parametrize(
    ("place", "value"), [("parameters", math.nan), ("parameters", math.inf), ("optimizer", math.nan), ("optimizer", -math.inf)]
)
def test_the_scan_names_where_something_is_not_finite(place: str, value: float, make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    step(host, 0, None, open_gates)
    assert host.nonfinite_places() == ()
    parameter = host.host.head.weight
    target = parameter.detach() if place == "parameters" else host.optimizers["host"].state[parameter]["momentum_buffer"]
    target.view(-1)[0] = value
    assert host.nonfinite_places() == (place,)


def test_the_scan_sees_a_spoiled_seed_that_is_blended(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    for number, action in enumerate([germinate(), *[Action(op=Op.ADVANCE, slot="s0")] * 2]):
        step(host, number, action, open_gates)
    assert host.state("s0").alpha == 0.5
    poison_seed(host, "s0")
    assert host.nonfinite_places() == ("parameters",)


def test_validation_changes_nothing(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host().subject
    step(host, 0, None, open_gates)
    before = {name: tensor.clone() for name, tensor in host.all_tensors().items()}
    assert host.validate() == host.validate()
    host.validate("test")
    assert_equal(dict(host.all_tensors()), before)


def test_validation_counts_every_sample_once(make_host: MakeHost) -> None:
    host = make_host().subject
    loss, accuracy = host.validate()
    data = host.task.validation
    # More samples than whole batches hold.
    assert len(data.targets) % host.task.batch_size != 0
    each = [torch.nn.functional.cross_entropy(host.host(x[None]), y[None]).item() for x, y in zip(data.inputs, data.targets, strict=True)]
    hits = [int(host.host(x[None]).argmax()) == int(y) for x, y in zip(data.inputs, data.targets, strict=True)]
    assert (loss, accuracy) == (pytest.approx(sum(each) / len(each), rel=1e-5), pytest.approx(sum(hits) / len(hits)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_either_optimizer_trains(optimizer: str, make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host(optimizer=optimizer, learning_rate=0.01).subject
    before = host.host.head.weight.clone()
    step(host, 0, None, open_gates)
    assert bool(host.host.head.weight.isfinite().all())
    assert not torch.equal(host.host.head.weight, before)


def test_a_probe_reads_only_and_is_none_where_there_is_no_number(make_host: MakeHost) -> None:
    host = make_host().subject
    before = {name: tensor.clone() for name, tensor in host.all_tensors().items()}
    position = host.batches.position
    probe = host.probe()
    assert probe.loss == host.validate()[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in host.all_tensors().items())
    assert host.batches.position == position
    with torch.no_grad():
        host.host.own_parameters()["head.bias"].fill_(float("nan"))
    assert host.probe() is None


# The gate.


class Gradients:
    """Taps that change gradients of the host or of the seed in "s0", in one batch of one step."""

    def __init__(self, step: int, batches: tuple[int, ...], value: float | None, prefix: str = "") -> None:
        self.step, self.batches, self.value, self.prefix = step, batches, value, prefix

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is GRADIENTS_READY and at.step == self.step and at.batch in self.batches:
            for name, parameter in value.host.named_parameters():
                if self.value is None:
                    # Nothing to step with: as if the batch had been left out.
                    parameter.grad = None
                elif parameter.grad is not None and name.startswith(self.prefix):
                    parameter.grad.view(-1)[0] = self.value
        return value


GROWING = [
    germinate(),
    Action(op=Op.ADVANCE, slot="s0"),
    Action(op=Op.ADVANCE, slot="s0"),
    *[None] * 3,
]


def grown(make_host: MakeHost, gates: GateConfig, taps: Taps, **settings: Any) -> Any:
    """A host with a seed in TRAINING in step 1 and blended from step 2 on."""
    told = make_host(taps=taps, **({"gate": True, "batches_per_step": 3, "warmup_batches": 0} | settings))
    told.subject.losses = [step(told.subject, number, action, gates) for number, action in enumerate(GROWING)]
    return told


def bytes_of(host: Any) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in host.all_tensors().items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("struck", [0, 1, 3])
def test_a_gated_host_goes_on_as_if_the_bad_batch_had_been_left_out(
    struck: int, optimizer: str, make_host: MakeHost, open_gates: GateConfig
) -> None:
    bad = grown(make_host, open_gates, Gradients(struck, (1,), math.nan), optimizer=optimizer, learning_rate=0.01)
    left_out = grown(make_host, open_gates, Gradients(struck, (1,), None), optimizer=optimizer, learning_rate=0.01)
    assert bytes_of(bad.subject) == bytes_of(left_out.subject)
    assert bad.of(UpdateGated) == [UpdateGated(Point(struck, 0), struck, (1,))]
    assert all(map(math.isfinite, bad.subject.losses))


def test_a_healthy_gated_host_tells_nothing_and_learns_like_one_without_a_gate(make_host: MakeHost, open_gates: GateConfig) -> None:
    gated, free = (grown(make_host, open_gates, NO_TAPS, gate=gate) for gate in (True, False))
    assert gated.of(UpdateGated) == []
    # The fused kernels round differently.
    assert gated.subject.losses == pytest.approx(free.subject.losses, rel=1e-4)


def test_a_step_of_which_nothing_came_through_has_no_loss(make_host: MakeHost, open_gates: GateConfig) -> None:
    told = grown(make_host, open_gates, Gradients(4, (0, 1, 2), math.inf))
    assert [math.isnan(loss) for loss in told.subject.losses] == [False] * 4 + [True, False]
    assert [event.batches for event in told.of(UpdateGated)] == [(0, 1, 2)]


def test_the_bad_gradient_of_an_isolated_seed_is_left_out_without_a_word(make_host: MakeHost, open_gates: GateConfig) -> None:
    told = grown(make_host, open_gates, Gradients(1, (0,), math.nan, "slots.s0.seed"))
    assert told.of(UpdateGated) == []
    assert told.subject.nonfinite_places() == ()


def test_the_bad_gradient_of_a_blended_seed_is_told_of(make_host: MakeHost, open_gates: GateConfig) -> None:
    told = grown(make_host, open_gates, Gradients(3, (2,), math.nan, "slots.s0.seed"))
    assert [event.batches for event in told.of(UpdateGated)] == [(2,)]
    assert told.subject.nonfinite_places() == ()


def test_vitals_say_that_something_was_gated(make_host: MakeHost) -> None:
    host = make_host(taps=Gradients(1, (0,), math.nan), gate=True).subject
    assert [host.vitals(at, host.train(at), scan=True).gated for at in (Point(0, 0), Point(1, 0))] == [False, True]


def test_a_seed_that_began_to_train_after_the_last_batch_is_measured_later(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = make_host(batches_per_step=1).subject
    step(host, 0, germinate(), open_gates)
    host.advance("s0", Point(0, 0), "moved in the middle of a step", "test")
    host.measure_seeds(Point(0, 0))
    assert (host.state("s0").stage, host.state("s0").magnitude) == (Stage.TRAINING, None)
    step(host, 1, None, open_gates)
    assert host.state("s0").magnitude > 0.0
