"""What does not fit a loop that is not ours: it has no slots, no controller, one environment, and seams of its own."""

from collections.abc import Iterator
from typing import Any

from firedrill.faults import FAULTS
from firedrill.scenario.complaint import Complaint
from firedrill.scenario.problem import nearest, one_of
from firedrill.scenario.reference import SHAPE, complaint_about
from firedrill.scenario.subject import LOOP_TASKS, MECHANISMS, Subject
from tolaria import seams

# Where a loop lets the harness in.
LOOP_PHASES = tuple(
    seam.name
    for seam in (
        seams.STEP_BEGUN,
        seams.BATCH_READY,
        seams.LOSS_READY,
        seams.GRADIENTS_READY,
        seams.WEIGHTS_UPDATED,
        seams.SNAPSHOT_TAKEN,
        seams.ROLLED_BACK,
        seams.STEP_FINISHED,
    )
)

# Settings of growth that a loop does not have, with what a loop has in their place.
OF_GROWTH = {
    "envs": "a loop is one environment",
    "policy": "a loop has no controller",
    "script": "a loop has no controller that could read a script",
    "rollout_steps": "a loop has no rollouts",
    "batches_per_step": "a step of a loop is one optimizer step",
    "gates": "a loop has no slots",
    "width": "the model of a loop has one width",
    "backend": "a loop is one environment",
    "gate": "the gate of a loop is the mechanism tolaria_gated",
    "checkpoint_every": "a loop stores its own checkpoints",
}
# Oracles that a loop gives nothing to judge.
UNASKED = {
    "penalized": "a loop has no controller that could be penalized",
    "lawful": "a loop has no slots that could move by the table",
    "bystanders_untouched": "a loop has no other environments",
    "twin": "a loop cannot be built a second time from a snapshot",
    "frugal": "what a loop holds is its owner's",
    "transparent": "only its owner could run a loop without the harness",
    "undisturbed": "a loop is not resumed",
    "core": "core asks for penalties and for lawful slots, which a loop has not",
}
FOR_LOOPS = "witnessed, detected, recovered, state_restored, keys_matched, clean, optimizer_reset, told, quiet, unharmed or reaches"
# What a plain loop can not promise, by the setting that would ask for it.
NOT_PROMISED = {
    "rewind": (True, "the data of a loop are its owner's and are not wound back"),
    "live_seeds": ("restore", "a loop has no seeds"),
    "optimizer": ("rewarm", "the learning rate belongs to the loop's scheduler"),
}
# Faults that strike inside the governor, which a loop keeps to itself.
INSIDE = frozenset({"snapshot.corrupt", "governor.raise_in"})


def loop_complaints(written: dict[str, Any], kind: str) -> Iterator[Complaint]:  # JSON has no types.
    """Everything of a scenario that a loop of this kind cannot give."""
    subject = written["subject"]
    usual = Subject(steps=1)
    for key, reason in OF_GROWTH.items():
        if key in subject and not _is_usual(subject[key], getattr(usual, key)):
            yield Complaint(("subject", key), "FD010", reason, f"no {key}")
    yield from _described(subject, kind)
    governor = subject.get("governor")
    for key, (asked, reason) in NOT_PROMISED.items():
        if isinstance(governor, dict) and governor.get(key) == asked:
            yield Complaint(("subject", "governor", key), "FD013", reason, f"{key} without {str(asked).lower()}")
    for number, item in enumerate(_list(written.get("expect"))):
        for name in [item] if isinstance(item, str) else list(item) if isinstance(item, dict) else []:
            if name in UNASKED:
                yield Complaint(("expect", number, name), "FD013", f"{name} cannot be asked here: {UNASKED[name]}", FOR_LOOPS)
    for number, fault in enumerate(_list(written.get("faults"))):
        if isinstance(fault, dict):
            yield from _fault(("faults", number), fault, subject, kind)


def _described(subject: dict[str, Any], kind: str) -> Iterator[Complaint]:
    mechanism, known = subject.get("mechanism"), MECHANISMS[kind]
    if isinstance(mechanism, str) and mechanism not in known:
        told = f"nothing around a {kind} is called {mechanism}"
        yield Complaint(("subject", "mechanism"), "FD013", told, one_of(known), nearest(mechanism, known))
    if subject.get("amp") is True and kind != "plain_loop":
        yield Complaint(("subject", "amp"), "FD010", f"amp belongs to a plain_loop, not to {kind}", "kind: plain_loop")
    if kind != "loop":
        if subject.get("task", LOOP_TASKS[1]) not in LOOP_TASKS:
            yield Complaint(("subject", "task"), "FD013", f"a loop does not train {subject['task']}", one_of(LOOP_TASKS))
        if subject.get("loop") is not None:
            yield Complaint(("subject", "loop"), "FD010", f"{kind} is not a loop of your own", "kind: loop, or no kind at all")
        return
    reference = subject.get("loop")
    if not isinstance(reference, str):
        yield Complaint(("subject",), "FD012", "which loop?", f"the key loop: {SHAPE}")
        return
    for key in ("task", "optimizer"):
        if key in subject and subject[key] != getattr(Subject(steps=1), key):
            yield Complaint(("subject", key), "FD010", f"the {key} of your own loop is its own affair", f"no {key}")
    wrong, expected = complaint_about(reference)
    if wrong:
        yield Complaint(("subject", "loop"), "FD013", wrong, expected)


def _fault(path: tuple[str | int, ...], clause: dict[str, Any], subject: dict[str, Any], kind: str) -> Iterator[Complaint]:
    fault = FAULTS.get(str(clause.get("do")))
    at, target = clause.get("at"), clause.get("target")
    at = at if isinstance(at, dict) else {}
    if isinstance(target, dict) and "slot" in target:
        yield Complaint((*path, "target", "slot"), "FD017", "a loop has no slots", "params, grads, buffers or optimizer")
    if isinstance(at.get("condition"), dict) and at["condition"].get("metric") == "reward":
        yield Complaint((*path, "at", "condition", "metric"), "FD016", "a loop has no reward", "a loss, an accuracy or a norm")
    phase = at.get("phase")
    if isinstance(phase, str) and phase in OF_SEAMS and phase not in LOOP_PHASES:
        yield Complaint((*path, "at", "phase"), "FD016", f"{phase} never comes in a loop", one_of(LOOP_PHASES))
    if fault is None:
        return
    if fault.kind.startswith("lifecycle.") or fault.kind in INSIDE or not {*fault.phases} & {*LOOP_PHASES, *SINKS}:
        yield Complaint((*path, "do"), "FD016", f"{fault.kind} has nothing to strike in a loop", "a fault of tensors, losses or data")
    elif phase is None and fault.phases[0] not in {*LOOP_PHASES, *SINKS}:
        phases = [name for name in fault.phases if name in LOOP_PHASES]
        yield Complaint((*path, "at"), "FD012", f"{fault.phases[0]} never comes in a loop", f"the key phase: {one_of(phases)}")
    if fault.kind == "amp.scale" and kind != "loop" and not subject.get("amp"):
        yield Complaint((*path, "do"), "FD016", "there is no scaler to strike", "amp: true at a plain_loop")


OF_SEAMS = frozenset(value.name for value in vars(seams).values() if isinstance(value, seams.Seam))
SINKS = frozenset({"sink_writing"})


def _is_usual(given: object, usual: object) -> bool:
    # A token writes every setting out; what is as it always is asks for nothing.
    if isinstance(given, dict):
        return all(value == getattr(usual, key, None) for key, value in given.items())
    return given in (usual, None) or (given == [] and usual == ())


def _list(value: Any) -> list[Any]:  # JSON has no types.
    return value if isinstance(value, list) else []
