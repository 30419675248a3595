"""The pool that trains perceptrons of one task together, as one stack.

Batch by batch: those that can be stacked in one pass forward and back, the others by themselves.

Each lane of the stack has its own batches, gradient clipping, learning rate, momentum and seed objective, and a seed that
is isolated its own decision to skip a step. Where a harness listens, it is asked what the loop would have asked it, of every
host by itself, and the stack is made anew before every batch, because what it struck may be another network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch

from tolaria.env.descent import forget_gradients, is_heard
from tolaria.env.growth_env import Broken
from tolaria.env.lanes import Lanes
from tolaria.env.pool import caught
from tolaria.env.roles import ISOLATED, LEARNING
from tolaria.env.seed_objective import excesses, regression_losses
from tolaria.env.stack import Group, Shelf, Stack, can_be_stacked, could_be_stacked
from tolaria.env.together import Member, TogetherPool
from tolaria.env.training import Trained, optimizer_key
from tolaria.seams import BATCH_READY, GRADIENTS_READY, LOSS_READY, NO_TAPS, WEIGHTS_UPDATED, Batch, Seam
from tolaria.telemetry.event import Point

T = TypeVar("T")

HOST = "host"


class StackedPool(TogetherPool):
    """Trains what it can as one stack."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    def train(self, members: Sequence[Member]) -> list[Trained | Broken]:
        """Batch by batch: those that can be stacked in one pass, the others by themselves."""
        together = [member for member in members if member.broken is None and could_be_stacked(member.training)]
        for member in together:
            member.training.host.train()
        self._train_together(together)
        results: list[Trained | Broken] = []
        for member in members:
            if member.broken is not None:
                results.append(member.broken)
            elif member in together:
                results.append(member.trained)
            else:
                results.append(caught(partial(member.training.train, member.at)))
        return results

    def _train_together(self, members: list[Member]) -> None:
        stack: StackBatch | None = None
        for batch in range(members[0].training.config.batches_per_step if members else 0):
            members = [member for member in members if member.broken is None]
            if stack is None or any(member.training.taps is not NO_TAPS for member in members):
                stacked = [member for member in members if can_be_stacked(member.training)]
                stack = StackBatch(stacked, self._shelf) if stacked else None
            if stack is not None:
                stack.train(batch)
            for member in members:
                if stack is None or member not in stack.members:
                    _alone(member, partial(member.training.train_batch, replace(member.at, batch=batch)))


class StackBatch:
    """Members as a stack, for as many batches as it stays the same one."""

    def __init__(self, members: Sequence[Member], shelf: Shelf) -> None:
        self.members = members
        first = members[0].training
        self._stack = Stack([member.training for member in members], shelf)
        self._task, self._config, self._data = first.task, first.config, first.split("train")
        self._armed = [place for place, member in enumerate(members) if member.training.taps is not NO_TAPS]
        self._ats: list[Point] = []
        # Whose batch has become one that fits no stack: they learn from it by themselves.
        self._apart: dict[int, tuple[Batch, int]] = {}

    def train(self, batch: int) -> None:
        """The next batch of every member."""
        self._ats = [replace(member.at, batch=batch) for member in self.members]
        inputs, targets = self._batches()
        logits = self._stack.forward(inputs)
        losses = self._passed(self._task.losses(logits, targets))
        self._pass_back(losses, targets)
        alone = self._let_gradients_be_seen()
        norms = self._descend(alone)
        for place in self._armed:
            self._ask(place, WEIGHTS_UPDATED, self.members[place].training)
        for place, (loss, norm) in enumerate(zip(losses.detach().tolist(), norms, strict=True)):
            if place not in self._apart:
                self.members[place].losses.append(loss)
                self.members[place].norms.append(norm)
        for place, own in self._apart.items():
            _alone(self.members[place], partial(self.members[place].training.learn, own[0], own[1], self._ats[place]))

    def _ask(self, place: int, seam: Seam[T], value: T) -> T:
        """What comes of a value at a seam of one member; one that breaks there goes on in the stack, and its bits are nobody's concern."""
        member = self.members[place]
        if member.broken is not None or place in self._apart:
            return value
        passed: T | Broken = caught(lambda: member.training.taps.pass_through(seam, self._ats[place], value))
        if isinstance(passed, Broken):
            member.broken = passed
            return value
        return passed

    def _batches(self) -> tuple[torch.Tensor, torch.Tensor]:
        self._apart = {}
        numbers = [member.training.batches.number for member in self.members]
        chosen = torch.stack([member.training.batches.next() for member in self.members])  # [G, B]
        chosen = chosen.to(self._data.inputs.device, non_blocking=True)
        inputs, targets = self._data.inputs[chosen], self._data.targets[chosen]
        if not self._armed:
            return inputs, targets
        batches = [Batch(inputs[place], targets[place], number) for place, number in enumerate(numbers)]
        for place in self._armed:
            passed = self._ask(place, BATCH_READY, batches[place])
            if (passed.inputs.shape, passed.targets.shape) == (inputs[place].shape, targets[place].shape):
                batches[place] = passed
            else:
                self._apart[place] = (passed, numbers[place])
        return torch.stack([batch.inputs for batch in batches]), torch.stack([batch.targets for batch in batches])

    def _passed(self, losses: torch.Tensor) -> torch.Tensor:
        if not self._armed:
            return losses
        each = list(losses.unbind())
        for place in self._armed:
            each[place] = self._ask(place, LOSS_READY, each[place])
        return torch.stack(each)

    def _pass_back(self, losses: torch.Tensor, targets: torch.Tensor) -> None:
        learning = self._stack.learning()
        isolated = self._stack.with_role(ISOLATED)
        # In the order of the lanes first, then the features that an isolated seed wants the gradient of.
        asked = [leaf for lanes in learning for leaf in lanes.leaves]
        heard = [self._stack.features[slot] for slot, _ in isolated] if self._config.seed_objective == "regression" else []
        # The sum hands each loss a gradient of 1, whatever the others are.
        found = torch.autograd.grad(losses.sum(), [*asked, *heard], allow_unused=True)
        start = 0
        with torch.no_grad():
            for lanes in learning:
                lanes.take(found[start : start + len(lanes.leaves)])
                start += len(lanes.leaves)
        for number, (slot, group) in enumerate(isolated):
            wanted = found[start + number] if heard else None
            self._teach(slot, group, targets, wanted)

    def _teach(self, slot: str, group: Group, targets: torch.Tensor, gradients: torch.Tensor | None) -> None:
        """Gradients of isolated seeds from their own objective."""
        features = self._stack.features[slot].detach().index_select(0, group.index)  # [K, B, C]
        for lane, place in enumerate(group.slots):
            place.features = features[lane]
        mixed = group.mixed(features, group.lanes.lot, 1.0)
        if self._config.seed_objective == "shadow":
            losses = self._task.losses(self._stack.shadow(slot, group, mixed), targets.index_select(0, group.index))
        else:
            assert gradients is not None, slot
            losses = regression_losses(mixed - features, gradients.index_select(0, group.index), self._config.regression_reach)
        total = losses.sum()
        # As it was measured after the step before. One that is NaN is not pulled anywhere.
        large = [lane for lane, place in enumerate(group.slots) if (place.state.magnitude or 0.0) > self._config.seed_magnitude_max]
        if large:
            some = torch.tensor(large, device=features.device)
            change = (mixed - features).index_select(0, some)
            total = total + excesses(change, features.index_select(0, some), self._config.seed_magnitude_max).sum()
        found = torch.autograd.grad(total, group.lanes.leaves, allow_unused=True)
        with torch.no_grad():
            group.lanes.take(found)

    def _let_gradients_be_seen(self) -> set[int]:
        """Show them to whoever listens, and heed what becomes of them; returns who has to step by itself because somebody waits for it."""
        if not self._armed:
            return set()
        lanes: list[tuple[Lanes, Sequence[int]]] = [(self._stack.trunk, range(len(self.members)))]
        lanes += [(group.lanes, group.places) for role in (LEARNING, ISOLATED) for _, group in self._stack.with_role(role)]
        shown = [(each, lane, place) for each, places in lanes for lane, place in enumerate(places) if place in self._armed]
        for each, lane, _ in shown:
            each.show(lane)
        for place, key in self._stack.silent:
            forget_gradients(self.members[place].training.optimizers[key])
        for place in self._armed:
            self._ask(place, GRADIENTS_READY, self.members[place].training)
        for each, lane, _ in shown:
            each.heed(lane)
        heard = {place for place in self._armed if any(map(is_heard, self.members[place].training.optimizers.values()))}
        return heard | self._apart.keys()

    def _descend(self, alone: set[int]) -> list[float]:
        with torch.no_grad():
            stepped = [(group.lanes, group.places, group.slots, ISOLATED) for _, group in self._stack.with_role(ISOLATED)]
            stepped += [(group.lanes, group.places, group.slots, LEARNING) for _, group in self._stack.with_role(LEARNING)]
            for lanes, places, slots, role in stepped:
                keys = [optimizer_key(slot) for slot in slots]
                self._step(lanes, places, keys, alone, skips=role == ISOLATED)
            for place, key in self._stack.silent:
                if place not in alone:
                    self.members[place].training.set_rate(key)
                    self.members[place].training.count_batch(key)
            everyone = range(len(self.members))
            norms = self._step(self._stack.trunk, everyone, [HOST] * len(self.members), alone, skips=False)
        for place in alone - self._apart.keys():
            norms[place] = float(self.members[place].training.descend()[0])
        return norms

    def _step(self, lanes: Lanes, places: Sequence[int], keys: Sequence[str], alone: set[int], skips: bool) -> list[float]:
        """Clip and step the lanes of those who are not alone; `skips`: not where the norm is no number. Returns all norms."""
        some = [lane for lane, place in enumerate(places) if place not in alone] if alone else None
        norms: list[float] = lanes.clip(self._config.grad_norm_max, some).tolist()
        if skips and not all(map(math.isfinite, norms)):
            some = [lane for lane in some or range(len(norms)) if math.isfinite(norms[lane])]
        if some == []:
            return norms
        chosen = range(len(places)) if some is None else some
        rates = [0.0] * len(places)
        for lane in chosen:
            rates[lane] = self.members[places[lane]].training.set_rate(keys[lane])
        lanes.descend(rates, self._config.weight_decay, some)
        for lane in chosen:
            self.members[places[lane]].training.count_batch(keys[lane])
        return norms


def _alone(member: Member, train: Callable[[], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> None:
    """A batch of a member that cannot be stacked now."""
    done = caught(train)
    if isinstance(done, Broken):
        member.broken = done
        return
    loss, norm, _ = done
    member.losses.append(float(loss))
    member.norms.append(float(norm))
