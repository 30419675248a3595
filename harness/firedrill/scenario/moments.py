"""Whether the moment of a fault can come at all: inside the run, at a phase that is passed, after an event that can happen."""

from collections.abc import Iterator, Sequence

from firedrill.faults.governor_raise_in import SINK_WRITING
from firedrill.faults.when import OF_THE_RUN
from firedrill.scenario.complaint import Complaint, Path, Setting, fault_of, inside, mapping, phases_of, whole
from firedrill.scenario.happenings import PASSED_BY, why_never
from firedrill.scenario.problem import nearest, one_of
from firedrill.scenario.schema import JSON
from tolaria import seams
from tolaria.telemetry.kinds import EVENT_KINDS

# In the order in which a step passes them.
SEAMS = tuple(value for value in vars(seams).values() if isinstance(value, seams.Seam))
PHASES: tuple[str, ...] = (*(seam.name for seam in SEAMS), SINK_WRITING)
BY_BATCH = tuple(seam.name for seam in (seams.BATCH_READY, seams.LOSS_READY, seams.GRADIENTS_READY, seams.WEIGHTS_UPDATED))
CHECKPOINT, ROLLOUT = seams.CHECKPOINT_DUE.name, seams.ROLLOUT_READY.name


def moments(path: Path, clause: JSON, setting: Setting, others: Sequence[JSON]) -> Iterator[Complaint]:
    """What is wrong with the moment of one fault; `others` are the clauses of all other ones."""
    at = mapping(clause.get("at"))
    place = (*path, "at")
    phase = phase_of(clause)
    yield from _numbers(place, at, setting)
    yield from _environments(place, at, setting, phase)
    yield from _phase(place, clause, at)
    yield from _of_the_run(place, at, setting, phase)
    yield from _waiting(place, at, setting, phase, others)


def phase_of(clause: JSON) -> str | None:
    """The phase that is named, or else the one that is meant; None where that cannot be told."""
    named = mapping(clause.get("at")).get("phase")
    if isinstance(named, str):
        return named if named in PHASES else None
    if "grads" in mapping(clause.get("target")):
        return seams.GRADIENTS_READY.name
    return next(iter(phases_of(fault_of(clause))), None)


def _numbers(path: Path, at: JSON, setting: Setting) -> Iterator[Complaint]:
    yield from inside(path, at, "step", setting.steps, "steps")
    yield from inside(path, at, "plus_steps", setting.steps, "steps")
    yield from inside(path, at, "batch", setting.batches, "batches a step")
    begin, length = whole(at.get("step")), whole(at.get("for_steps"))
    if None not in {begin, length, setting.steps} and (begin or 0) < (setting.steps or 0) < (begin or 0) + (length or 0):
        message = f"some of the {length} steps lie behind the end"
        yield Complaint((*path, "for_steps"), "FD016", message, f"at most {setting.steps} steps in all, or forever")


def _environments(path: Path, at: JSON, setting: Setting, phase: str | None) -> Iterator[Complaint]:
    env = at.get("env")
    for number in env if isinstance(env, list) else [env]:
        yield from inside(path, {"env": number}, "env", setting.envs, "environments")
    if phase in OF_THE_RUN:
        if env not in {None, "all"} if not isinstance(env, list) else True:
            yield Complaint((*path, "env"), "FD016", f"{phase} comes once for all environments", "env: all, or no env")
    elif at and "env" not in at and setting.envs is not None and setting.envs > 1:
        yield Complaint(path, "FD012", f"which of the {setting.envs} environments?", "the key env: a number, a list of numbers or all")


def _phase(path: Path, clause: JSON, at: JSON) -> Iterator[Complaint]:
    phase = at.get("phase")
    if isinstance(phase, str) and phase not in PHASES:
        yield Complaint((*path, "phase"), "FD013", f"there is no phase {phase}", one_of(PHASES), nearest(phase, PHASES))
    elif isinstance(phase, str):
        allowed = phases_of(fault_of(clause)) or PHASES
        if phase not in allowed:
            message = f"{clause['do']} cannot strike at {phase}"
            yield Complaint((*path, "phase"), "FD016", message, one_of(allowed), nearest(phase, allowed))
    meant = phase_of(clause)
    if meant is not None and meant not in BY_BATCH and (whole(at.get("batch")) or 0) > 0:
        yield Complaint((*path, "batch"), "FD016", f"{meant} has no batches", f"no batch, or {one_of(BY_BATCH)}")


def _of_the_run(path: Path, at: JSON, setting: Setting, phase: str | None) -> Iterator[Complaint]:
    """Checkpoints and rollouts are due in some steps only."""
    if phase not in {CHECKPOINT, ROLLOUT}:
        return
    if "step" not in at:
        yield Complaint(path, "FD016", f"{phase} can wait for a step only", "the key step")
        return
    every = whole(setting.said("checkpoint_every" if phase == CHECKPOINT else "rollout_steps"))
    if phase == CHECKPOINT and every is None:
        yield Complaint(path, "FD016", "nothing is stored, so no checkpoint is ever due", "subject: {checkpoint_every: ...}")
        return
    step = {"first": 0, "last": (setting.steps or 1) - 1}.get(str(at["step"]), whole(at["step"]))
    if step is None or setting.steps is None or at.get("for_steps", 1) != 1:
        return
    if phase == CHECKPOINT and every and step % every:
        yield Complaint((*path, "step"), "FD016", f"no checkpoint is due at step {step}", f"a multiple of {every}")
    if phase == ROLLOUT and step != setting.steps - 1 and (every is None or (step + 1) % every):
        ends = ", ".join(map(str, sorted({*range((every or setting.steps) - 1, setting.steps, every or setting.steps), setting.steps - 1})))
        yield Complaint((*path, "step"), "FD016", f"no rollout ends with step {step}", f"one of {ends}")


def _waiting(path: Path, at: JSON, setting: Setting, phase: str | None, others: Sequence[JSON]) -> Iterator[Complaint]:
    """What a fault waits for must be able to happen, and early enough."""
    for key, of in (("occurrence", {"event"}), ("plus_steps", {"event", "condition"})):
        if key in at and not of & at.keys():
            yield Complaint((*path, key), "FD010", f"{key} belongs to an event", "the key event, or only step")
    plus = whole(at.get("plus_steps")) or 0
    if "condition" in at and setting.steps is not None and plus < setting.steps <= plus + 1:
        message = f"a condition is met at the end of step 0 at the soonest, and there are {setting.steps} steps"
        yield Complaint((*path, "plus_steps"), "FD016", message, f"less than {setting.steps - 1}")
    event = at.get("event")
    # Of two triggers one is too much, which is told elsewhere.
    if not isinstance(event, str) or {"step", "condition"} & at.keys():
        return
    place = (*path, "event")
    if event not in EVENT_KINDS:
        yield Complaint(place, "FD013", f"there is no event {event}", one_of(sorted(EVENT_KINDS)), nearest(event, EVENT_KINDS))
        return
    occurrence = whole(at.get("occurrence", 1)) or 1
    if reason := why_never(event, occurrence, plus, setting, others):
        yield Complaint(place, "FD016", f"{event} never comes so that something could strike then: {reason}", "another trigger")
        return
    passed = PASSED_BY.get(event)
    # The first snapshot is taken before the first step, and nothing has passed by then.
    at_once = plus == 0 and at.get("for_steps", 1) == 1 and not (event == "snapshot_taken" and occurrence == 1)
    if passed and at_once and phase in PHASES and PHASES.index(phase) <= PHASES.index(passed):
        yield Complaint(place, "FD016", f"{phase} is over when {event} comes in the same step", "plus_steps: 1, or a later phase")
