"""How the loss of a step and the flag of its gate come from the device: at once where that costs nothing, else one step late."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, slots=True)
class Read:
    """What is known of a step: the mean of its losses, and whether the gate kept its gradient from the weights."""

    loss: float
    gated: bool


class Reading(Protocol):
    """Takes loss and flag of a step, gives those of a step. `lag` is how many steps lie between them."""

    lag: int

    def read(self, loss: torch.Tensor | float, flag: torch.Tensor | None = None) -> Read | None:
        """What was handed in `lag` calls ago; None where there is none yet. A step without a flag was not gated."""
        ...

    def rest(self) -> Read | None:
        """What was handed in and has not been given back."""
        ...

    def forget(self) -> None:
        """What has not been given back belongs to weights that are gone."""
        ...


class AtOnce:
    """For losses that already lie in host memory."""

    lag = 0

    def read(self, loss: torch.Tensor | float, flag: torch.Tensor | None = None) -> Read:
        """This very step."""
        if isinstance(loss, torch.Tensor):
            loss = float(loss.item() if loss.numel() == 1 else _mean(loss))
        return Read(float(loss), flag is not None and bool(flag))

    def rest(self) -> None:
        """Nothing is ever left."""
        return

    def forget(self) -> None:
        """Nothing is ever left."""
        return


class OneStepLate:
    """Two slots of pinned memory, each with an event. While one is written by the device, the other can be read."""

    lag = 1

    def __init__(self, device: torch.device) -> None:
        on_cuda = device.type == "cuda"
        self._slots = torch.zeros(2, 2, dtype=torch.float64, pin_memory=on_cuda)  # [slot, loss and flag]
        self._events = [torch.cuda.Event(), torch.cuda.Event()] if on_cuda else []
        self._calls = 0
        self._unread: int | None = None

    def read(self, loss: torch.Tensor | float, flag: torch.Tensor | None = None) -> Read | None:
        """Begin to copy this step, give the one before it."""
        slot = self._calls % 2
        self._calls += 1
        # One copy for both, because what is written from the host would not wait for a copy that is still under way.
        self._slots[slot].copy_(_pair(_mean(loss), flag), non_blocking=True)
        if self._events:
            self._events[slot].record()
        # The copy of this step is queued before the wait, so the device has work while the host waits for the last step.
        before = self.rest()
        self._unread = slot
        return before

    def rest(self) -> Read | None:
        """Wait for the copy that is under way."""
        if self._unread is None:
            return None
        slot, self._unread = self._unread, None
        if self._events:
            self._events[slot].synchronize()
        loss, flag = self._slots[slot].tolist()
        return Read(loss, flag > 0.0)

    def forget(self) -> None:
        """Its slot is used again two calls later; a copy that is under way is ended by then or waits in the same stream."""
        self._unread = None


def _mean(loss: torch.Tensor | float) -> torch.Tensor:
    # In double precision, in which every smaller loss is itself.
    return torch.as_tensor(loss, dtype=torch.float64).detach().mean()


def _pair(mean: torch.Tensor, flag: torch.Tensor | None) -> torch.Tensor:
    if flag is None:
        return torch.stack([mean, torch.zeros_like(mean)])
    return torch.stack([mean.to(flag.device, non_blocking=True), flag.to(torch.float64)])
