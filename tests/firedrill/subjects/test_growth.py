"""What the harness sees of a host must not rest on what the host says of itself."""

import pytest
import torch

from firedrill.subjects.growth import digest_of, host_names, lasting_tensors_of, occupied_slots, tensors_of
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point

AT = Point(0, 0)
SEED = "host/slots.s0.seed."


@pytest.fixture
def host() -> CapsuleHost:
    """A host on spirals that has trained one step with a seed in slot s0."""
    host = CapsuleHost(TASKS["spirals"](), TrainingConfig(batches_per_step=1), 7, torch.device("cpu"), NO_TAPS, lambda _: None)
    for move in (Action(Op.GERMINATE, "s0", "linear_bottleneck"), Action(Op.ADVANCE, "s0")):
        assert host.apply(move, GateConfig(), AT)
    host.train(AT)
    return host


def test_what_a_host_forgets_to_save_is_seen(host: CapsuleHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.host, "tensors", dict)
    monkeypatch.setattr(host, "stable_tensors", dict)
    assert {"host/head.weight", "optimizer/host/head.weight/momentum_buffer"} <= lasting_tensors_of(host, "prune").keys()


def test_a_growing_seed_does_not_last(host: CapsuleHost) -> None:
    everything = tensors_of(host).keys()
    gone = everything - lasting_tensors_of(host, "prune").keys()
    assert any(name.startswith(SEED) for name in everything)
    assert gone == {name for name in everything if name.startswith((SEED, "optimizer/s0.1/"))}


def test_a_growing_seed_lasts_where_live_seeds_are_restored(host: CapsuleHost) -> None:
    assert lasting_tensors_of(host, "restore").keys() == tensors_of(host).keys()


def test_state_of_a_parameter_that_is_gone_has_no_owner(host: CapsuleHost) -> None:
    host.host.slot("s0").seed = None
    assert "optimizer/s0.1/unknown/momentum_buffer" in tensors_of(host)


def test_a_seed_that_was_left_in_a_resting_slot_occupies_it(host: CapsuleHost) -> None:
    slot = host.host.slot("s0")
    slot.state = slot.state.pruned()
    assert occupied_slots(host) == ("s0",)


def test_names_of_the_host_are_those_without_optimizers() -> None:
    assert host_names(["host/head.weight", "optimizer/host/head.weight/step"]) == {"host/head.weight"}


def test_a_digest_does_not_depend_on_the_order_of_names() -> None:
    one, two = torch.zeros(2), torch.ones(3)
    assert digest_of({"a": one, "b": two}) == digest_of({"b": two, "a": one}) != digest_of({"a": two, "b": one})
