"""After a rollback the optimizer remembers what its policy says, and nothing of the collapse."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import FaultStruck, FirstStepSeen, RollbackObserved, TensorSeen
from firedrill.oracles.oracle import Evidence, Finding, Oracle, Restoration, place, restorations, where
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack

# State keys that hold a direction, and must be forgotten; the others are scales and counters, and come from the snapshot.
DIRECTIONS = frozenset({"momentum_buffer", "exp_avg"})
SCALES = frozenset({"exp_avg_sq", "step"})
# The optimizers of seeds die with their seeds, unless these come back.
OF_HOST = "optimizer/host/"

# Of a product of single precision, and of a sum with a weight.
SLACK, ROUNDING = 1e-4, 2.0**-22

Tensors = Mapping[str, TensorSeen]


@dataclass(frozen=True, slots=True)
class OptimizerReset(Oracle):
    """Optimizer state equals the declared policy: `reset`, `reset_all`, `restore` or `rewarm`.

    The host's, and that of seeds where these come back. Where no direction is left the first step goes no further than its own
    gradient explains.
    """

    kind: ClassVar[str] = "optimizer_reset"

    def judge(self, evidence: Evidence) -> Finding:
        """A state that is absent counts as zero, because torch creates it as zeros at the next step."""
        policy = evidence.claim.optimizer_policy
        rules = {"reset": _not_reset, "rewarm": _not_reset, "reset_all": _not_reset_all, "restore": _not_restored}
        optimizers = "optimizer/" if evidence.claim.live_seeds == "restore" else OF_HOST
        pairs = restorations(evidence.faulted, evidence.claim.live_seeds)
        if not pairs or policy not in rules:
            return self.unknown(f"no expectation for the policy {policy}" if pairs else "no rollback was observed")
        announced = {where(event): event.optimizer_policy for event in evidence.faulted if isinstance(event, RolledBack)}
        for pair in pairs:
            said = announced.get(where(pair.observed), policy)
            if said != policy:
                return self.failed(pair.at, f"the policy was {said}, not {policy}", "policy")
            if pair.snapshot is None and policy != "reset_all":
                return self.failed(pair.at, f"snapshot {pair.observed.snapshot} was never seen published", "unpublished")
            fault = rules[policy](_under(optimizers, pair.found), _under(optimizers, _promised(pair)))
            if fault:
                return self.failed(pair.at, fault, policy)
        for step in undisturbed_steps(evidence.faulted) if policy != "restore" else ():
            if not step.displacement <= bound(step):
                detail = f"the first step went {step.displacement:.4g} far, its gradient explains {bound(step):.4g}"
                return self.failed(place(*where(step)), detail, "displacement")
        return self.passed(f"optimizer state is as {policy} says after {len(pairs)} rollbacks")


def undisturbed_steps(events: Iterable[Event]) -> Iterator[FirstStepSeen]:
    """The first steps that nothing struck since their rollback: what a fault moves is no step of an optimizer."""
    disturbed: set[int | None] = set()
    for event in events:
        if isinstance(event, FaultStruck):
            disturbed.add(event.at.env)
        elif isinstance(event, RollbackObserved):
            disturbed.discard(event.at.env)
        elif isinstance(event, FirstStepSeen) and disturbed.isdisjoint({None, event.at.env}):
            yield event


def bound(step: FirstStepSeen) -> float:
    """How far an optimizer without a direction can go: by its gradient alone, and in Adam by less than that for any gradient.

    A first moment of (1 - b1) g over the root of a second moment of (1 - b2) g g at least, both corrected for their beginning.
    """
    drag = step.decay * step.weight
    if step.betas:
        # A step that the gate left out is not counted, and went nowhere.
        count = max(step.count, 1.0)
        first, second = ((1.0 - beta) / (1.0 - math.pow(beta, count)) for beta in step.betas)
        reach = first / math.sqrt(second) + (drag if step.optimizer == "AdamW" else 0.0)
    else:
        reach = step.gradient + drag
    return step.lr * reach * (1.0 + SLACK) + ROUNDING * step.weight


def _promised(pair: Restoration) -> Tensors:
    return {tensor.name: tensor for tensor in pair.snapshot.tensors} if pair.snapshot else {}


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _key(name: str) -> str:
    return name.rpartition("/")[2]


def _is_zero(tensor: TensorSeen) -> bool:
    return tensor.magnitude == 0.0 and tensor.nonfinite == 0


def _not_reset(found: Tensors, promised: Tensors) -> str:
    for name, tensor in found.items():
        if _key(name) in DIRECTIONS and not _is_zero(tensor):
            return f"{name} still holds {tensor.magnitude:g}"
    return _not_equal({n: t for n, t in found.items() if _key(n) in SCALES}, {n: t for n, t in promised.items() if _key(n) in SCALES})


def _not_reset_all(found: Tensors, _: Tensors) -> str:
    return next((f"{name} still holds {tensor.magnitude:g}" for name, tensor in found.items() if not _is_zero(tensor)), "")


def _not_restored(found: Tensors, promised: Tensors) -> str:
    return _not_equal(found, promised)


def _not_equal(found: Tensors, promised: Tensors) -> str:
    for name in sorted({*found, *promised}):
        one, other = found.get(name), promised.get(name)
        if one is None or other is None:
            present = one or other
            if present is not None and not _is_zero(present):
                return f"{name} is {'missing' if one is None else 'not in the snapshot'}"
        elif one.digest != other.digest:
            return f"{name} differs from the snapshot"
    return ""
