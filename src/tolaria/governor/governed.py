"""What the governor needs of a host in training to take snapshots of it and to roll it back."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import torch

from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Ease, Probe

# Shape and dtype of one tensor.
Spec = tuple[tuple[int, ...], torch.dtype]


class RollbackPlan(Protocol):
    """A topology that has been built aside and not yet been put in place."""

    @property
    def specs(self) -> Mapping[str, Spec]:
        """Every tensor that the host will have once the plan is committed, optimizer state not among them."""
        ...

    @property
    def pruned(self) -> tuple[str, ...]:
        """The slots whose experimental seeds go."""
        ...

    @property
    def leaned(self) -> bool:
        """Whether a seed goes that is, or in the snapshot was, blended into the host."""
        ...


PlanT = TypeVar("PlanT", bound=RollbackPlan)


class Governed(Protocol[PlanT]):
    """A host in training, one that grows or any other. Its facts are JSON: topology, counters, baselines."""

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        """Live tensors by stable name: "host/..." with fossils, "optimizer/host/...", "optimizer/...".

        Experimental seeds are among them only where a rollback brings them back."""
        ...

    def facts(self) -> dict[str, Any]:
        """Everything of a snapshot that is no tensor."""
        ...

    def prepare(self, facts: dict[str, Any]) -> PlanT:
        """Build aside what the recorded topology needs; changes nothing."""
        ...

    def commit(self, plan: PlanT, at: Point) -> tuple[Event, ...]:
        """Put the topology in place and prune the seeds that go; returns what is to be told of it. May be repeated."""
        ...

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        """Optimizer state from a snapshot's "optimizer/..." tensors, by policy; aliases none of them."""
        ...

    def settle(self, facts: dict[str, Any]) -> None:
        """Counters and baselines back to the snapshot's; a learning rate that was cut since stays cut."""
        ...

    def ease(self, factor: float, steps: int, skip_steps: int) -> Ease:
        """Cut the learning rate for `steps` steps at least, and leave out the data of the next `skip_steps`, as far as it can."""
        ...

    def probe(self) -> Probe | None:
        """Measure the host on the data that its vitals come from; None where there are none, or no number comes of it."""
        ...
