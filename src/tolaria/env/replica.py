"""A host that stands for every host of its structure, at addresses that never change: what a captured graph needs.

A host comes in, with weights, buffers, optimizer state and learning rates, is trained here, and leaves again. So one capture
serves all hosts of one structure, in whatever episode, and the tensors that a governor snapshots and restores are the host's
own, which no graph has ever seen: a rollback needs no word with the graphs.

Nothing here asks the device anything. What the loop decides on the host is decided on the device: whether an isolated seed
skips its step, and which learning rate follows from that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from tolaria.env.growing import GrowingHost
from tolaria.env.roles import FOSSIL, ISOLATED
from tolaria.env.structure import Part, Structure
from tolaria.env.training import HostTraining, new_optimizer, optimizer_key
from tolaria.gate import flag_of, gated_step
from tolaria.host.host import seed_prefix
from tolaria.host.slot import Slot
from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS, Batch
from tolaria.tasks.task import Split

HOST = "host"
# The stage in which a seed has the role; of the two in which it is blended, any.
STAGES = {ISOLATED: Stage.TRAINING, FOSSIL: Stage.FOSSILIZED}

Tensors = list[torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One piece of optimizer state, here and in the host that it stands for; None where that one has none yet."""

    key: str
    parameter: torch.nn.Parameter
    field: str
    mine: torch.Tensor
    theirs: torch.Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Afterwards:
    """What is left to do for a host when the device has trained it: optimizers `keys` have made so many steps, `stepped` [K]."""

    training: HostTraining
    keys: tuple[str, ...]
    stepped: torch.Tensor
    late: tuple[Held, ...]

    def settle(self, batches: int) -> None:
        """Count what was stepped in so many batches; reads the device."""
        counted = dict(zip(self.keys, map(int, self.stepped.tolist()), strict=True))
        for key in self.training.optimizers:
            # Whoever has no gradient steps nothing, and counts.
            for _ in range(counted.get(key, batches)):
                self.training.count_batch(key)
        for held in self.late:
            if held.theirs is not None:
                # Steps that are counted in host memory.
                held.theirs.add_(counted[held.key])
            elif counted[held.key]:
                where = self.training.device_of(held.field, held.parameter)
                self.training.optimizers[held.key].state[held.parameter][held.field] = held.mine.to(where)


class Pace:
    """Learning rates of one optimizer in the batches of a step, by how many it has stepped until then."""

    def __init__(self, batches: int, device: torch.device) -> None:
        self.rate = torch.zeros(1, device=device)
        self.rates = torch.zeros(batches, dtype=torch.float64, device=device)
        self.stepped = torch.zeros(1, dtype=torch.int64, device=device)

    def set(self, cut: torch.Tensor) -> None:
        """The rate of the batch at hand, at this share [1]."""
        self.rate.copy_(self.rates.index_select(0, self.stepped) * cut)


class Replica(GrowingHost):
    """One host of a structure. `batch` is what it learns from, `weight` [] how often its loss counts, `found` [3] what a batch came to."""

    def __init__(self, like: HostTraining, structure: Structure) -> None:
        data = like.split("train")
        some = Split(data.inputs[: like.task.batch_size].clone(), data.targets[: like.task.batch_size].clone())
        self.paces: dict[torch.optim.Optimizer, Pace] = {}
        self._batches = like.config.batches_per_step
        super().__init__(replace(like.task, train=some, validation=some, test=some), like.config, 0, like.device, NO_TAPS, lambda _: None)
        self.batch = Batch(some.inputs, some.targets, 0)
        self.weight = torch.ones((), device=like.device)
        self.found = torch.zeros(3, device=like.device)
        self._cuts = torch.ones(self._batches, dtype=torch.float64, device=like.device)
        self._place = torch.zeros(1, dtype=torch.int64, device=like.device)
        self._loss: torch.Tensor | None = None
        for part in structure:
            self._let_grow(part)
        self.renew_optimizers()
        self.host.train()

    def forward(self) -> None:
        """The loss of the batch, with its graph."""
        self._loss = self.loss_of(self.batch, 0)

    def backward(self) -> None:
        """All gradients."""
        assert self._loss is not None, "forward comes first"
        self.pass_back(self._loss, self.batch.targets, self.weight)
        self.found[0].copy_(self._loss.detach())

    def follow(self) -> None:
        """Clip the gradients and follow them."""
        norm, heard = self.descend()
        self._place.add_(1)
        self.found[1].copy_(norm)
        self.found[2].copy_(heard)

    @property
    def loss(self) -> torch.Tensor:
        """The loss [] of the batch at hand, from `forward` on."""
        assert self._loss is not None, "forward comes first"
        return self._loss.detach()

    def take_over(self, training: HostTraining) -> None:
        """Be this host from here on."""
        training.host.train()
        with torch.no_grad():
            copy(*self._pairs(training))
            for held in self._states(training):
                if held.theirs is None:
                    held.mine.zero_()
                else:
                    held.mine.copy_(held.theirs, non_blocking=True)
            for slot in self._grown():
                if slot.dial is not None:
                    slot.dial.fill_(training.host.slot(slot.slot_id).strength)
            self.weight.fill_(1.0)
        self._set_out(training)

    def give_back_host(self, training: HostTraining) -> None:
        """Weights, buffers and the features at isolated seeds to the host that came in; a fossil has not changed."""
        theirs, mine = self._pairs(training, fossils=False)
        with torch.no_grad():
            copy(mine, theirs)
        for slot in training.slots():
            slot.features = slot.gradient = None
        for slot in self._grown():
            if slot.features is not None:
                training.host.slot(slot.slot_id).features = slot.features.clone()

    def give_back(self, training: HostTraining) -> "Afterwards":
        """Everything, as far as the device can do it by itself; the rest is for when it has been read."""
        self.give_back_host(training)
        going: list[Held] = []
        late: list[Held] = []
        with torch.no_grad():
            for held in self._states(training):
                if held.theirs is None:
                    # The next host that comes in here must not change it.
                    late.append(replace(held, mine=held.mine.clone()))
                else:
                    (going if held.theirs.device == held.mine.device else late).append(held)
            copy([held.mine for held in going], [held.theirs for held in going if held.theirs is not None])
        keys = self._keys(training)
        stepped = torch.cat([self.paces[self.optimizers[mine]].stepped for mine, _ in keys])  # [K]
        return Afterwards(training, tuple(key for _, key in keys), stepped, tuple(late))

    def fits(self, batch: Batch) -> bool:
        """Whether a batch is of the shape that was captured."""
        found = [(tensor.shape, tensor.dtype) for tensor in (batch.inputs, batch.targets)]
        return found == [(tensor.shape, tensor.dtype) for tensor in (self.batch.inputs, self.batch.targets)]

    def learn_from(self, batch: Batch) -> None:
        """What the next pass is about."""
        self.batch.inputs.copy_(batch.inputs)
        self.batch.targets.copy_(batch.targets)

    def show_gradients(self, training: HostTraining) -> None:
        """Let the host that came in have the gradients that it has come to here."""
        theirs = dict(training.host.named_parameters())
        for name, mine in self.host.named_parameters():
            theirs[name].grad = None if mine.grad is None else mine.grad.clone()

    def heed_gradients(self, training: HostTraining) -> bool:
        """Take over gradients that were shown; False where others are there than were shown, and then nothing is taken."""
        theirs = {name: parameter.grad for name, parameter in training.host.named_parameters() if parameter.grad is not None}
        mine = {name: parameter.grad for name, parameter in self.host.named_parameters() if parameter.grad is not None}
        if theirs.keys() != mine.keys() or any(theirs[name].shape != gradient.shape for name, gradient in mine.items()):
            return False
        copy([theirs[name] for name in mine], list(mine.values()))
        return True

    def set_back(self) -> None:
        """To the first batch of a step."""
        self._place.zero_()
        for pace in self.paces.values():
            pace.stepped.zero_()

    def _let_grow(self, part: Part) -> None:
        self.host.germinate(part.slot, part.blueprint, seed=0, blend=part.blend)
        slot = self.host.slot(part.slot)
        stage = STAGES.get(part.role, Stage.BLENDING)
        alpha = 0.0 if part.role == ISOLATED else 1.0
        magnitude = float("inf") if part.pulled else None
        ramp = Ramp().retargeted(alpha, 0, Curve.LINEAR)
        slot.state = replace(slot.state, stage=stage, ramp=ramp, magnitude=magnitude)
        slot.dial = torch.ones((), device=self.device) if alpha else None
        if part.role == FOSSIL:
            slot.freeze()

    def _grown(self) -> list[Slot]:
        return [slot for slot in self.slots() if slot.seed is not None]

    def _keys(self, training: HostTraining) -> list[tuple[str, str]]:
        """The name of each optimizer here, and of the one that it stands for."""
        seeds = [(optimizer_key(slot), optimizer_key(training.host.slot(slot.slot_id))) for slot in self.live_slots()]
        return [(HOST, HOST), *seeds]

    def _pairs(self, training: HostTraining, fossils: bool = True) -> tuple[Tensors, Tensors]:
        """The host's tensors, and those here that stand for them."""
        theirs = training.host.tensors()
        frozen = tuple(seed_prefix(slot.slot_id) for slot in self._grown() if slot.state.stage is Stage.FOSSILIZED and not fossils)
        names = [(name, mine) for name, mine in self.host.tensors().items() if not name.startswith(frozen)]
        return [theirs[name] for name, _ in names], [mine for _, mine in names]

    def _states(self, training: HostTraining) -> Iterator["Held"]:
        named = dict(training.host.named_parameters())
        for mine, key in self._keys(training):
            state, here = training.optimizers[key].state, self.optimizers[mine].state
            for name, parameter in self.host.named_parameters():
                theirs = named[name]
                for field, value in here[parameter].items() if parameter in here else ():
                    if isinstance(value, torch.Tensor):
                        yield Held(key, theirs, field, value, state[theirs].get(field) if theirs in state else None)

    def _set_out(self, training: HostTraining) -> None:
        host = training.batches_stepped[HOST]
        ahead = range(self._batches)
        cuts = [training.rate_cut.at(host + batch) for batch in ahead]
        keys = self._keys(training)
        rates = [[training.rate_after(batch, key, 1.0) for batch in ahead] for _, key in keys]
        # Without waiting: a device takes its copy of what lies in host memory before it goes on.
        table = torch.tensor([cuts, *rates], dtype=torch.float64).to(self.device, non_blocking=True)
        self._cuts.copy_(table[0])
        for row, (mine, _) in zip(table[1:], keys, strict=True):
            self.paces[self.optimizers[mine]].rates.copy_(row)
        self.set_back()

    def _new_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        pace = Pace(self._batches, self.device)
        optimizer = new_optimizer(parameters, self.config, pace.rate, fused=True, capturable=True)
        self.paces[optimizer] = pace
        return optimizer

    def _step(self, key: str, norm: torch.Tensor, skips: bool = False) -> None:
        optimizer = self.optimizers[key]
        pace = self.paces[optimizer]
        pace.set(self._cuts.index_select(0, self._place))
        flag = flag_of(norm)
        if self.config.gate or skips:
            gated_step(optimizer, flag)
        else:
            optimizer.step()
        # Left out or not, a gated batch counts for the warm-up.
        pace.stepped.add_(1 if self.config.gate or not skips else 1 - flag.to(torch.int64))


def copy(sources: Tensors, targets: Tensors) -> None:
    """All at once."""
    if sources:
        torch._foreach_copy_(targets, sources)
