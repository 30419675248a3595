"""Random scenarios of several faults on the real loop, each made from one number: H(campaign seed, i).

Every case takes part of the faults only (swarm testing, Groce et al. 2012): with all of them in play, one that ends runs
early would hide what the others do. A case holds no random pick, so its plan is resolved from the start.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from firedrill.campaign.draw import choice, parameters_of
from firedrill.campaign.plants import ACCOMPANIED, BY_BATCH, CONTROLS, LEARNING, NAN, ORACLES, REFUSED
from firedrill.faults import FAULTS
from firedrill.faults.governor_raise_in import PHASES as OPERATIONS
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import InvalidScenario, load_text
from firedrill.scenario.needs import ON_CUDA
from firedrill.scenario.scenario import GENERATED
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import SLOTS, blueprints_of
from firedrill.scenario.write import document, text
from tolaria.seeding import derive_seed, stream

TASK = "spirals"
FAULTS_MAX, KINDS_MAX, SCRIPT_MAX = 5, 4, 8
# So often one clause is drawn again until it makes sense.
DRAWS_MAX = 100
# What a random fault may come to. That nobody noticed a small one is no news; a rollback that is wrong always is.
VERDICTS = ["recovered", "masked", "fail_stop", "missed"]
SELECTORS = ("*", "head.*", "blocks.*", "blocks.0.*", "slots.*")
INDEX_MAX = 40
# Before the first step they belong to the first snapshot of a host. Without that a run does not begin, whatever the reason.
COPYING = frozenset({"snapshot_copying", "snapshot_verifying"})


def case_seed(campaign_seed: int, case: int) -> int:
    """H(campaign seed, i)."""
    return derive_seed(campaign_seed, "case", case)


def case_of(campaign_seed: int, case: int) -> Cell:
    """The cell of a case; the same two numbers give the same cell."""
    seed = case_seed(campaign_seed, case)
    rng = stream(seed, "plan")
    tree = _frame(f"case-{campaign_seed}-{case}", seed, _subject(seed, rng))
    kinds = _swarm(rng)
    if "snapshot.corrupt" in kinds:
        # What rots before it is sealed is sealed as it is, and a late seal is a choice that says so.
        tree["subject"]["governor"]["digest"] = "always"
    # Without anything to roll back for, most of the governor would sleep.
    first = _nan(tree["subject"], rng) if rng.integers(4) else None
    tree["faults"] = [first] if first else []
    for _ in range(int(rng.integers(0 if first else 1, FAULTS_MAX))):
        _add(tree, "faults", lambda: _clause(tree["subject"], kinds, first, rng))
    return _cell(tree)


def struck_only(cell: Cell, result: CellResult) -> Cell | None:
    """The case without the faults that never struck; None where that is all of them or none. Nothing else of the run changes."""
    struck = {exposure.fault for exposure in result.exposures}
    if not struck or len(struck) == len(cell.scenario.faults):
        return None
    tree = document(cell)
    tree["faults"] = [clause for number, clause in enumerate(tree["faults"]) if number in struck]
    return _cell(tree)


def _frame(name: str, seed: int, subject: JSON) -> JSON:
    return {
        "version": 1,
        "name": name,
        "because": f"Whatever strikes together, nothing is restored wrong and nobody is accused who is not to blame (case seed {seed}).",
        "tags": [GENERATED, "fuzz"],
        "subject": subject,
        "faults": [],
        "expect": [oracle for oracle in ORACLES if oracle != "witnessed"] + ["quiet"],
        "verdict": VERDICTS,
        "budget": {"rollbacks": subject["envs"] * subject["governor"]["budget"], "wall": "120s"},
    }


def _subject(seed: int, rng: np.random.Generator) -> JSON:
    steps = int(rng.integers(8, 20))
    subject: JSON = {
        "seed": seed % 2**31,
        "envs": int(rng.integers(2, 4)),
        "steps": steps,
        "batches_per_step": int(rng.integers(1, 4)),
        "optimizer": choice(("sgd", "adam"), rng),
        "policy": choice(("scripted", "scripted", "heuristic", "random", "ppo"), rng),
        "governor": {
            "snapshot_every": int(rng.integers(1, 6)),
            "snapshots_kept": int(rng.integers(2, 5)),
            "probation": int(rng.integers(4)),
            "optimizer": choice(("reset", "reset_all", "restore"), rng),
            "digest": choice(("always", "offload"), rng),
            "budget": int(rng.integers(1, 5)),
            "relapse_steps": int(rng.integers(6)),
            "grace_steps": int(rng.integers(4)),
        },
        "gates": {"training_steps_min": int(rng.integers(3)), "contribution_min": -1.0, "magnitude_max": 100.0, "prune_age_min": 0},
    }
    if rng.integers(2):
        subject["rollout_steps"] = int(rng.integers(3, steps + 1))
    # In the environment that is never struck a seed always grows, so that there are moves to judge.
    subject["script"] = [{"step": 0, "env": 0, "op": "germinate", "slot": "s0", "blueprint": blueprints_of(TASK)[0]}]
    if subject["policy"] != "scripted":
        del subject["script"]
        return subject
    lines = [*subject["script"], *(_line(subject, rng) for _ in range(int(rng.integers(SCRIPT_MAX + 1))))]
    # One decision for each step of an environment.
    subject["script"] = list({(line["step"], line["env"]): line for line in lines}.values())
    return subject


def _line(subject: JSON, rng: np.random.Generator) -> JSON:
    op = choice(("germinate", "advance", "advance", "advance", "fossilize", "prune"), rng)
    line: JSON = {
        "step": int(rng.integers(1, subject["steps"])),
        "env": int(rng.integers(subject["envs"])),
        "op": op,
        "slot": choice(SLOTS[TASK], rng),
        "tempo": int(rng.integers(1, 4)),
    }
    return line | ({"blueprint": choice(blueprints_of(TASK), rng)} if op == "germinate" else {})


def _swarm(rng: np.random.Generator) -> list[str]:
    # What is not played: what must come out red, what ends every run, what spoils the numbers that `penalized` measures by, and
    # what strikes no host.
    strange = CONTROLS | REFUSED | LEARNING | ON_CUDA
    kinds = [kind for kind, fault in FAULTS.items() if kind not in strange and not fault.aside and not fault.loops_only]
    rng.shuffle(kinds)
    return kinds[: int(rng.integers(1, KINDS_MAX + 1))]


def _nan(subject: JSON, rng: np.random.Generator) -> JSON:
    at = {"step": int(rng.integers(subject["steps"])), "env": int(rng.integers(1, subject["envs"])), "phase": "weights_updated"}
    return {"at": at, **NAN}


def _clause(subject: JSON, kinds: list[str], first: JSON | None, rng: np.random.Generator) -> JSON:
    kind = choice(kinds, rng)
    given = parameters_of(kind, rng)
    # Environment 0 is never struck: somebody must be there who notices nothing.
    at: JSON = {"step": int(rng.integers(subject["steps"])), "env": int(rng.integers(1, subject["envs"]))}
    at["phase"] = OPERATIONS[given["operation"]] if kind == "governor.raise_in" else choice(FAULTS[kind].phases, rng)
    if at["phase"] in COPYING and at["step"] == 0:
        at["step"] = 1
    if at["phase"] in ACCOMPANIED and first is not None:
        at |= {"step": first["at"]["step"], "env": first["at"]["env"]}
    if at["phase"] in BY_BATCH:
        at["batch"] = int(rng.integers(subject["batches_per_step"]))
    if not rng.integers(4):
        at["for_steps"] = int(rng.integers(1, 5))
    if "since" in given:
        given["since"] = at["step"]
    if kind == "lifecycle.germinate":
        given["blueprint"] = choice(blueprints_of(TASK), rng)
    clause: JSON = {"at": at, "do": kind}
    if FAULTS[kind].targets:
        clause["target"] = _target(kind, at["phase"], rng)
    return clause | ({"with": given} if given else {})


def _target(kind: str, phase: str, rng: np.random.Generator) -> JSON:
    if kind.startswith("lifecycle."):
        return {"slot": choice(SLOTS[TASK], rng)}
    sorts = ("grads",) if phase == "gradients_ready" else ("params", "params", "optimizer")
    sort = choice(sorts, rng)
    target: JSON = {sort: "host/*" if sort == "optimizer" else choice(SELECTORS, rng)}
    return target | ({"pick": {"index": int(rng.integers(INDEX_MAX))}} if rng.integers(2) else {})


def _add(tree: JSON, key: str, draw: Callable[[], JSON]) -> None:
    for _ in range(DRAWS_MAX):
        drawn = draw()
        try:
            _cell(tree | {key: [*tree[key], drawn]})
        except InvalidScenario:
            continue
        tree[key].append(drawn)
        return


def _cell(tree: JSON) -> Cell:
    return cells(load_text(text(tree), Path("scenarios") / "fuzz" / f"{tree['name']}.yaml"))[0]
