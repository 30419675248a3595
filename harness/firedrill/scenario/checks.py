"""What a schema cannot say: whether the parts of a scenario fit each other, so that its faults can strike at all.

The checks look at the file as it was written and pass over what has the wrong type: that is reported elsewhere, and a
file's mistakes are all told at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from firedrill.faults import FAULTS
from firedrill.faults.fault import Fault
from firedrill.faults.governor_raise_in import SINK_WRITING
from firedrill.scenario.complaint import Complaint
from firedrill.scenario.loop_checks import loop_complaints
from firedrill.scenario.problem import nearest, one_of
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import BUFFERS, LOOP_BUFFERS, LOOP_PARAMETERS, MECHANISMS, PARAMETERS, SLOTS, Subject, blueprints_of
from tolaria import seams
from tolaria.governor.config import DETECTOR_NAMES
from tolaria.telemetry.kinds import EVENT_KINDS

CELLS_MAX = 256
# A part of a name that holds one of these may stand for any name.
WILDCARDS = set("*?[")

PHASES: tuple[str, ...] = (*(value.name for value in vars(seams).values() if isinstance(value, seams.Seam)), SINK_WRITING)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the checks need of the subject; None where the file does not say it properly."""

    steps: int | None
    envs: int | None
    batches: int | None
    task: str
    slots: tuple[str, ...]
    parameters: tuple[str, ...] | None
    buffers: tuple[str, ...] | None


def complaints(written: JSON) -> Iterator[Complaint]:
    """Everything that does not fit, in no particular order."""
    subject = _mapping(written.get("subject"))
    kind = kind_of(subject)
    setting = _setting(subject, kind)
    if kind in MECHANISMS:
        yield from loop_complaints(written, kind)
    else:
        yield from _script(subject, setting)
        for key in (key for key in ("mechanism", "amp") if subject.get(key)):
            yield Complaint(("subject", key), "FD010", f"{key} belongs to a loop that is not ours", one_of(MECHANISMS))
    yield from _matrix(_mapping(written.get("matrix")))
    for number, fault in enumerate(_list(written.get("faults"))):
        for check in (_moment, _phase, _target):
            yield from check(("faults", number), _mapping(fault), setting)
    yield from _expectations(written)


def kind_of(subject: JSON) -> str:
    """What is trained: a loop of one's own needs no other word than its name."""
    return str(subject.get("kind", "loop" if "loop" in subject else _default("kind")))


def _setting(subject: JSON, kind: str) -> Setting:
    steps, envs = _some(subject.get("steps")), _some(subject.get("envs", _default("envs")))
    task = subject["task"] if subject.get("task") in SLOTS else str(_default("task"))
    if kind == "loop":
        return Setting(steps, envs, 1, task, (), None, None)
    if kind in MECHANISMS:
        return Setting(steps, envs, 1, task, (), LOOP_PARAMETERS, LOOP_BUFFERS)
    batches = _some(subject.get("batches_per_step", _default("batches_per_step")))
    return Setting(steps, envs, batches, task, SLOTS[task], PARAMETERS[task], BUFFERS[task])


def _script(subject: JSON, setting: Setting) -> Iterator[Complaint]:
    script = _list(subject.get("script"))
    policy = subject.get("policy", "scripted")
    if script and policy != "scripted":
        yield Complaint(("subject", "script"), "FD010", f"the policy {policy} reads no script", "policy: scripted")
    decided: dict[tuple[int | None, int | None], int] = {}
    for number, line in enumerate(map(_mapping, script)):
        path = ("subject", "script", number)
        yield from _decided_twice(path, line, decided)
        yield from _inside(path, line, "step", setting.steps, "steps", "FD016")
        yield from _inside(path, line, "env", setting.envs, "environments", "FD016")
        if line.get("op") in {None, "wait"}:
            continue
        slots = setting.slots
        if "slot" not in line:
            yield Complaint(path, "FD012", f"{line['op']} needs a slot", one_of(slots))
        elif line["slot"] not in slots:
            yield Complaint((*path, "slot"), "FD013", f"there is no slot {line['slot']}", one_of(slots), nearest(line["slot"], slots))
        blueprints = blueprints_of(setting.task)
        if line["op"] == "germinate" and line.get("blueprint") not in blueprints:
            code, told = (
                ("FD013", f"{line['blueprint']} does not fit {setting.task}")
                if "blueprint" in line
                else ("FD012", "germinate needs a blueprint")
            )
            yield Complaint((*path, "blueprint"), code, told, one_of(blueprints), nearest(line.get("blueprint"), blueprints))


def _decided_twice(path: tuple[str | int, ...], line: JSON, decided: dict[tuple[int | None, int | None], int]) -> Iterator[Complaint]:
    """One environment has one decision a step; a line without `env` is everybody's, and one with `env` may differ from it."""
    row = (_whole(line.get("step")), _whole(line.get("env")))
    if row[0] is not None and row in decided:
        yield Complaint(path, "FD018", f"line {decided[row]} of the script decides this step too", "one decision a step and environment")
    decided.setdefault(row, path[-1] + 1 if isinstance(path[-1], int) else 0)


def _matrix(matrix: JSON) -> Iterator[Complaint]:
    cells = max(1, len(_list(matrix.get("device")))) * max(1, len(_list(matrix.get("seed")))) + len(_list(matrix.get("include")))
    if cells > CELLS_MAX:
        yield Complaint(("matrix",), "FD015", f"the matrix has {cells} cells", f"at most {CELLS_MAX}")


def _moment(path: tuple[str | int, ...], clause: JSON, setting: Setting) -> Iterator[Complaint]:
    at, path = _mapping(clause.get("at")), (*path, "at")
    yield from _inside(path, at, "step", setting.steps, "steps", "FD016")
    yield from _inside(path, at, "plus_steps", setting.steps, "steps", "FD016")
    yield from _inside(path, at, "batch", setting.batches, "batches a step", "FD016")
    for env in at["env"] if isinstance(at.get("env"), list) else [at.get("env")]:
        yield from _inside(path, {"env": env}, "env", setting.envs, "environments", "FD016")
    if at and "env" not in at and setting.envs is not None and setting.envs > 1:
        yield Complaint(path, "FD012", f"which of the {setting.envs} environments?", "the key env: a number, a list of numbers or all")
    begin, length = _whole(at.get("step")), _whole(at.get("for_steps"))
    if None not in {begin, length, setting.steps} and (begin or 0) < (setting.steps or 0) < (begin or 0) + (length or 0):
        yield Complaint(
            (*path, "for_steps"),
            "FD016",
            f"some of the {length} steps lie behind the end",
            f"at most {setting.steps} steps in all, or forever",
        )
    event = at.get("event")
    if isinstance(event, str) and event not in EVENT_KINDS:
        yield Complaint((*path, "event"), "FD013", f"there is no event {event}", one_of(sorted(EVENT_KINDS)), nearest(event, EVENT_KINDS))
    if "occurrence" in at and "event" not in at:
        yield Complaint((*path, "occurrence"), "FD010", "occurrence belongs to an event", "the key event, or only step")
    if "plus_steps" in at and not {"event", "condition"} & at.keys():
        yield Complaint((*path, "plus_steps"), "FD010", "plus_steps belongs to an event", "the key event, or only step")


def _phase(path: tuple[str | int, ...], clause: JSON, _setting: Setting) -> Iterator[Complaint]:
    phase = _mapping(clause.get("at")).get("phase")
    if not isinstance(phase, str):
        return
    place = (*path, "at", "phase")
    if phase not in PHASES:
        yield Complaint(place, "FD013", f"there is no phase {phase}", one_of(PHASES), nearest(phase, PHASES))
        return
    fault = _fault(clause)
    allowed = fault.allowed_phases if isinstance(fault, Fault) else fault.phases if fault else PHASES
    if phase not in allowed:
        yield Complaint(place, "FD016", f"{clause['do']} cannot strike at {phase}", one_of(allowed), nearest(phase, allowed))


def _target(path: tuple[str | int, ...], clause: JSON, setting: Setting) -> Iterator[Complaint]:
    kind = FAULTS.get(str(clause.get("do")))
    target = _mapping(clause.get("target"))
    if kind and kind.targets and "target" not in clause:
        yield Complaint(path, "FD012", f"{kind.kind} needs a target", "the key target")
    if kind and not kind.targets and "target" in clause:
        yield Complaint((*path, "target"), "FD010", f"{kind.kind} takes no target", "only at, do and with")
    if kind and kind.kind.startswith("lifecycle.") and target and "slot" not in target:
        yield Complaint((*path, "target"), "FD013", f"{kind.kind} strikes a slot", "the key slot")
    slots = setting.slots
    if slots and isinstance(target.get("slot"), str) and target["slot"] not in slots:
        yield Complaint(
            (*path, "target", "slot"), "FD017", f"the host has no slot {target['slot']}", one_of(slots), nearest(target["slot"], slots)
        )
    if kind and kind.loops_only and setting.slots:
        yield Complaint((*path, "do"), "FD016", f"{kind.kind} strikes loops that are not ours", f"a subject of {', '.join(MECHANISMS)}")
    blueprints, given = blueprints_of(setting.task), _mapping(clause.get("with")).get("blueprint")
    if kind and kind.kind == "lifecycle.germinate" and isinstance(given, str) and given not in blueprints:
        place = (*path, "with", "blueprint")
        yield Complaint(place, "FD013", f"{given} does not fit {setting.task}", one_of(blueprints), nearest(given, blueprints))
    for selector in ("params", "grads", "buffers"):
        if isinstance(target.get(selector), str):
            own = setting.buffers if selector == "buffers" else setting.parameters
            yield from _pattern((*path, "target", selector), target[selector], own, setting.slots)


def _pattern(place: tuple[str | int, ...], pattern: str, own: tuple[str, ...] | None, slots: tuple[str, ...]) -> Iterator[Complaint]:
    """A pattern must fit the host itself or a seed; what seeds are called beyond their slot is known only when they grow."""
    if own is None:
        return
    root, _, rest = pattern.partition(".")
    slot = rest.partition(".")[0]
    if slots and root == "slots" and rest:
        if not set(slot) & WILDCARDS and slot not in slots:
            yield Complaint(place, "FD017", f"the host has no slot {slot}", one_of(slots), nearest(slot, slots))
    elif not set(root) & WILDCARDS and not any(fnmatchcase(name, pattern) for name in own):
        expected = one_of(own) if own else "a task whose host has such tensors"
        patterns = {f"{name.rsplit('.', parts)[0]}.*" for name in own for parts in range(1, name.count(".") + 1)}
        yield Complaint(place, "FD017", f"{pattern} matches nothing of the host", expected, nearest(pattern, [*own, *sorted(patterns)]))


def _expectations(written: JSON) -> Iterator[Complaint]:
    seen: set[str] = set()
    for number, item in enumerate(_list(written.get("expect"))):
        names = [item] if isinstance(item, str) else list(_mapping(item))
        if len(names) > 1:
            yield Complaint(("expect", number), "FD013", "one item names several oracles", "a list item for each oracle")
        for name in names:
            if name in seen:
                yield Complaint(("expect", number, name), "FD018", f"{name} is expected twice", "each oracle once")
            seen.add(name)
            cause = _mapping(_mapping(item).get(name)).get("cause")
            if name == "detected" and isinstance(cause, str) and cause not in DETECTOR_NAMES:
                place = ("expect", number, name, "cause")
                yield Complaint(place, "FD013", f"no detector is called {cause}", one_of(DETECTOR_NAMES), nearest(cause, DETECTOR_NAMES))


def _inside(path: tuple[str | int, ...], given: JSON, key: str, total: int | None, noun: str, code: str) -> Iterator[Complaint]:
    number = _whole(given.get(key))
    if number is not None and total is not None and number >= total:
        yield Complaint((*path, key), code, f"{key} {number} never comes: there are {total} {noun}", f"0 to {total - 1}")


def _fault(clause: JSON) -> Fault | type[Fault] | None:
    kind = FAULTS.get(str(clause.get("do")))
    if kind is None:
        return None
    build: Callable[..., Fault] = kind
    try:
        return build(**_mapping(clause.get("with")))
    except (TypeError, ValueError, KeyError):
        # Its parameters are wrong, which is reported elsewhere; what is known of the class is known all the same.
        return kind


def _mapping(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _some(value: object) -> int | None:
    number = _whole(value)
    return number if number is not None and number > 0 else None


def _default(field: str) -> Any:
    return getattr(Subject(steps=1), field)
