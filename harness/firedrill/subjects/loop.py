"""Training loops that are not ours: what such a loop shows of itself, and how one is made.

    def factory(seed, device, guarded, emit):      # named in a scenario as  loop: package.module:factory
        ...
        return loop                                # anything with the members of `Loop`

The harness drives the loop, a batch a step, and strikes between its pieces:

    inputs, targets = loop.batch()       then the batch may be changed
    loss = loop.loss(inputs, targets)    then the loss
    loop.backward(loss)                  then gradients, before anything clips them
    loop.step(loss)                      the weights right after the optimizer, wherever in `step` that stands
    loop.validate()                      measures the harm; called with nothing struck in between

A loop knows nothing of faults. Its recovery mechanism stands in `step`; without `guarded` the same loop is built without
it, and shows what the fault does where nobody is in its way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from tolaria.governor.config import GovernorConfig
from tolaria.telemetry.event import Event

Emit = Callable[[Event], None]


class Trained(Protocol):
    """What is trained, built and not yet stepped. `chance_loss` is the loss of a model that knows nothing.

    `scaler` is None where there is none. Every parameter that the optimizer holds belongs to the model.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    chance_loss: float

    def validate(self) -> tuple[float, float]:
        """Loss and accuracy in [0, 1] on data that is not trained on; must leave model, data and random streams alone."""
        ...


@runtime_checkable
class Loop(Trained, Protocol):
    """A training loop in pieces, for somebody else to put together."""

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next inputs [B, ...] and targets [B, ...] of training."""
        ...

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The forward pass: one number with its graph."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Leave gradients in the parameters."""

    def step(self, loss: torch.Tensor) -> None:
        """All that follows: clip, step the optimizer, clear the gradients, and whatever brings the loop back when it falls.

        A mechanism that ends the training emits `EnvironmentRetired` and raises; any other exception is a crash.
        """


class Factory(Protocol):
    """What `loop: package.module:factory` names. `emit` takes the events of a mechanism, such as those of tolaria's `watch`."""

    def __call__(self, *, seed: int, device: str, guarded: bool, emit: Emit) -> Loop:
        """The same seed gives the same loop, to the last bit."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be trained, as a subject's builder needs it. `mechanism` "none" is the loop without recovery.

    `factory` is "package.module:attribute" for a loop of somebody else's, and empty otherwise.
    """

    seed: int
    device: str
    steps: int
    mechanism: str
    task: str = "digits"
    optimizer: str = "sgd"
    amp: bool = False
    factory: str = ""
    governor: GovernorConfig = GovernorConfig()


@dataclass(frozen=True, slots=True)
class Learner:
    """A loop's model and optimizers as faults know them; it is a `Trainee` that has no slots."""

    host: torch.nn.Module
    optimizers: Mapping[str, torch.optim.Optimizer]
    scaler: torch.amp.GradScaler | None = None


class NotInstalled(Exception):
    """The framework that a subject needs is missing; says which extra brings it."""


class NoLoop(Exception):
    """What a factory is named, or what it returned, is no loop; says what is missing."""
