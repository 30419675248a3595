"""The governor works on whatever keeps this contract: here a host of two buffers, without a single parameter."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tolaria.governor import governed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governed import Spec
from tolaria.governor.governor import Governor
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Ease
from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Plan:
    """Nothing grows here."""

    specs: Mapping[str, Spec]
    pruned: tuple[str, ...] = ()
    leaned: bool = False


class Buffers:
    """Governed, and no more than that."""

    def __init__(self) -> None:
        self.mean = torch.tensor([1.0, 2.0])
        self.count = torch.tensor(3)

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        return {"host/mean": self.mean, "host/count": self.count}

    def facts(self) -> dict[str, Any]:
        return {}

    def prepare(self, facts: dict[str, Any]) -> Plan:
        return Plan({name: (tuple(tensor.shape), tensor.dtype) for name, tensor in self.stable_tensors().items()})

    def commit(self, plan: Plan, at: Point) -> tuple[Event, ...]:
        return ()

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        assert saved == {}

    def settle(self, facts: dict[str, Any]) -> None:
        assert facts == {}

    def ease(self, factor: float, steps: int, skip_steps: int) -> Ease:
        return Ease(factor, 0)

    def probe(self) -> None:
        return


def test_features_are_promised_by_protocols_and_never_probed_for() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(governed.__file__).parent.rglob("*.py")]
    assert len(sources) > 10
    assert not [source for source in sources if "hasattr(" in source or "__dict__" in source]


def test_a_host_without_parameters_is_snapshotted_and_rolled_back() -> None:
    host: Any = Buffers()
    governor = Governor(GovernorConfig(), 1.0, 1.5, NO_TAPS, lambda _: None)
    governor.begin(host, Point(0, 0))
    host.mean.fill_(float("nan"))
    host.count.add_(1)
    vitals = Vitals(0, 0.5, 0.5, 0.5, None, ("buffers",))
    assert governor.enforce(governor.judge(vitals), vitals, host, Point(0, 0), False).penalty == -10.0
    assert (host.mean.tolist(), host.count.item()) == ([1.0, 2.0], 3)
