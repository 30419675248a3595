"""Every fault of the table against its contract, on a small real host."""

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch

from firedrill.faults import FAULTS
from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike
from firedrill.faults.governor_raise_in import PHASES as SEAM_OF
from firedrill.faults.target import Target
from firedrill.scenario.moments import PHASES
from firedrill.scenario.needs import ON_CUDA
from firedrill.subjects.loop import Learner
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.host.mlp_host import MlpHost
from tolaria.lifecycle.action import WAIT, Action
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import Stage
from tolaria.policy.policy import Choice, Record
from tolaria.policy.view import View
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.row import Row
from tolaria.seams import Batch, Observed
from tolaria.seeding import stream
from tolaria.telemetry.event import Point
from tolaria.telemetry.run_events import StepFinished
from tolaria.train import checkpoint
from tolaria.vitals import Vitals

SCENARIOS = Path(__file__).parents[2] / "scenarios"
STRUCK_BY_SCENARIOS = {
    line.split("do: ")[1].split(",")[0].strip()
    for file in SCENARIOS.rglob("*.yaml")
    for line in file.read_text().splitlines()
    if "do: " in line
}
AT = Point(step=3, env=1)
OPERATIONS = {seam: operation for operation, seam in SEAM_OF.items()}
TARGETS = {
    "lifecycle.germinate": Target(slot="s0"),
    "lifecycle.advance": Target(slot="s2"),
    "lifecycle.prune": Target(slot="s1"),
    "lifecycle.fossilize": Target(slot="s1"),
    "unit.kill_relu": Target(params="head.bias"),
}
# After these a process runs no more.
ENDING = {"proc.sigkill", "proc.sigstop", "proc.abort", "io.torn"}
RAISING = {"governor.raise_in", "env.raise", "sink.raise", "mem.oom", "mem.limit"}
# The very event is that somebody draws from it.
DRAWS_GLOBALLY = {"rng.disturb"}


class SmallTrainee:
    """An MLP host with a seed in s1 that is held and one in s2 that has just germinated, as far as faults know a trainee."""

    def __init__(self) -> None:
        self.host = MlpHost(inputs=2, width=4, depth=3, classes=3, seed=7)
        # No host has a perceptron's slots and batch normalisation, but faults know tensors by their names only.
        self.host.add_module("norm", torch.nn.BatchNorm1d(4))
        self.host.germinate("s1", "mlp_norm", seed=5)
        self.host.germinate("s2", "mlp_norm", seed=6)
        slot = self.host.slot("s1")
        slot.state = replace(slot.state, stage=Stage.HOLDING)
        engine = torch.optim.SGD(self.host.own_parameters().values(), lr=0.1, momentum=0.9)
        self.host(torch.ones(2, 2)).sum().backward()
        engine.step()
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {"host": engine}
        self.moves: list[tuple[str, str, str]] = []

    def germinate(self, action: Action, at: Point, reason: str, initiator: str) -> None:
        self.moves.append(("germinate", action.slot, initiator))
        self.host.germinate(action.slot, action.blueprint, seed=9)

    def advance(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        self.moves.append(("advance", slot, initiator))
        self.host.slot(slot).state = self.host.slot(slot).state.advanced()

    def prune(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        self.moves.append(("prune", slot, initiator))
        self.host.slot(slot).state = self.host.slot(slot).state.pruned()

    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        self.moves.append(("fossilize", slot, initiator))
        self.host.slot(slot).state = self.host.slot(slot).state.fossilized()


class Witness:
    """Keeps every strike."""

    def __init__(self) -> None:
        self.strikes: list[Strike] = []

    def __call__(self, strike: Strike) -> None:
        self.strikes.append(strike)


@dataclass(frozen=True)
class Example:
    """A fault with parameters that change something, and a phase."""

    fault: Fault
    phase: str
    target: Target | None = None


def example(kind: str, phase: str) -> Example:
    given: dict[str, dict[str, object]] = {
        "tensor.set": {"value": float("nan")},
        "tensor.scale": {"factor": 100.0},
        "tensor.noise": {"spread": 0.1},
        "optim.poison": {"field": "momentum", "value": 7.0},
        "optim.lr_spike": {"factor": 100.0},
        "lifecycle.germinate": {"blueprint": "mlp_norm"},
        "loss.set": {"value": 1e6},
        "loss.scale": {"factor": 100.0},
        "loss.drift": {"rate": 1.3, "since": 2},
        "data.damage": {"value": float("nan"), "first": 3, "batches": 2},
        "data.set": {"value": float("nan")},
        "output.lobotomize": {"mode": "single_class"},
        "governor.raise_in": {"operation": OPERATIONS.get(phase)},
        "amp.scale": {"value": 0.0},
        "env.stall": {"seconds": 0.001},
        "sink.block": {"seconds": 0.001},
    }
    fault = FAULTS[kind](**given.get(kind, {}))
    return Example(fault, phase, TARGETS.get(kind, Target(params="head.*")) if fault.targets else None)


def finished_buffer() -> RolloutBuffer:
    """One environment, one row that the horizon cuts off."""
    buffer = RolloutBuffer(1, 1, PpoConfig())
    buffer.begin(None)
    buffer.remember(0, Row(0, 0, None, 1.0, fresh=True))
    buffer.finish({0: 0.25})
    return buffer


def passing(phase: str, kind: str = "") -> object:
    """What passes at a phase, in a loop that is not ours where only such a loop has what is struck."""
    trainee = SmallTrainee()
    if kind and FAULTS[kind].loops_only:
        return Learner(trainee.host, trainee.optimizers, torch.amp.GradScaler("cpu"))
    match phase:
        case "loss_ready":
            return torch.tensor(2.0, requires_grad=True) * 1.0
        case "vitals_measured":
            return Vitals(3, 0.5, 0.6, 0.9, 1.0)
        case "batch_ready" | "validation_ready":
            return Batch(torch.arange(8.0).reshape(4, 2), torch.tensor([0, 1, 2, 0]), 4)
        case "verdict_ready":
            return Verdict(Standing.SUSPECT, Alarm("loss_outlier", None, None, None, "head"))
        case "snapshot_taken" | "rolled_back":
            return Observed(2, trainee, {"host/head.weight": torch.ones(3, 4)})
        case "view_ready":
            return View(1, 3, 9, 1.1, {}, (), GateConfig(), recent=(Vitals(2, 0.5, 0.6, 0.9, 1.0),))
        case "decided":
            return Choice(WAIT, Record(*(torch.zeros(1) for _ in range(3)), log_prob=-0.5, value=0.5, forced=False))
        case "reward_ready":
            return 0.5
        case "rollout_ready":
            return finished_buffer()
        case "sink_writing":
            return StepFinished(AT, "wait", "s0", True, 0.5, 0.6, 0.9, 1.0, 0.1)
        case "snapshot_copying" | "snapshot_verifying" | "rollback_copying":
            return 0
        case "detector_asked":
            return "loss_explosion"
        case "rollback_pruning":
            return "s1"
        case "penalty_owed":
            return -10.0
        case "checkpoint_due":
            return partial(checkpoint.write, Path(tempfile.mkdtemp()), 3, {"a": torch.ones(40)}, {"step": 3})
    return trainee


def told_by_a_child(case: Example, scene: Scene, value: object) -> list[Strike]:
    """Strike a process that is there for it alone, and hear what its witness told before it ended or stood still."""
    mine, its = os.pipe()
    child = os.fork()
    if child == 0:
        # Its end is wanted, and nobody needs to read of it.
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        told = replace(scene, witness=lambda strike: os.write(its, pickle.dumps(strike)))
        passed = case.fault.strike(value, told)
        if callable(passed):
            passed()
        os._exit(0)
    os.close(its)
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert os.WIFSTOPPED(status) or os.WIFSIGNALED(status), "the process goes on"
    with os.fdopen(mine, "rb") as pipe:
        return [pickle.loads(pipe.read())]


# What strikes a CUDA device needs one, and is tried by its scenarios.
CASES = [(kind, phase) for kind, fault in FAULTS.items() for phase in fault.phases if kind not in ON_CUDA]
SURVIVED = [(kind, phase) for kind, phase in CASES if kind not in ENDING]


def strike(case: Example, witness: Witness, value: object, seed: int = 1) -> object:
    scene = Scene(AT, stream(seed, "fault", 0), case.target, witness)
    if case.fault.kind in ENDING:
        witness.strikes += told_by_a_child(case, scene, value)
        return value
    if case.fault.kind in RAISING:
        with pytest.raises((RuntimeError, OSError, MemoryError), match="injected into"):
            case.fault.strike(value, scene)
        return value
    if case.fault.kind == "snapshot.stale":
        # The first one is remembered, and is another than the one that is struck.
        case.fault.strike(replace(value, tensors={"host/head.weight": torch.zeros(3, 4)}), scene)  # type: ignore[type-var]  # An Observed.
    passed = case.fault.strike(value, scene)
    if isinstance(passed, partial):
        # What waits for a disk strikes now.
        with contextlib.suppress(OSError):
            passed()
    if isinstance(passed, SmallTrainee):
        # What waits for a step strikes now.
        passed.optimizers["host"].step()
    return passed


@pytest.mark.parametrize(("kind", "phase"), CASES)
def test_a_strike_changes_something_and_the_witness_says_so_once(kind: str, phase: str) -> None:
    witness = Witness()
    strike(example(kind, phase), witness, passing(phase, kind))
    (told,) = witness.strikes
    assert told.before != told.after
    assert told.elements >= 1
    assert told.place
    assert told.first_value


@pytest.mark.parametrize(("kind", "phase"), SURVIVED)
def test_what_goes_on_is_of_the_kind_that_came(kind: str, phase: str) -> None:
    value = passing(phase, kind)
    assert type(strike(example(kind, phase), Witness(), value)) is type(value)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_name_in_the_table_is_the_kind(kind: str) -> None:
    assert FAULTS[kind].kind == kind


@pytest.mark.parametrize("kind", FAULTS)
def test_the_phases_are_seams(kind: str) -> None:
    assert FAULTS[kind].phases
    assert set(FAULTS[kind].phases) <= set(PHASES)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_docstring_says_what_is_imitated(kind: str) -> None:
    assert (FAULTS[kind].__doc__ or "").startswith("Imitates ")


@pytest.mark.parametrize("kind", sorted(ON_CUDA))
def test_without_a_cuda_device_there_is_nothing_to_strike(kind: str) -> None:
    for phase in FAULTS[kind].phases:
        with pytest.raises(CouldNotStrike):
            strike(example(kind, phase), Witness(), passing(phase, kind))


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_has_a_scenario(kind: str) -> None:
    assert kind in STRUCK_BY_SCENARIOS


@pytest.mark.parametrize("kind", FAULTS)
def test_the_realism_is_one_of_two(kind: str) -> None:
    assert FAULTS[kind].realism in {"simulated", "real"}


@pytest.mark.parametrize(("kind", "phase"), [case for case in SURVIVED if case[0] not in DRAWS_GLOBALLY])
def test_no_global_generator_is_drawn_from(kind: str, phase: str) -> None:
    value = passing(phase, kind)
    before = torch.get_rng_state()
    strike(example(kind, phase), Witness(), value)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("kind", "phase"), SURVIVED)
def test_the_same_stream_gives_the_same_strike(kind: str, phase: str) -> None:
    first, second = Witness(), Witness()
    torch.manual_seed(3)
    strike(example(kind, phase), first, passing(phase, kind))
    torch.manual_seed(3)
    strike(example(kind, phase), second, passing(phase, kind))
    assert first.strikes == second.strikes
