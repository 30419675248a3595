"""What a fault needs of its subject and of the other faults, so that it does anything at all."""

from collections.abc import Iterator

from firedrill.faults import FAULTS
from firedrill.faults.optim_poison import FIELDS
from firedrill.scenario.complaint import Complaint, Path, Setting, mapping, whole
from firedrill.scenario.moments import phase_of
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import MECHANISMS
from firedrill.scenario.targets import KEPT
from tolaria import seams

# Nothing passes here where nobody governs.
GOVERNED = frozenset(
    seam.name
    for seam in (
        seams.DETECTOR_ASKED,
        seams.SNAPSHOT_COPYING,
        seams.SNAPSHOT_VERIFYING,
        seams.SNAPSHOT_TAKEN,
        seams.ROLLBACK_PRUNING,
        seams.ROLLBACK_COPYING,
        seams.ROLLED_BACK,
        seams.PENALTY_OWED,
    )
)
LEARNING = "ppo."
ON_CUDA = frozenset({"cuda.oom", "cuda.sticky", "stream.violate"})


def needs(path: Path, clause: JSON, setting: Setting, matrix: JSON) -> Iterator[Complaint]:
    """What one fault lacks."""
    kind, given = str(clause.get("do")), mapping(clause.get("with"))
    if kind.startswith(LEARNING) and setting.said("policy") != "ppo":
        yield Complaint(
            (*path, "do"), "FD016", f"{kind} strikes a controller that learns, and {setting.said('policy')} does not", "policy: ppo"
        )
    if not setting.governed and (phase_of(clause) in GOVERNED or kind.startswith("governor.")):
        yield Complaint((*path, "do"), "FD016", f"{kind} strikes the governor, and it is off", "governor: {enabled: true}")
    devices = matrix.get("device", ["cpu"])
    if kind in ON_CUDA and isinstance(devices, list) and "cpu" in devices:
        yield Complaint((*path, "do"), "FD016", f"{kind} strikes a CUDA device, and the matrix has a CPU", "matrix: {device: [cuda]}")
    fault = FAULTS.get(kind)
    if fault is not None and fault.loops_only and setting.slots:
        yield Complaint((*path, "do"), "FD016", f"{kind} strikes loops that are not ours", f"a subject of {', '.join(MECHANISMS)}")
    yield from _late(path, kind, given, setting)
    field, optimizer = given.get("field"), setting.said("optimizer")
    if kind == "optim.poison" and field in FIELDS and optimizer in KEPT and FIELDS[field] not in KEPT[optimizer]:
        fitting = [name for name, kept in FIELDS.items() if kept in KEPT[optimizer]]
        yield Complaint((*path, "with", "field"), "FD016", f"{optimizer} keeps no {field}", f"one of {', '.join(fitting)}")


def _late(path: Path, kind: str, given: JSON, setting: Setting) -> Iterator[Complaint]:
    """What counts from somewhere must begin before the end."""
    batches = setting.steps * setting.batches if setting.steps and setting.batches else None
    for where, key, total, noun in (("data.damage", "first", batches, "batches in all"), ("loss.drift", "since", setting.steps, "steps")):
        number = whole(given.get(key))
        if kind == where and number is not None and total is not None and number >= total:
            yield Complaint((*path, "with", key), "FD016", f"{key} {number} never comes: there are {total} {noun}", f"0 to {total - 1}")
