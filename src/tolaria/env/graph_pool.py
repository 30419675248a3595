"""The pool that trains hosts on a CUDA device by replaying graphs, one for each structure, on several streams.

A graph is captured on a replica (see `replica.py`) when a structure is first seen on a stream; from then on every host of
that structure goes through it: in, as many replays as the step has batches, and out. A seed that grows, is blended, committed
or pruned makes another structure. All streams go on behind the current one and are joined by it, so whatever comes after a
step, validation, snapshots and rollbacks, comes behind it on the device too.

Where a harness listens, batches are trained one at a time: the host goes out before it is shown, and comes in again behind
that. What cannot be captured now is trained as the loop trains it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from tolaria.env.graphs import Line
from tolaria.env.growth_env import Broken
from tolaria.env.pool import caught
from tolaria.env.replica import Afterwards, Replica
from tolaria.env.structure import Structure, can_be_captured, structure_of
from tolaria.env.together import Member, TogetherPool
from tolaria.env.training import HostTraining, Trained
from tolaria.seams import BATCH_READY, GRADIENTS_READY, LOSS_READY, NO_TAPS, WEIGHTS_UPDATED, Batch
from tolaria.telemetry.event import Point

# Streams, and how many structures each of them remembers; a replica costs the memory of a host and of what its pass leaves.
LINES, KEPT = 4, 16

# Of a batch: its loss, the norm of the host's gradient, and a number that is finite where all that counts is.
Numbers = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A replica and the graphs of its work."""

    structure: Structure
    replica: Replica
    forward: Callable[[], None]
    backward: Callable[[], None]
    follow: Callable[[], None]


class Press:
    """One stream with its graphs, the latest used last."""

    def __init__(self, device: torch.device) -> None:
        self.line = Line(device)
        self._captured: OrderedDict[Structure, Captured] = OrderedDict()

    def captured(self, training: HostTraining) -> Captured:
        """The graphs for a host as it is now; called on this stream."""
        structure = structure_of(training)
        if structure not in self._captured:
            if len(self._captured) >= KEPT:
                # A graph that still runs must not lose its memory.
                self.line.finish()
                self._captured.popitem(last=False)
            self._captured[structure] = self._capture(training, structure)
        self._captured.move_to_end(structure)
        return self._captured[structure]

    def _capture(self, training: HostTraining, structure: Structure) -> Captured:
        replica = Replica(training, structure)
        forward, backward, follow = self.line.record((replica.forward, replica.backward, replica.follow), replica.set_back)
        return Captured(structure, replica, forward, backward, follow)


class GraphPool(TogetherPool):
    """Replays what has been captured; needs a CUDA device."""

    def __init__(self) -> None:
        self._presses: list[Press] = []

    def train(self, members: Sequence[Member]) -> list[Trained | Broken]:
        """All batches of each: those that nobody listens to are queued one host after the other, and read when all are."""
        if not self._presses:
            self._presses = [Press(members[0].training.device) for _ in range(LINES)]
        queued = [member.broken or self._begun(member) for member in members]
        for press in self._presses:
            press.line.join()
        return [each if isinstance(each, Broken) else caught(each) for each in queued]

    def _begun(self, member: Member) -> Callable[[], Trained] | Broken:
        """What is left to do when the device has done its part."""
        training, at = member.training, member.at
        # Always the same one for the same environment, so that it finds its graphs again.
        press = self._presses[(at.env or 0) % LINES]
        if training.taps is not NO_TAPS:
            return caught(lambda: self._heard(press, training, at))
        if not can_be_captured(training):
            return partial(training.train, at)
        return caught(lambda: self._unheard(press, training, at))

    def _unheard(self, press: Press, training: HostTraining, at: Point) -> Callable[[], Trained]:
        batches = training.config.batches_per_step
        data = training.split("train")
        with press.line.forked():
            captured = press.captured(training)
            replica = captured.replica
            training.forget()
            replica.take_over(training)
            chosen = torch.stack([training.batches.next() for _ in range(batches)]).to(training.device, non_blocking=True)  # [B, S]
            found = []
            for rows in chosen:
                replica.learn_from(Batch(data.inputs.index_select(0, rows), data.targets.index_select(0, rows)))
                captured.forward()
                captured.backward()
                captured.follow()
                found.append(replica.found.clone())
            after = replica.give_back(training)
            numbers = torch.stack(found, dim=1)  # [3, B]
        return partial(_read, after, numbers, at)

    def _heard(self, press: Press, training: HostTraining, at: Point) -> Callable[[], Trained]:
        with press.line.forked():
            training.host.train()
            numbers = [self._heard_batch(press, training, replace(at, batch=batch)) for batch in range(training.config.batches_per_step)]
            losses, norms, heard = map(torch.stack, zip(*numbers, strict=True))  # each [B]
        return lambda: training.summed_up(at, losses, norms, heard)

    def _heard_batch(self, press: Press, training: HostTraining, at: Point) -> Numbers:
        if not can_be_captured(training):
            return training.train_batch(at)
        number, data = training.batches.number, training.split("train")
        chosen = training.batches.next().to(training.device, non_blocking=True)
        batch = training.taps.pass_through(BATCH_READY, at, Batch(data.inputs[chosen], data.targets[chosen], number))
        captured = press.captured(training)
        replica = captured.replica
        if not replica.fits(batch):
            return training.learn(batch, number, at)
        training.forget()
        replica.take_over(training)
        replica.learn_from(batch)
        captured.forward()
        loss = _weighed(replica, training, at)
        captured.backward()
        replica.give_back_host(training)
        replica.show_gradients(training)
        training.taps.pass_through(GRADIENTS_READY, at, training)
        norm, heard = _followed(captured, training)
        training.taps.pass_through(WEIGHTS_UPDATED, at, training)
        return loss, norm, heard


def _read(after: Afterwards, numbers: torch.Tensor, at: Point) -> Trained:
    losses, norms, heard = numbers
    after.settle(len(losses))
    return after.training.summed_up(at, losses, norms, heard)


def _weighed(replica: Replica, training: HostTraining, at: Point) -> torch.Tensor:
    """The loss as whoever listens leaves it; its gradients are to count as often as it then does."""
    shown = replica.loss.clone().requires_grad_()
    passed = training.taps.pass_through(LOSS_READY, at, shown)
    if passed is not shown:
        (weight,) = torch.autograd.grad(passed, shown)
        replica.weight.copy_(weight)
    return passed.detach()


def _followed(captured: Captured, training: HostTraining) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients are followed, whatever has become of them and of the host; by the loop, where that is no longer what was captured."""
    replica = captured.replica
    if not can_be_captured(training) or structure_of(training) != captured.structure or not replica.heed_gradients(training):
        return training.descend()
    for key in training.optimizers:
        training.set_rate(key)
    replica.take_over(training)
    captured.follow()
    after = replica.give_back(training)
    replica.show_gradients(training)
    after.settle(1)
    return replica.found[1].clone(), replica.found[2].clone()
