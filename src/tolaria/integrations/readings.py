"""How a loss comes from the device: at once where that costs nothing, one step late where asking would stall it."""

from typing import Protocol

import torch


class Reading(Protocol):
    """Takes the loss of a step, gives the loss of a step. `lag` is how many steps lie between them."""

    lag: int

    def read(self, loss: torch.Tensor | float) -> float | None:
        """The mean of the loss handed in `lag` calls ago; None where there is none yet."""
        ...

    def rest(self) -> float | None:
        """What was handed in and has not been given back."""
        ...

    def forget(self) -> None:
        """What has not been given back belongs to weights that are gone."""
        ...


class AtOnce:
    """For losses that already lie in host memory."""

    lag = 0

    def read(self, loss: torch.Tensor | float) -> float:
        """The mean of this very loss."""
        if isinstance(loss, torch.Tensor):
            return float(loss.item() if loss.numel() == 1 else _mean(loss))
        return float(loss)

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
        self._slots = torch.zeros(2, dtype=torch.float64, pin_memory=on_cuda)
        self._events = [torch.cuda.Event(), torch.cuda.Event()] if on_cuda else []
        self._calls = 0
        self._unread: int | None = None

    def read(self, loss: torch.Tensor | float) -> float | None:
        """Begin to copy this loss, give the one before it."""
        slot = self._calls % 2
        self._calls += 1
        self._slots[slot].copy_(_mean(loss), non_blocking=True)
        if self._events:
            self._events[slot].record()
        # The copy of this loss is queued before the wait, so the device has work while the host waits for the last step.
        before = self.rest()
        self._unread = slot
        return before

    def rest(self) -> float | None:
        """Wait for the copy that is under way."""
        if self._unread is None:
            return None
        slot, self._unread = self._unread, None
        if self._events:
            self._events[slot].synchronize()
        return float(self._slots[slot])

    def forget(self) -> None:
        """Its slot is used again two calls later; a copy that is under way is ended by then or waits in the same stream."""
        self._unread = None


def _mean(loss: torch.Tensor | float) -> torch.Tensor:
    # In double precision, in which every smaller loss is itself.
    return torch.as_tensor(loss, dtype=torch.float64).detach().mean()
