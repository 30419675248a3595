"""What single bits and numbers that are not finite do to real training runs, and whether it is noticed.

A trained host is copied; one copy goes on undisturbed, every other one is struck once. Nobody rolls back: what the losses
come to without a governor says whether a fault did harm, and the verdicts on the way say whether it would have been noticed.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.envelope.progress import Follow, unseen
from tolaria.envelope.streams import limits_of
from tolaria.governor.config import GovernorConfig
from tolaria.governor.jury import Jury
from tolaria.governor.verdict import Standing
from tolaria.seams import GRADIENTS_READY, LOSS_READY, NO_TAPS, WEIGHTS_UPDATED, Seam
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.vitals import Vitals

# The exponent of a float32, lowest bit first.
EXPONENT_BITS = range(23, 31)
# A host is trained for so many steps before it is struck, and for so many afterwards.
HEALTHY, AFTER = 40, 20
# Harm: over the last ten steps the loss is higher than that of the undisturbed copy by this part of the chance loss, or not finite.
JUDGED, TOLERANCE = 10, 0.25

# Changes a tensor in place.
Change = Callable[[torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: what a value that passes a seam becomes, in the last batch of a step."""

    task: str
    place: str
    fault: str
    seam: Seam[Any]
    change: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Damage:
    """What came of a strike: mean loss of the last ten steps beside that of the undisturbed copy, and when it was noticed.

    `excess` is in units of chance loss, None where a loss was not finite; `noticed` is in steps after the strike.
    """

    task: str
    place: str
    fault: str
    excess: float | None
    noticed: int | None
    cause: str

    @property
    def harmful(self) -> bool:
        """Whether the host was lastingly worse."""
        return self.excess is None or self.excess > TOLERANCE


class Once:
    """Taps that strike when the value passes in this step and batch."""

    def __init__(self, strike: Strike, batch: int) -> None:
        self._strike = strike
        self._batch = batch

    def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
        """The value as it came, but for the one that is struck."""
        if seam == self._strike.seam and (at.step, at.batch) == (HEALTHY, self._batch):
            return self._strike.change(value)
        return value


class Patient:
    """A host that was trained to be healthy, and the jury that saw it; every strike falls on a copy of both."""

    def __init__(self, task: str, config: GovernorConfig, seed: int = 0, optimizer: str = "sgd", batches: int = 5) -> None:
        self.task = task
        self._batches = batches
        training = TrainingConfig(batches_per_step=batches, optimizer=optimizer)
        self.host = CapsuleHost(TASKS[task](), training, seed, torch.device("cpu"), NO_TAPS, _unheard)
        self._jury = Jury(config, limits_of(task, config))
        for step in range(HEALTHY):
            self._judge(self._jury, self._step(self.host, step))
        self._undisturbed = [vitals.val_loss for vitals in self._onwards(deepcopy(self.host))]

    def struck(self, strike: Strike) -> Damage:
        """What comes of it."""
        host, jury = deepcopy(self.host), deepcopy(self._jury)
        host.taps = Once(strike, self._batches - 1)
        losses, noticed, cause = [], None, ""
        for after, vitals in enumerate(self._onwards(host)):
            losses.append(vitals.val_loss if vitals.finite else math.nan)
            found = self._judge(jury, vitals) if noticed is None else ""
            if found:
                noticed, cause = after, found
        excess = (fmean(losses[-JUDGED:]) - fmean(self._undisturbed[-JUDGED:])) / host.task.chance_loss
        return Damage(strike.task, strike.place, strike.fault, excess if math.isfinite(excess) else None, noticed, cause)

    def _onwards(self, host: CapsuleHost) -> Iterator[Vitals]:
        return (self._step(host, step) for step in range(HEALTHY, HEALTHY + AFTER))

    def _step(self, host: CapsuleHost, step: int) -> Vitals:
        at = Point(step, 0)
        return host.vitals(at, host.train(at), scan=True)

    def _judge(self, jury: Jury, vitals: Vitals) -> str:
        verdict = jury.judge(vitals)
        jury.remember(verdict, vitals)
        return verdict.alarm.cause if verdict.standing is Standing.COLLAPSED and verdict.alarm else ""


def survey(config: GovernorConfig, tasks: Sequence[str], optimizer: str = "sgd", seed: int = 0, follow: Follow = unseen) -> list[Damage]:
    """Every strike on a host of every task; those that were struck where somebody stops earlier."""
    found: list[Damage] = []
    for task in follow("tasks", tasks, len(tasks)):
        patient = Patient(task, config, seed, optimizer)
        strikes = [*spoils(patient), *flips(patient)]
        found.extend(patient.struck(strike) for strike in follow(f"strikes on {task}", strikes, len(strikes)))
    return found


def told(found: Sequence[Damage]) -> Iterator[str]:
    """What was harmful by place and fault, and how much of it was noticed."""
    harmful = [one for one in found if one.harmful]
    missed = [one for one in harmful if one.noticed is None]
    needless = sum(not one.harmful and one.noticed is not None for one in found)
    yield f"{len(found)} strikes, {len(harmful)} harmful, {len(missed)} of them not noticed; {needless} noticed that did no lasting harm"
    for one in harmful:
        excess = "not finite" if one.excess is None else f"{one.excess:.3g} x L0"
        when = "not noticed" if one.noticed is None else f"{one.cause} after {one.noticed} steps"
        yield f"  {one.task:<8} {one.place:<44} {one.fault:<28} {excess:>14}  {when}"


def to_json(found: Sequence[Damage]) -> str:
    """Every strike, whether it did harm or not."""
    return json.dumps([asdict(one) | {"harmful": one.harmful} for one in found], indent=1, allow_nan=False) + "\n"


def flips(patient: Patient) -> Iterator[Strike]:
    """Every exponent bit of the largest and of the middle element of every parameter and of every buffer that is a float."""
    named = [*patient.host.host.named_parameters(), *patient.host.host.named_buffers()]
    for name, tensor in named:
        if not tensor.is_floating_point():
            continue
        for index in dict.fromkeys((int(tensor.detach().abs().argmax()), tensor.numel() // 2)):
            for bit in EXPONENT_BITS:
                yield _on_tensor(patient.task, name, f"bit {bit} of element {index}", flip(index, bit))


def spoils(patient: Patient) -> Iterator[Strike]:
    """NaN and infinity in one element of a parameter, a buffer, a gradient and optimizer state, and in the loss."""
    name, _ = next(iter(patient.host.host.named_parameters()))
    buffers = [name for name, tensor in patient.host.host.named_buffers() if tensor.is_floating_point()]
    for number in (math.nan, math.inf):
        for place in (name, *buffers[:1]):
            yield _on_tensor(patient.task, place, f"{number}", fill(number))
        yield Strike(patient.task, f"gradient of {name}", f"{number}", GRADIENTS_READY, _on_gradient(name, number))
        yield Strike(patient.task, f"optimizer state of {name}", f"{number}", WEIGHTS_UPDATED, _on_state(name, number))
        yield Strike(patient.task, "loss", f"{number}", LOSS_READY, _times(number))


def flip(index: int, bit: int) -> Change:
    """One bit of one element of a float32 turns."""

    def change(tensor: torch.Tensor) -> None:
        tensor.detach().view(-1).view(torch.int32)[index] ^= 1 << bit

    return change


def fill(number: float) -> Change:
    """The first element becomes that number."""

    def change(tensor: torch.Tensor) -> None:
        tensor.detach().view(-1)[0] = number

    return change


def _on_tensor(task: str, name: str, fault: str, change: Change) -> Strike:
    def struck(value: CapsuleHost) -> CapsuleHost:
        change(dict([*value.host.named_parameters(), *value.host.named_buffers()])[name])
        return value

    return Strike(task, name, fault, WEIGHTS_UPDATED, struck)


def _on_gradient(name: str, number: float) -> Callable[[Any], Any]:
    def struck(value: CapsuleHost) -> CapsuleHost:
        gradient = dict(value.host.named_parameters())[name].grad
        assert gradient is not None, name
        fill(number)(gradient)
        return value

    return struck


def _on_state(name: str, number: float) -> Callable[[Any], Any]:
    def struck(value: CapsuleHost) -> CapsuleHost:
        state = value.optimizers["host"].state[dict(value.host.named_parameters())[name]]
        fill(number)(next(tensor for tensor in state.values() if isinstance(tensor, torch.Tensor) and tensor.dim()))
        return value

    return struck


def _times(number: float) -> Callable[[Any], Any]:
    return lambda loss: loss * number


def _unheard(_: object) -> None:
    return None
