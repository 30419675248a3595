"""One host in training: its optimizers, its batches, its validation.

The host and every live seed have an optimizer, a clipping group and a skip decision of their own. A seed in TRAINING
learns from an objective of its own (`seed_objective.py`), which is computed beside the host's own loss and touches nothing
of the host, to the last bit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain

import torch

from tolaria.env.config import USUAL, Recovery, TrainingConfig
from tolaria.env.descent import clip_gradients, descend, forget_gradients
from tolaria.env.rate_cut import RateCut
from tolaria.env.seed_objective import excess, regression_loss
from tolaria.gate import flag_of, gated_step
from tolaria.host.finite import all_finite, held
from tolaria.host.host import Host
from tolaria.host.randomness import seeded
from tolaria.host.slot import Slot
from tolaria.lifecycle.action import Action
from tolaria.lifecycle.stage import EXPERIMENTAL, Stage
from tolaria.seams import (
    BATCH_READY,
    GRADIENTS_READY,
    LOSS_READY,
    VALIDATION_READY,
    VITALS_MEASURED,
    WEIGHTS_UPDATED,
    Batch,
    Taps,
)
from tolaria.seeding import derive_seed
from tolaria.tasks.batches import BatchStream
from tolaria.tasks.task import Split, Task
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Probe, UpdateGated
from tolaria.vitals import Outputs, Vitals

# In these stages a seed is part of the host's own forward pass and learns from the host's own loss.
BLENDED = frozenset({Stage.BLENDING, Stage.HOLDING})
# In these stages a seed has an optimizer.
LEARNING = BLENDED | {Stage.TRAINING}


@dataclass(frozen=True, slots=True)
class Trained:
    """What a step's batches came to: mean loss in nats, largest gradient norm before clipping, and whether some were gated.

    A gated batch counts for neither number; without any other the loss is NaN.
    """

    loss: float
    gradient_norm: float
    gated: bool = False


class HostTraining(ABC):
    """Trains one host of a task; how its slots change is the subclass's business.

    `seed` names this very host: its weights, its batches, its seeds to come.
    """

    def __init__(
        self,
        task: Task,
        config: TrainingConfig,
        seed: int,
        device: torch.device,
        taps: Taps,
        emit: Callable[[Event], None],
        recovery: Recovery = USUAL,
    ) -> None:
        self.task = task
        self.config = config
        self.seed = seed
        self.device = device
        self.taps = taps
        self.emit = emit
        self.recovery = recovery
        self.host: Host = task.build_host(derive_seed(seed, "host")).to(device)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.batches = BatchStream(len(task.train.targets), task.batch_size, derive_seed(seed, "batches"))
        for slot in self.slots():
            slot.hears_gradients = config.seed_objective == "regression"
        # Batches that each optimizer has stepped, which its learning rate is a function of.
        self.batches_stepped: dict[str, int] = {}
        # Batches stepped since a rollback made an optimizer warm up anew, while it does.
        self.rewarming: dict[str, int] = {}
        self.rate_cut = RateCut()
        # Which validation samples [N], or places [N, T], vitals have just found answered rightly; None where nobody may lean on it.
        self.hits: torch.Tensor | None = None
        splits = {"train": task.train, "validation": task.validation, "test": task.test}
        self._splits = {name: Split(split.inputs.to(device), split.targets.to(device)) for name, split in splits.items()}
        self.renew_optimizers()

    def renew_optimizers(self) -> None:
        """Optimizers for the host and for every live seed that lacks one; those of seeds that are gone are dropped."""
        wanted = {"host": self.host_parameters()}
        wanted |= {optimizer_key(slot): list(seed_module(slot).parameters()) for slot in self.live_slots()}
        for key in self.optimizers.keys() - wanted.keys():
            del self.optimizers[key], self.batches_stepped[key]
            self.rewarming.pop(key, None)
        for key, parameters in wanted.items():
            if key not in self.optimizers and parameters:
                self.optimizers[key] = self._new_optimizer(parameters)
                self.batches_stepped[key] = 0

    def host_parameters(self) -> list[torch.nn.Parameter]:
        """The host's own trainable parameters: no seed's, no fossil's."""
        return list(self.host.own_parameters().values())

    def _parameters_of(self, key: str) -> list[torch.nn.Parameter]:
        # Asked every batch, and the optimizer has them at hand; a host that learns nothing has no optimizer.
        optimizer = self.optimizers.get(key)
        return [] if optimizer is None else [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def slots(self) -> list[Slot]:
        """Every slot, in order of execution."""
        return [self.host.slot(slot_id) for slot_id in self.host.slots]

    def live_slots(self) -> list[Slot]:
        """Slots whose seed is trained."""
        return [slot for slot in self.slots() if slot.state.stage in LEARNING]

    @abstractmethod
    def germinate(self, action: Action, at: Point, reason: str, initiator: str) -> None:
        """Let a seed grow."""

    @abstractmethod
    def advance(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Bring a seed to its next stage."""

    @abstractmethod
    def prune(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Remove a seed."""

    @abstractmethod
    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Commit a seed for good."""

    def train(self, at: Point) -> Trained:
        """One step's batches; the device is read once, after the last of them."""
        self.host.train()
        batches = [self.train_batch(replace(at, batch=batch)) for batch in range(self.config.batches_per_step)]
        losses, norms, heard = map(torch.stack, zip(*batches, strict=True))  # each [B]
        return self.summed_up(at, losses, norms, heard)

    def summed_up(self, at: Point, losses: torch.Tensor, norms: torch.Tensor, heard: torch.Tensor) -> Trained:
        """What batches came to, each of the three [B] as `train_batch` returns them; tells of those that were gated."""
        if not self.config.gate:
            mean, largest = torch.stack([losses.mean(), norms.max()]).tolist()
            return Trained(mean, largest)
        flags = flag_of(heard)
        came_through = flags == 0.0
        mean = torch.where(came_through, losses, 0.0).sum() / came_through.sum()
        largest = torch.where(came_through, norms, 0.0).max()
        loss, norm, *gated = torch.cat([mean[None], largest[None], flags]).tolist()
        if any(gated):
            self.emit(UpdateGated(at, at.step, tuple(batch for batch, flag in enumerate(gated) if flag)))
        return Trained(loss, norm, any(gated))

    def validate(self, split: str = "validation", without: tuple[str, ...] = ()) -> tuple[float, float]:
        """Mean loss in nats and accuracy in [0, 1] over a whole split, in evaluation mode; `without` these slots' seeds."""
        data = self._splits[split]
        (loss, accuracy), _ = self._measured(Batch(data.inputs, data.targets), without, lambda _: ())
        return loss, accuracy

    def probe(self) -> Probe | None:
        """What the host is worth on the validation split; None where that is no number. Nobody listens, and nothing changes."""
        data = self._splits["validation"]
        (loss, _, mutual_information, *_), _ = self._measured(Batch(data.inputs, data.targets), (), answer_shape)
        return Probe(loss, mutual_information) if math.isfinite(loss) and math.isfinite(mutual_information) else None

    def _measured(
        self, data: Batch, without: tuple[str, ...], more: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
    ) -> tuple[tuple[float, ...], torch.Tensor]:
        """Loss, accuracy and whatever `more` reads off the logits [N, C], one row an answer, in one pass and one read; and every hit."""
        self.host.eval()
        with torch.no_grad():
            logits = self.host(data.inputs, without)
            loss = self.task.loss(logits, data.targets)
            hits = (logits.argmax(dim=-1) == data.targets).float()
            return tuple(torch.stack([loss.float(), hits.mean(), *more(logits.flatten(0, -2).float())]).tolist()), hits

    def vitals(self, at: Point, trained: Trained, scan: bool) -> Vitals:
        """Validate, and look for NaN and Inf in everything that lasts."""
        split = self._splits["validation"]
        data = self.taps.pass_through(VALIDATION_READY, at, Batch(split.inputs, split.targets))
        (loss, accuracy, *seen), hits = self._measured(data, (), answer_shape)
        self.hits = hits if data.inputs is split.inputs and data.targets is split.targets else None
        outputs = Outputs(*seen) if all(map(math.isfinite, seen)) else None
        places = self.nonfinite_places() if scan else ()
        vitals = Vitals(at.step, trained.loss, loss, accuracy, trained.gradient_norm, places, outputs, trained.gated)
        return self.taps.pass_through(VITALS_MEASURED, at, vitals)

    def nonfinite_places(self) -> tuple[str, ...]:
        """Which of parameters, buffers and optimizer state hold NaN or Inf; isolated seeds are not the host's trouble."""
        isolated = {id(p) for slot in self.slots() if slot.seed is not None and slot.state.alpha == 0.0 for p in slot.parameters()}
        parameters, buffers = held(self.host)
        groups: dict[str, list[torch.Tensor]] = {
            "parameters": [parameter for parameter in parameters if id(parameter) not in isolated],
            "buffers": buffers,
            "optimizer": [
                value
                for key, optimizer in self.optimizers.items()
                for parameter, state in optimizer.state.items()
                if key == "host" or id(parameter) not in isolated
                for value in state.values()
                if isinstance(value, torch.Tensor)
            ],
        }
        # All at once first: a healthy host, which is nearly every one, costs one pass and one read of the device.
        if all_finite(chain.from_iterable(groups.values())):
            return ()
        return tuple(name for name, tensors in groups.items() if not all_finite(tensors))

    def split(self, name: str) -> Split:
        """The data of "train", "validation" or "test", on the device."""
        return self._splits[name]

    def spoiled_seeds(self) -> list[str]:
        """Slots whose isolated seed holds NaN or Inf: contained, and to be pruned without a rollback."""
        return [
            slot.slot_id
            for slot in self.slots()
            if slot.state.stage in EXPERIMENTAL and slot.state.alpha == 0.0 and not all_finite(slot.parameters())
        ]

    def train_batch(self, at: Point) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The next batch; its loss, the norm of the host's gradient, and a number that is finite where all that counts is."""
        number = self.batches.number
        # Without waiting: the indices lie in host memory, and a device takes its copy of them before it goes on.
        chosen = self.batches.next().to(self.device, non_blocking=True)
        data = self._splits["train"]
        batch = self.taps.pass_through(BATCH_READY, at, Batch(data.inputs[chosen], data.targets[chosen], number))
        return self.learn(batch, number, at)

    def learn(self, batch: Batch, number: int, at: Point) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """From a batch that has been drawn, the one of that number; what `train_batch` returns."""
        loss = self.taps.pass_through(LOSS_READY, at, self.loss_of(batch, number))
        self.pass_back(loss, batch.targets)
        self.taps.pass_through(GRADIENTS_READY, at, self)
        norm, heard = self.descend()
        self.taps.pass_through(WEIGHTS_UPDATED, at, self)
        return loss.detach(), norm, heard

    def loss_of(self, batch: Batch, number: int) -> torch.Tensor:
        """The loss [] of a batch with its graph, and no gradients yet."""
        self.forget()
        return self.task.loss(self._answers(batch, number), batch.targets)

    def forget(self) -> None:
        """No parameter that learns has a gradient any more."""
        for optimizer in self.optimizers.values():
            forget_gradients(optimizer)

    def pass_back(self, loss: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor | None = None) -> None:
        """Gradients of the loss, so many times, and those of isolated seeds by their own objective."""
        # A network that is frozen learns nothing, and neither do the seeds in it before one is blended.
        if loss.requires_grad:
            loss.backward(weight)
        for slot in self.live_slots():
            if slot.state.stage is Stage.TRAINING:
                self._isolated_gradients(slot, targets)

    def descend(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Clip and follow the gradients that are there; the norm of the host's, and a number that is finite where all that counts is."""
        norm = clip_gradients(self._parameters_of("host"), self.config.grad_norm_max)
        # A seed in TRAINING is isolated, and the host never hears of its gradients.
        norms = {slot: self._step_seed(slot) for slot in self.live_slots()}
        self._step("host", norm)
        # Finite only if each of them is.
        heard = sum((each for slot, each in norms.items() if slot.state.stage in BLENDED), start=norm)
        return norm, heard

    def _answers(self, batch: Batch, number: int) -> torch.Tensor:
        # Named by the batch, so that neither another host nor a rollback shifts what is drawn.
        lent = seeded(derive_seed(self.seed, "forward", number)) if self.host.draws else nullcontext()
        with lent:
            logits: torch.Tensor = self.host(batch.inputs)
        return logits

    def _isolated_gradients(self, slot: Slot, targets: torch.Tensor) -> None:
        parameters = [p for p in seed_module(slot).parameters() if p.requires_grad]
        loss = self._isolated_loss(slot, targets)
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            parameter.grad = gradient

    def _isolated_loss(self, slot: Slot, targets: torch.Tensor) -> torch.Tensor:
        features = self.host.features_at(slot.slot_id)
        if self.config.seed_objective == "shadow":
            loss = self.task.loss(self.host.shadow(slot.slot_id, features), targets)
        else:
            loss = regression_loss(slot.change(features), self.host.gradient_at(slot.slot_id), self.config.regression_reach)
        # As it was measured after the step before. One that is NaN is not pulled anywhere.
        if slot.state.magnitude is not None and slot.state.magnitude > self.config.seed_magnitude_max:
            loss = loss + excess(slot.change(features), features, self.config.seed_magnitude_max)
        return loss

    def _step_seed(self, slot: Slot) -> torch.Tensor:
        norm = clip_gradients(self._parameters_of(optimizer_key(slot)), self.config.grad_norm_max)
        # An isolated seed's bad gradient is its own affair: it skips its step, also where there is no gate.
        self._step(optimizer_key(slot), norm, skips=slot.state.stage is Stage.TRAINING)
        return norm

    def _step(self, key: str, norm: torch.Tensor, skips: bool = False) -> None:
        optimizer = self.optimizers.get(key)
        if optimizer is None or (skips and not self.config.gate and not bool(torch.isfinite(norm))):
            return
        self.set_rate(key)
        if self.config.gate:
            gated_step(optimizer, flag_of(norm))
        else:
            descend(optimizer)
        self.count_batch(key)

    def set_rate(self, key: str) -> float:
        """Hand an optimizer the learning rate of the batch that it is about to step; returns it."""
        rate = self.learning_rate(key)
        for group in self.optimizers[key].param_groups:
            group["lr"] = rate
        return rate

    def count_batch(self, key: str) -> None:
        """An optimizer has stepped one batch more."""
        self.batches_stepped[key] += 1
        if key in self.rewarming:
            self.rewarming[key] += 1
            if self.rewarming[key] >= self.recovery.rewarm_batches:
                del self.rewarming[key]

    def learning_rate(self, key: str) -> float:
        """A pure function of batches stepped and of the cut: linear warm-up, then constant; again after a rollback that asks for it."""
        return self.rate_after(0, key, self.rate_cut.at(self.batches_stepped["host"]))

    def rate_after(self, stepped: int, key: str, cut: float) -> float:
        """The learning rate when an optimizer has stepped so many batches more, cut to this share."""
        base = self.config.learning_rate if self.config.learning_rate is not None else self.task.learning_rate
        factor = 1.0 if key == "host" else self.config.seed_lr_factor
        rate = base * factor * min(1.0, (self.batches_stepped[key] + stepped + 1) / max(1, self.config.warmup_batches)) * cut
        rewarmed = self.rewarming.get(key, self.recovery.rewarm_batches) + stepped
        return rate * (rewarmed + 1) / self.recovery.rewarm_batches if rewarmed < self.recovery.rewarm_batches else rate

    def device_of(self, field: str, parameter: torch.nn.Parameter) -> torch.device:
        """Where a piece of optimizer state lies: beside its parameter, but steps that are not fused are counted on the CPU."""
        return torch.device("cpu") if field == "step" and not self.config.gate else parameter.device

    def _new_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        # None leaves the choice to PyTorch; only fused kernels can be gated.
        return new_optimizer(parameters, self.config, self.task.learning_rate, fused=self.config.gate or None)


def new_optimizer(
    parameters: list[torch.nn.Parameter], config: TrainingConfig, rate: float | torch.Tensor, fused: bool | None, capturable: bool = False
) -> torch.optim.Optimizer:  # fmt: skip
    """The optimizer that a config names."""
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=config.weight_decay, fused=fused, capturable=capturable)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=config.weight_decay, fused=fused, capturable=capturable)
    return torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=config.weight_decay, fused=fused)


def answer_shape(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mutual information of input and answer, entropy of the mean answer (nats), share of the most popular class; of logits [N, C]."""
    logs = torch.log_softmax(logits, dim=1)  # [N, C]
    answers = logs.exp()
    mean = answers.mean(dim=0)  # [C]
    mean_entropy = -torch.xlogy(mean, mean).sum()
    # A class without any probability has a log of -inf, and its term is zero.
    sample_entropy = -torch.where(answers > 0.0, answers * logs, torch.zeros_like(logs)).sum(dim=1).mean()
    share = torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]).max() / logits.shape[0]
    return mean_entropy - sample_entropy, mean_entropy, share


def optimizer_key(slot: Slot) -> str:
    """The name of a live seed's optimizer: slot and generation, so that no seed inherits another's state."""
    return f"{slot.slot_id}.{slot.state.generation}"


def seed_module(slot: Slot) -> torch.nn.Module:
    """The module in an occupied slot."""
    assert slot.seed is not None, slot.slot_id
    return slot.seed
