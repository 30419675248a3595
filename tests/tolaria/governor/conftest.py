"""Hosts under a real governor: a real one on the spirals task, and one of a single number; both fail where a test wants it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governed import Spec
from tolaria.governor.governor import Governor, Response
from tolaria.governor.verdict import Verdict
from tolaria.host.mlp_host import MlpHost
from tolaria.lifecycle.stage import RESTING, Stage
from tolaria.seams import NO_TAPS, Seam, Taps
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Ease, Probe, RolledBack
from tolaria.vitals import Vitals

T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)
NAN = float("nan")
GROWING = (Stage.TRAINING, Stage.BLENDING, Stage.HOLDING)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Tripwire:
    """Taps that raise when a value passes a seam, `times` times."""

    seam: Seam[Any] | None = None
    value: object = None
    error: type[BaseException] = RuntimeError
    times: int = 0
    struck: int = 0
    passed: list[str] = field(default_factory=list)

    def arm(self, seam: Seam[Any], value: object, error: type[BaseException] = RuntimeError, times: int = 1) -> None:
        self.seam, self.value, self.error, self.times, self.struck = seam, value, error, times, 0

    def disarm(self) -> None:
        self.seam = None

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        self.passed.append(seam.name)
        if seam == self.seam and value == self.value and self.struck < self.times:
            self.struck += 1
            raise self.error("tripped")
        return value


class World:
    """One environment's host and governor; `step` is the step to come."""

    def __init__(self, trainer: str = "sgd", depth: int = 2, env: int = 0, batches: int = 1, seed: int = 0, **settings: Any) -> None:
        task = TASKS["spirals"]()
        if depth != 2:
            task = replace(task, build_host=lambda name: MlpHost(inputs=2, width=24, depth=depth, classes=3, seed=name))
        self.task = task
        self.events: list[Event] = []
        self.taps = Tripwire()
        self.config = GovernorConfig(**settings)
        training = TrainingConfig(optimizer=trainer, batches_per_step=batches, weight_decay=0.0)
        self.host = CapsuleHost(task, training, seed, torch.device("cpu"), self.taps, self.events.append)
        self.host.loss_before = 1.0
        self.governor = Governor(self.config, task.chance_loss, task.explosion_loss, self.taps, self.events.append)
        self.env = env
        self.step = 0
        self.governor.begin(self.host, self.at)

    @property
    def at(self) -> Point:
        return Point(self.step, self.env)

    def train(self) -> None:
        """One step of real training, without a verdict."""
        self.host.train(self.at)
        self.host.tick(self.at)
        self.step += 1

    def judged(self, vitals: Vitals, fossilized: bool = False) -> tuple[Verdict, Response]:
        """Judge and enforce vitals of the latest step."""
        verdict = self.governor.judge(vitals)
        return verdict, self.governor.enforce(verdict, vitals, self.host, self.at, fossilized)

    def live(self, loss: float = 0.3, fossilized: bool = False) -> Verdict:
        """One step of real training, judged as if validation had come to this loss."""
        self.train()
        return self.judged(self.vitals(loss), fossilized)[0]

    def die(self) -> Response:
        """NaN in a weight, as a step leaves it behind."""
        with torch.no_grad():
            next(iter(self.host.host.own_parameters().values())).fill_(NAN)
        self.step += 1
        vitals = replace(self.vitals(NAN), nonfinite=self.host.nonfinite_places())
        return self.judged(vitals)[1]

    def vitals(self, loss: float) -> Vitals:
        return Vitals(self.step, loss, loss, 0.5, 1.0)

    def bring(self, slot: str, stage: Stage) -> None:
        """Lead a slot into a stage by moves of the table; a seed on its way is no longer as it was born."""
        host = self.host
        if stage is Stage.DORMANT:
            return
        host.host.germinate(slot, "residual_mlp", seed=7, steps=2)
        with torch.no_grad():
            for tensor in host.host.seed_tensors(slot).values():
                tensor.add_(0.01)
        for after in GROWING:
            if stage in RESTING or host.state(slot).stage is stage:
                break
            host.host.slot(slot).state = host.state(slot).advanced().ticked()
            assert host.state(slot).stage is after
        if stage is Stage.FOSSILIZED:
            host.fossilize(slot, self.at, "test", "policy")
        if stage in RESTING:
            host.prune(slot, self.at, "test", "policy")
            while host.state(slot).stage is not stage:
                host.host.slot(slot).state = host.state(slot).ticked()
        host.renew_optimizers()
        assert host.state(slot).stage is stage

    def bytes(self) -> dict[str, bytes]:
        """Everything that a tensor of the host or of its optimizers holds."""
        return {name: tensor.detach().numpy().tobytes() for name, tensor in self.host.all_tensors().items()}

    def told(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass(frozen=True, slots=True)
class Plan:
    """A topology; the number of the snapshot it was planned from stands in for its seeds."""

    specs: Mapping[str, Spec]
    pruned: tuple[str, ...]
    leaned: bool


class Single:
    """A host of one number. `failures` says how often each value may be prepared in vain, `late` how often it fails after the commit."""

    def __init__(self) -> None:
        self.number = torch.zeros(())
        self.failures = Counter[int]()
        self.late = Counter[int]()
        self.tried: list[int] = []
        self.seeds: tuple[str, ...] = ()
        self.error: type[BaseException] = ValueError
        self.policies: list[str] = []
        self.settled: list[dict[str, Any]] = []
        self.eased: list[tuple[float, int, int]] = []
        self.measured: Probe | None = Probe(0.4, 0.8)

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        return {"host/number": self.number}

    def facts(self) -> dict[str, Any]:
        return {"value": int(self.number)}

    def prepare(self, facts: dict[str, Any]) -> Plan:
        self.tried.append(facts["value"])
        self._fail(self.failures, facts)
        return Plan({"host/number": ((), torch.float32)}, self.seeds, bool(self.seeds))

    def commit(self, plan: Plan, at: Point) -> tuple[Event, ...]:
        pruned, self.seeds = self.seeds, ()
        return tuple(Event(Point(at.step, number)) for number, _ in enumerate(pruned))

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        assert saved == {}
        self.policies.append(policy)

    def settle(self, facts: dict[str, Any]) -> None:
        self._fail(self.late, facts)
        self.settled.append(facts)

    def ease(self, factor: float, steps: int, skip_steps: int) -> Ease:
        self.eased.append((factor, steps, skip_steps))
        return Ease(factor, skip_steps)

    def probe(self) -> Probe | None:
        return self.measured

    def _fail(self, times: Counter[int], facts: dict[str, Any]) -> None:
        if times[facts["value"]] > 0:
            times[facts["value"]] -= 1
            raise self.error("broken")


class Story:
    """A governor that is told of good and of lost steps; `restored` are the steps whose snapshots came back."""

    def __init__(self, taps: Taps = NO_TAPS, **settings: Any) -> None:
        self.events: list[Event] = []
        self.host: Any = Single()
        self.governor = Governor(GovernorConfig(**settings), 1.0, 1.5, taps, self.events.append)
        self.governor.begin(self.host, Point(0, 4))

    def tell(self, step: int, good: bool = True, loss: float = 0.25, gated: bool = False, fossilized: bool = False) -> Response:
        """One step of environment 4."""
        vitals = Vitals(step, loss, loss, 0.9, None, () if good else ("buffers",), gated=gated)
        return self.governor.enforce(self.governor.judge(vitals), vitals, self.host, Point(step, 4), fossilized)

    @property
    def restored(self) -> list[int]:
        return [event.snapshot_step for event in self.events if isinstance(event, RolledBack)]


@pytest.fixture
def new_world() -> Callable[..., World]:
    return World


@pytest.fixture
def new_single() -> Callable[[], Single]:
    return Single


@pytest.fixture
def new_story() -> Callable[..., Story]:
    return Story
