"""A gradient that is not finite leaves weights, moments and step counters as they were, and later steps as they would be."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.gate import Gate, flag_of, gated_step

Make = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, fused=True),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, fused=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1, amsgrad=True, fused=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, fused=True),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.1, fused=True),
}
BAD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Trained:
    """Three parameters of odd sizes, and gradients that are the same for every instance."""

    def __init__(self, make: Make, gated: bool = True) -> None:
        self.random = torch.Generator().manual_seed(0)
        self.parameters = [torch.nn.Parameter(torch.randn(shape, generator=self.random)) for shape in ((65, 7), (3,), ())]
        self.optimizer = make(self.parameters)
        self.gate = Gate([self.optimizer]) if gated else None

    def gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = torch.randn(parameter.shape, generator=self.random)

    def step(self, bad: float | None = None) -> None:
        self.gradients()
        if bad is not None:
            self.parameters[0].grad[64, 6] = bad
        self.optimizer.step()

    def skip(self) -> None:
        """What a loop does that leaves a batch out."""
        self.gradients()

    def bytes(self) -> dict[str, bytes]:
        held = {f"{number}": parameter.detach() for number, parameter in enumerate(self.parameters)}
        for number, parameter in enumerate(self.parameters):
            held |= {f"{number}/{key}": value for key, value in self.optimizer.state.get(parameter, {}).items()}
        return {name: tensor.numpy().tobytes() for name, tensor in held.items()}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_single_bad_number_leaves_every_byte_as_it_was(make: Make, bad: float) -> None:
    trained = Trained(make)
    for _ in range(3):
        trained.step()
    before = trained.bytes()
    trained.step(bad)
    assert trained.bytes() == before
    trained.step()
    assert trained.bytes() != before


@pytest.mark.parametrize("gated_at", [0, 1, 4])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_steps_that_follow_are_those_of_a_run_that_left_the_batch_out(make: Make, gated_at: int) -> None:
    struck, spared = Trained(make), Trained(make)
    for step in range(8):
        struck.step(math.nan if step == gated_at else None)
        spared.skip() if step == gated_at else spared.step()
    assert struck.bytes() == spared.bytes()


def test_a_healthy_step_is_the_step_of_an_optimizer_that_nobody_gates() -> None:
    gated, free = Trained(OPTIMIZERS["adamw"]), Trained(OPTIMIZERS["adamw"], gated=False)
    for _ in range(5):
        gated.step()
        free.step()
    assert gated.bytes() == free.bytes()


def test_a_gated_first_step_leaves_no_uninitialised_momentum() -> None:
    trained = Trained(OPTIMIZERS["momentum"])
    # Whatever memory is given out next was full of NaN.
    del (rubbish := [torch.full((65, 7), math.nan) for _ in range(50)])[:]
    trained.step(math.nan)
    assert rubbish == []
    assert all(bool((trained.optimizer.state[p]["momentum_buffer"] == 0.0).all()) for p in trained.parameters)


def test_a_step_is_gated_by_the_norm_that_clipping_gives() -> None:
    trained = Trained(OPTIMIZERS["adam"], gated=False)
    trained.step()
    before = trained.bytes()
    trained.gradients()
    trained.parameters[1].grad[0] = math.inf
    gated_step(trained.optimizer, flag_of(torch.nn.utils.clip_grad_norm_(trained.parameters, 1.0)))
    assert trained.bytes() == before
    assert not hasattr(trained.optimizer, "found_inf")


def test_gradients_whose_norm_overflows_are_no_reason_to_gate() -> None:
    trained = Trained(OPTIMIZERS["adamw"])
    before = trained.bytes()
    for parameter in trained.parameters:
        parameter.grad = torch.full_like(parameter, 1e38)
    trained.optimizer.step()
    flag = trained.gate.take()
    assert flag is not None
    assert float(flag) == 0.0
    assert trained.bytes() != before


def test_the_flag_is_that_of_all_steps_since_it_was_asked_for() -> None:
    trained = Trained(OPTIMIZERS["sgd"])
    flags = []
    for bads in ([None], [None, math.nan], [math.inf, None], [None]):
        for bad in bads:
            trained.step(bad)
        flags.append(float(trained.gate.take()))
    assert flags == [0.0, 1.0, 1.0, 0.0]
    assert trained.gate.take() is None


@pytest.mark.parametrize("unscaled", [False, True], ids=["scaled", "unscaled"])
def test_a_scaler_that_overflows_is_heard_and_halves_its_scale(unscaled: bool) -> None:
    trained = Trained(OPTIMIZERS["adamw"])
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=100)
    flags = []
    for bad in (None, math.inf, None):
        scaler.scale(torch.zeros(()))
        before = trained.bytes()
        trained.gradients()
        if bad is not None:
            trained.parameters[2].grad.fill_(bad)
        if unscaled:
            scaler.unscale_(trained.optimizer)
        scaler.step(trained.optimizer)
        scaler.update()
        assert (trained.bytes() == before) == (bad is not None)
        flags.append(float(trained.gate.take()))
    assert flags == [0.0, 1.0, 0.0]
    assert scaler.get_scale() == 8.0
    assert not hasattr(trained.optimizer, "found_inf")


def test_what_goes_bad_after_the_scaler_has_looked_is_gated_too() -> None:
    trained = Trained(OPTIMIZERS["adamw"])
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
    scaler.scale(torch.zeros(()))
    trained.gradients()
    scaler.unscale_(trained.optimizer)
    trained.parameters[0].grad[0, 0] = math.nan
    before = [parameter.detach().clone() for parameter in trained.parameters]
    scaler.step(trained.optimizer)
    assert all(torch.equal(one, other) for one, other in zip(trained.parameters, before, strict=True))


def test_a_step_that_raised_gates_no_later_one() -> None:
    trained = Trained(OPTIMIZERS["momentum"])
    trained.step()
    trained.parameters[0].grad[0, 0] = math.nan
    hook = trained.optimizer.register_step_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained.optimizer.step()
    hook.remove()
    before = trained.bytes()
    trained.step()
    assert trained.bytes() != before


def test_a_closed_gate_lets_everything_through() -> None:
    trained = Trained(OPTIMIZERS["sgd"])
    trained.gate.close()
    trained.step(math.nan)
    assert math.isnan(trained.parameters[0][64, 6].item())


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (torch.optim.Adam, "Adam without fused kernels"),
        (torch.optim.RMSprop, "RMSprop without fused kernels"),
        (lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, dampening=0.5, fused=True), "SGD with dampening"),
    ],
)
def test_an_optimizer_that_cannot_be_gated_is_refused(make: Make, complaint: str) -> None:
    parameters = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises(ConfigError, match=f"gate.optimizer.1.*{complaint}"):
        Gate([torch.optim.SGD(parameters, lr=0.1, fused=True), make(parameters)])


def test_a_closure_is_refused_because_its_gradients_come_too_late() -> None:
    trained = Trained(OPTIMIZERS["sgd"])
    trained.gradients()
    with pytest.raises(ConfigError, match="closure"):
        trained.optimizer.step(lambda: torch.zeros(()))
    trained.optimizer.step(None)
