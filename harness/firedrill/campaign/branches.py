"""Cells for the branches of the governor that a single fault on the tiny subject does not reach: one line a branch.

A detector is reached alone, beside the one that cannot be left out, because of several the first names the cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from firedrill.campaign.plants import BATCH, NAN, STEP, STRUCK, SUBJECT, built
from firedrill.runner.exposure import Topology
from firedrill.scenario.cell import Cell
from firedrill.scenario.schema import JSON
from firedrill.scenario.selection import fits

ANSWERED = ("recovered", "fail_stop")
UNANSWERED = ("masked", "missed")
# So long and so well trained a host has a skill to lose.
SKILLED: JSON = {"steps": 24, "batches_per_step": 20}
LATE = 18


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch by name, what strikes, in which topology, with which settings of subject and governor, and what may come of it."""

    name: str
    faults: tuple[JSON, ...]
    topology: Topology = Topology.GROWING
    governor: tuple[tuple[str, object], ...] = ()
    subject: tuple[tuple[str, object], ...] = ()
    verdicts: tuple[str, ...] = ANSWERED


def nan(step: int, for_steps: int | str = 1) -> JSON:
    """A NaN in the head, in the middle of a step."""
    return {"at": {"step": step, "env": STRUCK, "batch": BATCH, "for_steps": for_steps}, **NAN}


def told(value: float, step: int, for_steps: int = 1) -> JSON:
    """A validation loss that was measured wrong."""
    return {
        "at": {"step": step, "env": STRUCK, "phase": "vitals_measured", "for_steps": for_steps},
        "do": "loss.set",
        "with": {"value": value},
    }


def dead(mode: str, for_steps: int) -> JSON:
    """A head that forgot what it knew, late in a run that had learnt something."""
    at = {"step": LATE, "env": STRUCK, "batch": 19, "for_steps": for_steps}
    return {"at": at, "do": "output.lobotomize", "with": {"mode": mode}}


def interrupted(nth: int, step: int = STEP, persists: bool = False) -> JSON:
    """An error in the middle of a rollback."""
    given = {"operation": "restore", "nth": nth, "persists": persists}
    return {"at": {"step": step, "env": STRUCK}, "do": "governor.raise_in", "with": given}


def alone(detector: str) -> tuple[tuple[str, object], ...]:
    """The settings under which only one detector, and the one for what is not finite, is awake."""
    return (("detectors", ["non_finite", detector]),)


BLENDED, FOSSIL = Topology.BLENDED, Topology.FOSSIL
DRIFT: JSON = {"at": {"step": 18, "env": STRUCK, "for_steps": 22}, "do": "loss.drift", "with": {"rate": 1.06, "since": 18}}
SKILL = tuple(SKILLED.items())
BAD_GRADIENT: JSON = {
    "at": {"step": STEP, "env": STRUCK, "batch": BATCH, "phase": "gradients_ready"},
    "do": "tensor.set",
    "target": {"grads": "head.*", "pick": {"index": 0}},
    "with": {"value": float("nan")},
}
BRANCHES = (
    Branch("digest-offload", (nan(STEP),), governor=(("digest", "offload"),)),
    Branch("gated", (BAD_GRADIENT,), subject=(("gate", True),), verdicts=("masked",)),
    Branch("no-room", (nan(STEP),), governor=(("snapshots_kept", 2), ("snapshot_every", 1), ("probation", 5))),
    Branch("frozen", (told(5.0, STEP, 2),), verdicts=("masked",)),
    Branch("older-snapshot", (nan(STEP), interrupted(1), interrupted(2))),
    Branch("relapse", (nan(STEP), nan(STEP + 1))),
    Branch("undoes-a-commit", (nan(10),), FOSSIL, governor=(("probation", 3),)),
    Branch("budget-forgives", (nan(6), nan(STEP)), governor=(("budget_window", 4), ("relapse_steps", 0))),
    Branch("impossible", (nan(STEP), interrupted(1, persists=True)), verdicts=("fail_stop",)),
    Branch("grace-suspects", (nan(STEP), told(5.0, STEP + 1)), BLENDED),
    Branch("grace-collapses", (nan(STEP), nan(STEP + 1)), BLENDED),
    Branch("budget-spent", (nan(STEP, "forever"),), verdicts=("fail_stop",)),
    Branch("reset-all", (nan(STEP),), governor=(("optimizer", "reset_all"),)),
    Branch("restore", (nan(STEP),), governor=(("optimizer", "restore"),)),
    Branch("rewarm", (nan(STEP),), governor=(("optimizer", "rewarm"),)),
    Branch("rewinds", (nan(STEP),), governor=(("optimizer", "restore"), ("live_seeds", "restore"), ("rewind", True))),
    Branch("early-explosion", (told(50.0, 4, 4),)),
    Branch("loss-explosion", (told(50.0, STEP, 4),), governor=alone("loss_explosion")),
    Branch("confirmed-explosion", (told(50.0, STEP, 6),), governor=alone("confirmed_explosion")),
    Branch("spike-train", (told(50.0, 12), told(50.0, 14), told(50.0, 16)), governor=(("detectors", "default"),)),
    Branch("slow-drift", (DRIFT,), governor=alone("slow_drift"), subject=(("steps", 40),)),
    Branch("lobotomy", (dead("constant_logits", 1),), governor=alone("lobotomy"), subject=SKILL),
    Branch("confirmed-lobotomy", (dead("constant_logits", 1),), governor=alone("confirmed_lobotomy"), subject=SKILL),
    Branch("uniform-output", (dead("single_class", 1),), governor=alone("uniform_output"), subject=SKILL),
    Branch("mutual-information", (dead("single_class", 3),), governor=alone("mutual_information"), subject=SKILL),
    Branch("accuracy-drop", (dead("single_class", 3),), governor=alone("accuracy_drop"), subject=SKILL),
    Branch("skill-lost", (told(1.08, LATE, 6),), governor=alone("skill_lost"), subject=SKILL),
    Branch("outlier", (told(2.5, STEP, 4),), governor=alone("loss_outlier"), verdicts=("masked",)),
    Branch(
        "new-level",
        (told(2.5, STEP, 14),),
        governor=(*alone("loss_outlier"), ("window", 10)),
        subject=(("steps", 30),),
        verdicts=("masked",),
    ),
)


def branches(device: str, words: str = "") -> Iterator[Cell]:
    """The cell of every branch whose name has the words."""
    for branch in (branch for branch in BRANCHES if fits(words, f"branch-{branch.name}")):
        settings = dict(branch.subject) | {"governor": SUBJECT["governor"] | dict(branch.governor)}
        yield built(f"branch-{branch.name}", device, branch.topology, list(branch.faults), list(branch.verdicts), "enumerate", settings)
