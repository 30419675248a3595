"""Every fault at every seam in every topology, planted on the tiny subject: the space that `enumerate` runs and `coverage` counts.

A strong plant is one that detectors are meant to answer, a weak one is meant to pass unnoticed. What cannot be planted has
its reason in `why_not`; a fault that is listed in the table of faults and not here is planted with drawn parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from firedrill.campaign.draw import parameters_of
from firedrill.faults import FAULTS
from firedrill.faults.governor_raise_in import PHASES as OPERATIONS
from firedrill.runner.exposure import Reply, Topology
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text
from firedrill.scenario.needs import ON_CUDA
from firedrill.scenario.scenario import GENERATED
from firedrill.scenario.schema import JSON
from firedrill.scenario.write import text
from tolaria.seeding import stream

STEP, STEPS, STRUCK, BATCH = 12, 18, 1, 1
SNAPSHOT_EVERY = 3
# Its place in the stream: two batches a step.
STRUCK_BATCH = 2 * STEP + BATCH
SUBJECT: JSON = {
    "seed": 11,
    "envs": 2,
    "steps": STEPS,
    "batches_per_step": 2,
    "governor": {"snapshot_every": SNAPSHOT_EVERY, "probation": 1},
    "gates": {"training_steps_min": 1, "holding_steps_min": 1, "prune_age_min": 0, "contribution_min": -1.0, "magnitude_max": 100.0},
}
BORN = [{"step": 1, "op": "germinate", "slot": "s0", "blueprint": "residual_mlp", "tempo": 3}, {"step": 2, "op": "advance", "slot": "s0"}]
HELD = [*BORN, {"step": 4, "op": "advance", "slot": "s0"}, {"step": 7, "op": "advance", "slot": "s0"}]
# A commit takes a snapshot, and the next but one is due in the struck step.
SCRIPTS: dict[Topology, list[JSON]] = {
    Topology.BARE: [{**line, "env": 0} for line in BORN],
    Topology.GROWING: BORN,
    Topology.BLENDED: HELD,
    Topology.FOSSIL: [*HELD, {"step": 9, "op": "fossilize", "slot": "s0"}],
    Topology.RESTING: [*BORN, {"step": 11, "op": "prune", "slot": "s0"}],
}

# What strikes batch normalisations needs a host that has some.
NORMALISED = frozenset({"bn.poison"})
CONVOLVED: dict[Topology, list[JSON]] = {
    topology: [line | {"blueprint": "conv_light"} if "blueprint" in line else line for line in script]
    for topology, script in SCRIPTS.items()
}


class Strength(StrEnum):
    """Whether detectors are meant to answer."""

    STRONG = "strong"
    WEAK = "weak"

    @property
    def replies(self) -> frozenset[Reply]:
        """The replies that make a plant of this strength exercised."""
        return frozenset({Reply.SILENT}) if self is Strength.WEAK else frozenset(Reply) - {Reply.SILENT}


STRONG: dict[str, JSON] = {
    "tensor.set": {"value": float("nan")},
    "tensor.scale": {"factor": 1e30},
    "tensor.flip_bit": {"bit": 30},
    "tensor.noise": {"spread": 1e30},
    "tensor.zero": {},
    "grad.explode": {"factor": 1e30},
    "unit.kill_relu": {},
    "bn.poison": {"scale": -1e8},
    "optim.poison": {"field": "momentum", "value": 1e30},
    "optim.lr_spike": {"factor": 1e30},
    "data.poison": {"mode": "empty"},
    "data.set": {"value": float("nan"), "samples": 4},
    "data.damage": {"value": float("nan"), "first": STRUCK_BATCH, "batches": 1},
    "loss.set": {"value": float("nan")},
    "loss.scale": {"factor": 1e6},
    "loss.drift": {"rate": 3.0, "since": STEP},
    "output.lobotomize": {"mode": "single_class"},
    "env.raise": {},
    "mem.oom": {},
    "mem.limit": {},
    "cuda.oom": {},
    "governor.raise_in": {},
    "governor.suppress": {},
    "governor.double_collapse": {},
    "penalty.lost": {},
    "reward.nan": {},
}
WEAK: dict[str, JSON] = {
    "tensor.set": {"value": 0.0},
    "tensor.scale": {"factor": 1.001},
    "tensor.flip_bit": {"bit": 0},
    "tensor.noise": {"spread": 1e-4},
    "tensor.zero": {},
    "grad.explode": {"factor": 2.0},
    "unit.kill_relu": {},
    "bn.poison": {"scale": 1.001},
    "optim.poison": {"field": "momentum", "value": 0.0},
    "optim.lr_spike": {"factor": 2.0},
    "data.poison": {"mode": "labels"},
    "rng.disturb": {},
    "data.set": {"value": 0.25},
    "data.damage": {"value": 0.25, "first": STRUCK_BATCH, "batches": 1},
    "loss.set": {"value": 0.9},
    "loss.scale": {"factor": 1.001},
    "loss.drift": {"rate": 1.0001, "since": STEP},
    "lifecycle.germinate": {"blueprint": "residual_mlp"},
    "lifecycle.advance": {},
    "lifecycle.prune": {},
    "lifecycle.fossilize": {},
    "snapshot.corrupt": {},
    "snapshot.stale": {},
    "mem.oom": {},
    "mem.limit": {},
    "cuda.oom": {},
    "observation.nan": {},
    "ppo.nan_logits": {},
    "ppo.nan_value": {},
    "ppo.nan_advantage": {},
    "sink.raise": {},
    "governor.raise_in": {},
}
# Here something passes only in a rollback, or only a verdict that is not healthy is changed, so a NaN strikes first.
ROLLED_BACK, DETECTOR = "rolled_back", "detector_asked"
IN_A_ROLLBACK = frozenset({ROLLED_BACK, "rollback_copying", "rollback_pruning", "penalty_owed"})
ACCOMPANIED = IN_A_ROLLBACK | {"verdict_ready"}
# What strikes a controller that learns strikes before it has grown anything, or the rollout, which belongs to every environment.
LEARNING = frozenset({"ppo.nan_logits", "ppo.nan_value", "ppo.nan_advantage"})
ROLLOUT = 6
MOMENTS: dict[str, JSON] = {"decided": {"step": 0}, "rollout_ready": {"step": ROLLOUT - 1, "env": "all"}}
# The snapshot before that of the struck step is only remembered. Where it struck as well, the seed would still grow that rests later.
STALE: JSON = {"step": STEP - SNAPSHOT_EVERY, "for_steps": SNAPSHOT_EVERY + 1}
# Refused by name, and the run ends of it.
REFUSED = frozenset({"reward.nan"})
# These turn a verdict that is healthy.
ALONE = frozenset({"governor.double_collapse"})
NAN: JSON = {"do": "tensor.set", "target": {"params": "head.*", "pick": {"index": 0}}, "with": {"value": float("nan")}}
# A positive control: its cells are red by design, and green only so.
CONTROLS = frozenset({"governor.suppress", "penalty.lost"})
CONTROL_VERDICTS = ["silent_corruption", "missed", "wrong_recovery", "recovered"]
VERDICTS = {Strength.STRONG: ["recovered", "fail_stop"], Strength.WEAK: ["masked", "recovered"]}
ORACLES = ["witnessed", "state_restored", "keys_matched", "clean", "optimizer_reset", "penalized", "lawful", "told", "bystanders_untouched"]


@dataclass(frozen=True, slots=True)
class Plant:
    """One cell of the space."""

    kind: str
    phase: str
    device: str
    topology: Topology
    strength: Strength

    @property
    def name(self) -> str:
        """As a scenario is called."""
        return "-".join((self.kind, self.phase, self.topology, self.strength)).replace(".", "-").replace("_", "-")


def space(device: str) -> Iterator[Plant]:
    """Every plant of a device, also those that cannot be."""
    for kind, fault in FAULTS.items():
        if fault.loops_only:
            continue
        for phase in fault.phases:
            for topology in SCRIPTS:
                yield from (Plant(kind, phase, device, topology, strength) for strength in Strength)


def why_not(plant: Plant) -> str:
    """Why a plant makes no sense, or nothing."""
    for reason, holds in REASONS.items():
        if holds(plant):
            return reason
    return ""


MEMORY = frozenset({"mem.oom", "mem.limit", "cuda.oom"})
GROWN = frozenset({Topology.GROWING, Topology.BLENDED})
REASONS: dict[str, Callable[[Plant], bool]] = {
    "it strikes the process or its disk, whatever the host is like; scenarios do": lambda p: FAULTS[p.kind].aside,
    "there is no such device": lambda p: p.kind in ON_CUDA and p.device == "cpu",
    "no such number passes unnoticed": lambda p: p.strength is Strength.WEAK and p.kind in STRONG and p.kind not in WEAK,
    "a legal move does no harm": lambda p: p.strength is Strength.STRONG and p.kind.startswith("lifecycle."),
    "a rotten snapshot, a listener or a controller is no news of the host": lambda p: (
        p.kind in {"snapshot.corrupt", "snapshot.stale", "sink.raise", "rng.disturb", "observation.nan", *LEARNING}
        and p.strength is Strength.STRONG
    ),
    "a controller that learns reads no script": lambda p: p.kind in LEARNING and p.topology is not Topology.BARE,
    "only a seed that trains can be advanced": lambda p: p.kind == "lifecycle.advance" and p.topology is not Topology.GROWING,
    "training goes on, and what was lost is learnt anew": lambda p: (
        p.kind == "tensor.zero" and p.strength is Strength.STRONG and p.phase not in {"weights_updated", ROLLED_BACK}
    ),
    "only a seed that grows can be pruned": lambda p: p.kind == "lifecycle.prune" and p.topology not in GROWN,
    "only a seed that is held can be committed": lambda p: p.kind == "lifecycle.fossilize" and p.topology is not Topology.BLENDED,
    "a rollback has nothing to prune": lambda p: p.phase == "rollback_pruning" and p.topology not in GROWN,
    "a snapshot that fails, or a listener, is no news of the host": lambda p: (
        p.strength is Strength.STRONG
        and (
            (p.kind == "governor.raise_in" and p.phase not in IN_A_ROLLBACK | {DETECTOR})
            or (p.kind in MEMORY and p.phase == "snapshot_copying")
        )
    ),
    "a detector that fails is an alarm": lambda p: p.phase == DETECTOR and p.strength is Strength.WEAK,
    "an environment whose memory is refused is retired": lambda p: (
        p.kind in MEMORY and p.phase == "batch_ready" and p.strength is Strength.WEAK
    ),
    "a rollback is the answer to something": lambda p: p.phase in IN_A_ROLLBACK and p.strength is Strength.WEAK,
    "gradients are clipped, and such a loss does no harm": lambda p: (
        p.kind == "loss.scale" and p.phase == "loss_ready" and p.strength is Strength.STRONG
    ),
}


def cell_of(plant: Plant) -> Cell:
    """The plant as a cell that can be run."""
    settings: JSON = {"task": "digits", "script": CONVOLVED[plant.topology]} if plant.kind in NORMALISED else {}
    if plant.kind in LEARNING:
        settings = {"policy": "ppo", "rollout_steps": ROLLOUT}
    if plant.phase == ROLLED_BACK and plant.topology in GROWN:
        # Otherwise nothing grows any more when the fault strikes.
        settings["governor"] = SUBJECT["governor"] | {"live_seeds": "restore"}
    return built(plant.name, plant.device, plant.topology, faults_of(plant), verdicts_of(plant), "enumerate", settings)


def built(
    name: str, device: str, topology: Topology, faults: list[JSON], verdicts: list[str], campaign: str, settings: JSON | None = None
) -> Cell:
    """A cell of the tiny subject with these faults and settings; it goes through the door of scenarios like any other."""
    tree: JSON = {
        "version": 1,
        "name": name,
        "because": "Whatever strikes a host is answered, and nothing is said of it that is not true.",
        "tags": [GENERATED, campaign],
        "subject": SUBJECT | ({} if settings and "policy" in settings else {"script": SCRIPTS[topology]}) | (settings or {}),
        "matrix": {"device": [device]},
        "faults": faults,
        "expect": ORACLES,
        "verdict": verdicts,
        "budget": {"rollbacks": 4, "wall": "120s"},
    }
    return cells(load_text(text(tree), Path("scenarios") / campaign / f"{name}.yaml"))[0]


def verdicts_of(plant: Plant) -> list[str]:
    """What may come of it."""
    if plant.kind in REFUSED:
        return ["crashed"]
    return CONTROL_VERDICTS if plant.kind in CONTROLS else VERDICTS[plant.strength]


def faults_of(plant: Plant) -> list[JSON]:
    """The fault, after the NaN that it needs."""
    fault = FAULTS[plant.kind]
    at: JSON = {"step": STEP, "env": STRUCK, "phase": plant.phase}
    at |= MOMENTS.get(plant.phase, {})
    if plant.kind == "snapshot.stale":
        at |= STALE
    if plant.phase in BY_BATCH:
        at["batch"] = BATCH
    given = (STRONG if plant.strength is Strength.STRONG else WEAK).get(plant.kind)
    if given is None:
        given = parameters_of(plant.kind, stream(0, "plant", plant.kind))
    if plant.kind == "governor.raise_in":
        given = {"operation": next(name for name, seam in OPERATIONS.items() if seam == plant.phase)}
    if plant.phase == "vitals_measured" and plant.strength is Strength.STRONG and plant.kind in LASTING:
        at["for_steps"] = STEPS - STEP
    clause: JSON = (
        {"at": at, "do": plant.kind} | ({"target": target_of(plant)} if fault.targets else {}) | ({"with": given} if given else {})
    )
    accompanied = plant.phase in ACCOMPANIED and plant.kind not in ALONE
    first = [{"at": {"step": STEP, "env": STRUCK, "batch": BATCH}, **NAN}] if accompanied else []
    return [*first, clause]


# Phases that a step has once for each batch.
BY_BATCH = frozenset({"batch_ready", "loss_ready", "gradients_ready", "weights_updated"})
# What a single measurement shows is suspected only.
LASTING = frozenset({"loss.scale", "loss.drift"})


def target_of(plant: Plant) -> JSON:
    """A slot for a move; one element of the head where the fault is weak, and all of it where it is strong."""
    if plant.kind.startswith("lifecycle."):
        # The other slot is free in every topology.
        return {"slot": "s1" if plant.kind == "lifecycle.germinate" else "s0"}
    if plant.kind == "unit.kill_relu":
        return {"params": "*.linear.bias"} | ({"pick": {"index": 0}} if plant.strength is Strength.WEAK else {})
    sort = "grads" if plant.phase == "gradients_ready" else "params"
    return {sort: "head.*"} | ({"pick": {"index": 0}} if plant.strength is Strength.WEAK else {})
