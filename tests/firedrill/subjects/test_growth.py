"""What the harness sees of a host must not rest on what the host says of itself."""

import pytest
import torch

from firedrill.events import TensorSeen
from firedrill.subjects.growth import digest_of, host_names, lasting_tensors_of, occupied_slots, raw_bytes, tensors_of, tensors_seen
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_bytes_are_those_of_the_numbers_in_their_order(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1, 0], [0, 1]]).to(dtype)
    width = tensor.element_size()
    assert raw_bytes(tensor[0]) + raw_bytes(tensor[1]) == raw_bytes(tensor)
    assert len(raw_bytes(tensor)) == 4 * width
    apart = torch.arange(4).to(dtype).reshape(2, 2)
    assert raw_bytes(apart.t()) == raw_bytes(apart.t().contiguous()) != raw_bytes(apart) or dtype is torch.bool


def test_bytes_that_were_read_are_not_those_of_later() -> None:
    tensor = torch.zeros(3, requires_grad=True)
    before = raw_bytes(tensor)
    with torch.no_grad():
        tensor.fill_(-0.0)
    assert before == bytes(12) != raw_bytes(tensor)


@pytest.mark.parametrize(
    ("numbers", "nonfinite", "magnitude"),
    [([1.0, -3.0], 0, 3.0), ([float("nan"), -3.0], 1, 3.0), ([float("inf"), float("nan"), 2.0], 2, 2.0), ([-0.0], 0, 0.0), ([], 0, 0.0)],
)
def test_a_tensor_is_seen_with_what_is_not_finite_and_the_largest_of_the_rest(
    numbers: list[float], nonfinite: int, magnitude: float
) -> None:
    tensor = torch.tensor(numbers)
    (seen,) = tensors_seen({"host/x": tensor})
    assert seen == TensorSeen("host/x", seen.digest, nonfinite, magnitude)
