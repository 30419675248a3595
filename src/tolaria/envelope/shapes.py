"""Faults as streams of vitals: a healthy baseline with recorded noise, and from one step on something else.

A baseline is a model of C classes whose loss is a given part of the chance loss L0; entropies and accuracy follow from
that as they would for a model that is as sure as it is right. Magnitudes are said in units of L0 or a step.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tolaria.vitals import Outputs, Vitals

# No loss of single precision logits is larger than this many nats for long.
LOSS_MAX = 1e4


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model before anything happens to it; `priors` are the frequencies of the classes, `level` its loss in units of L0."""

    name: str
    priors: tuple[float, ...]
    level: float

    @property
    def chance_loss(self) -> float:
        """The loss of uniform answers, in nats."""
        return math.log(len(self.priors))

    @property
    def prior_loss(self) -> float:
        """The entropy of the labels, in nats."""
        return -sum(prior * math.log(prior) for prior in self.priors)

    def vitals(self, step: int, noise: float) -> Vitals:
        """One healthy step with this noise on its log-loss."""
        loss = self.level * self.chance_loss * math.exp(noise)
        # As sure as it is right: an answer's entropy is the loss, up to all that labels hold. Noise costs information, but a
        # loss doubles by one confident error in ten, which takes far less away.
        own = min(self.level * self.chance_loss, 0.98 * self.prior_loss)
        information = (self.prior_loss - own) * math.exp(-0.5 * max(0.0, noise))
        most = max(self.priors)
        accuracy = most + (1.0 - most) * max(0.0, 1.0 - own * math.exp(0.25 * noise) / self.prior_loss)
        share = min(most + 0.1 * self.level, 0.94)
        return Vitals(step, loss, loss, accuracy, 1.0, outputs=Outputs(information, self.prior_loss, share))


def even(classes: int) -> tuple[float, ...]:
    """Priors of labels that are all alike."""
    return (1.0 / classes,) * classes


# Nine of ten labels are of one class: L0 is ln 3, and whoever knows the frequencies has a loss of 0.36 L0.
IMBALANCED = (0.9, 0.05, 0.05)
BASELINES = (
    Baseline("good, 10 classes", even(10), 0.05),
    Baseline("0.4 nats, 10 classes", even(10), 0.4 / math.log(10)),
    Baseline("poor, 10 classes", even(10), 0.7),
    Baseline("good, 3 classes", even(3), 0.05),
    Baseline("fair, 3 classes", even(3), 0.4),
    Baseline("poor, imbalanced", IMBALANCED, 0.2),
    Baseline("0.65 of L0, imbalanced", (0.7, 0.15, 0.15), 0.65),
)

# From the baseline's own healthy vitals of step t after the onset to those of the fault.
Fault = Callable[[Baseline, Vitals, int], Vitals]


def _loss(vitals: Vitals, loss: float) -> Vitals:
    # Such a fault is a change of the loss alone; what the answers would look like is anybody's guess, and so they are not known.
    return replace(vitals, val_loss=min(loss, LOSS_MAX), outputs=None)


def step_to(level: float) -> Fault:
    """The loss jumps to a multiple of L0 and stays there."""
    return lambda base, vitals, _: _loss(vitals, level * base.chance_loss * (vitals.val_loss / (base.level * base.chance_loss)) ** 0.2)


def growth(rate: float) -> Fault:
    """The loss grows by a factor each step: a ramp where it is large, a drift where it is a few percent."""
    return lambda _, vitals, t: _loss(vitals, vitals.val_loss * rate ** min(t + 1, 500))


def spikes(level: float) -> Fault:
    """Two of every three losses jump to a multiple of L0, the third is as if nothing had been."""
    jump = step_to(level)
    return lambda base, vitals, t: vitals if t % 3 == 2 else jump(base, vitals, t)


def not_a_number(value: float) -> Fault:
    """The loss is NaN or infinite."""
    return lambda _, vitals, __: replace(vitals, val_loss=value)


def uniform(_: float) -> Fault:
    """Every answer is uniform: the loss is L0, and the first class wins every tie."""
    return lambda base, vitals, __: replace(
        vitals,
        val_loss=base.chance_loss,
        val_accuracy=base.priors[0],
        outputs=Outputs(0.0, base.chance_loss, 1.0),
    )


def one_class(certainty: float) -> Fault:
    """Every answer is the most frequent class with this certainty."""

    def fault(base: Baseline, vitals: Vitals, _: int) -> Vitals:
        rest = (1.0 - certainty) / (len(base.priors) - 1)
        loss = -base.priors[0] * math.log(certainty) - (1.0 - base.priors[0]) * math.log(rest)
        entropy = -certainty * math.log(certainty) - (1.0 - certainty) * math.log(rest)
        return replace(vitals, val_loss=loss, val_accuracy=base.priors[0], outputs=Outputs(0.0, entropy, 1.0))

    return fault


@dataclass(frozen=True, slots=True)
class Shape:
    """A sort of fault, its magnitudes with their unit, and how many steps are waited for an alarm."""

    build: Callable[[float], Fault]
    magnitudes: Sequence[float]
    unit: str
    patience: int = 60


SHAPES: Mapping[str, Shape] = {
    "step": Shape(step_to, (0.6, 0.95, 1.2, 2.0, 11.9 / math.log(10), 20.0), "x L0"),
    "ramp": Shape(growth, (1.1, 1.3, 1.5, 3.0), "x a step", 120),
    "spike train": Shape(spikes, (0.95, 2.0, 11.9 / math.log(10), 20.0), "x L0"),
    "drift": Shape(growth, (1.01, 1.02, 1.03, 1.05), "x a step", 500),
    "not finite": Shape(not_a_number, (math.nan, math.inf), "loss"),
    "uniform output": Shape(uniform, (1.0,), "answers"),
    "single class": Shape(one_class, (0.9, 0.999, 1.0 - 1e-8), "sure"),
}
