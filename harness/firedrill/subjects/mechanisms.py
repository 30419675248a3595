"""What people put around a loop so that it survives: the mechanisms of `plain_loop`, by the names that a scenario writes.

Each is the real thing at the size of a loop, tolaria's guard among them, and none knows of faults. What one does to a run it
tells in the events of every run, so that the same oracles read it: a snapshot taken, a rollback, a step left out, a stop.
A clipper has nothing to tell; whether it helped shows in the loss.
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from firedrill.subjects.loop import Emit
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import watch
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    EnvironmentRetired,
    Remedy,
    RolledBack,
    Rung,
    SnapshotTaken,
    UpdateGated,
    Work,
)

UNGUARDED = "none"
NORM_MAX = 1.0
CHECKPOINT_EVERY = 10


class Stopped(Exception):
    """A mechanism ended the training on purpose."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mechanism may hold on to."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    config: GovernorConfig
    chance_loss: float
    emit: Emit

    @property
    def gradients(self) -> list[torch.Tensor]:
        """Those that the optimizer is about to use."""
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]


class Mechanism:
    """Does nothing: the loop alone. `calls` counts steps from 1, as whoever stands beside a loop does."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.calls = 0

    def admits(self) -> bool:
        """Look at the gradients before the optimizer does, and change them; False leaves the step out."""
        return True

    def after_step(self, loss: torch.Tensor) -> None:
        """Look at the step that was made."""
        self.calls += 1


class ClipNorm(Mechanism):
    """`torch.nn.utils.clip_grad_norm_` with a norm of 1 before every step."""

    def admits(self) -> bool:
        """Always, but never a long step."""
        torch.nn.utils.clip_grad_norm_(self.parts.model.parameters(), NORM_MAX)
        return True


class ZClip(Mechanism):
    """Clips where the norm is an outlier among the norms so far: Kumar et al. 2025, "ZClip", with the settings of its authors.

    Mean and variance of the norm are exponential averages (0.97) that begin with the first 25 norms. Where the z-score z
    exceeds 2.5 the norm becomes mean + 2.5² · deviation / z, which is also what the averages see. The fixed limit of 1 that
    its authors put beside it is left out, because it is a mechanism of its own here.
    """

    ALPHA, LIMIT, WARM_UP = 0.97, 2.5, 25

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._norms: list[float] = []
        self._mean, self._variance = 0.0, 0.0

    def admits(self) -> bool:
        """Always."""
        norm = float(torch.nn.utils.get_total_norm(self.parts.gradients))
        if len(self._norms) < self.WARM_UP:
            self._norms.append(norm)
            self._mean = sum(self._norms) / len(self._norms)
            self._variance = sum((each - self._mean) ** 2 for each in self._norms) / len(self._norms)
            return True
        deviation = math.sqrt(self._variance)
        z = (norm - self._mean) / (deviation + 1e-6)
        seen = norm
        if z > self.LIMIT:
            seen = self._mean + self.LIMIT**2 * deviation / z
            torch.nn.utils.clip_grad_norm_(self.parts.model.parameters(), seen)
        self._mean = self.ALPHA * self._mean + (1 - self.ALPHA) * seen
        self._variance = self.ALPHA * self._variance + (1 - self.ALPHA) * (seen - self._mean) ** 2
        return True


class TerminateOnNan(Mechanism):
    """Ends the training at the first loss that is NaN or Inf, as the callback of Keras does; the model stays as it then is."""

    def after_step(self, loss: torch.Tensor) -> None:
        """Looks at the loss and at nothing else."""
        super().after_step(loss)
        if not torch.isfinite(loss):
            self.parts.emit(EnvironmentRetired(Point(self.calls), 0, f"the loss is {loss.item()}, training is terminated"))
            raise Stopped(f"batch {self.calls - 1}: invalid loss, terminating training")


class SkipNonFinite(Mechanism):
    """Leaves out every step of which a gradient is not finite, as a gradient scaler does."""

    def admits(self) -> bool:
        """Only what is finite."""
        if all_finite(self.parts.gradients):
            return True
        self.parts.emit(UpdateGated(Point(self.calls + 1), self.calls + 1))
        return False


class ReloadOnNan(Mechanism):
    """Copies model and optimizer every ten steps, and puts the last copy back when the loss is not finite: what people write by hand."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._number, self._reloads = -1, 0
        self._save("begin")

    def after_step(self, loss: torch.Tensor) -> None:
        """Reload or, when it is due, save."""
        super().after_step(loss)
        if not torch.isfinite(loss):
            self._reload()
        elif self.calls % CHECKPOINT_EVERY == 0:
            self._save("cadence")

    def _save(self, reason: str) -> None:
        states = (self.parts.model.state_dict(), self.parts.optimizer.state_dict())
        self._number += 1
        self._saved_at, self._saved = self.calls, copy.deepcopy(states)
        self._bytes = sum(tensor.numel() * tensor.element_size() for tensor in states[0].values())
        self.parts.emit(SnapshotTaken(Point(self.calls), self._number, "", self._bytes, reason))

    def _reload(self) -> None:
        at = Point(self.calls)
        self.parts.emit(Collapsed(at, "non_finite", None, None, 0, "the loss"))
        model, optimizer = copy.deepcopy(self._saved)
        self.parts.model.load_state_dict(model)
        self.parts.optimizer.load_state_dict(optimizer)
        self._reloads += 1
        decision = Decision("non_finite", None, None, None, None, 0, (None,), (self.calls - self._saved_at,))
        remedy, work = Remedy(Rung.NEWEST, None, None), Work(1, self._bytes)
        self.parts.emit(RolledBack(at, self._number, self._saved_at, decision, (), "restore", remedy, work, self._reloads))


class Tolaria(Mechanism):
    """The governor, by `watch`."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.guard = watch(parts.model, parts.optimizer, parts.config, chance_loss=parts.chance_loss, scaler=parts.scaler, emit=parts.emit)

    def after_step(self, loss: torch.Tensor) -> None:
        """Hand in the loss."""
        super().after_step(loss)
        self.guard.after_step(loss.detach())


class TolariaGated(Tolaria):
    """The governor with its gate before the optimizer, which has to be fused."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.guard.gated()


MECHANISMS: dict[str, Callable[[Parts], Mechanism]] = {
    "tolaria": Tolaria,
    "tolaria_gated": TolariaGated,
    UNGUARDED: Mechanism,
    "clip_norm": ClipNorm,
    "zclip": ZClip,
    "skip_non_finite": SkipNonFinite,
    "terminate_on_nan": TerminateOnNan,
    "reload_on_nan": ReloadOnNan,
}


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no tensor holds NaN or Inf."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
