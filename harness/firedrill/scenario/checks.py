"""What a schema cannot say: whether the parts of a scenario fit each other, so that its faults can strike at all.

The checks look at the file as it was written and pass over what has the wrong type: that is reported elsewhere, and a
file's mistakes are all told at once.
"""

from collections.abc import Iterator

from firedrill.scenario.complaint import Complaint, Setting, inside, items, kind_of, mapping, whole
from firedrill.scenario.loop_checks import loop_complaints
from firedrill.scenario.moments import moments
from firedrill.scenario.needs import needs
from firedrill.scenario.problem import nearest, one_of
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import MECHANISMS, SLOTS, blueprints_of
from firedrill.scenario.targets import targets
from tolaria.governor.config import CAUSES

CELLS_MAX = 256


def complaints(written: JSON) -> Iterator[Complaint]:
    """Everything that does not fit, in no particular order."""
    subject = mapping(written.get("subject"))
    setting, kind = Setting.of(subject), kind_of(subject)
    if kind in MECHANISMS:
        yield from loop_complaints(written, kind)
    else:
        yield from _script(subject, setting)
        for key in (key for key in ("mechanism", "amp") if subject.get(key)):
            yield Complaint(("subject", key), "FD010", f"{key} belongs to a loop that is not ours", one_of(MECHANISMS))
    yield from _matrix(mapping(written.get("matrix")), setting)
    clauses = [mapping(fault) for fault in items(written.get("faults"))]
    for number, clause in enumerate(clauses):
        path, others = ("faults", number), clauses[:number] + clauses[number + 1 :]
        yield from moments(path, clause, setting, others)
        yield from targets(path, clause, setting, others)
        yield from needs(path, clause, setting, mapping(written.get("matrix")))
    if (whole(mapping(written.get("budget")).get("resumes")) or 0) > 0 and "checkpoint_every" not in subject:
        yield Complaint(("budget", "resumes"), "FD016", "nothing is stored that a run could go on from", "subject: {checkpoint_every: ...}")
    yield from _expectations(written)


def _script(subject: JSON, setting: Setting) -> Iterator[Complaint]:
    script = items(subject.get("script"))
    policy = subject.get("policy", "scripted")
    if script and policy != "scripted":
        yield Complaint(("subject", "script"), "FD010", f"the policy {policy} reads no script", "policy: scripted")
    decided: dict[tuple[int | None, int | None], int] = {}
    for number, line in enumerate(map(mapping, script)):
        path = ("subject", "script", number)
        yield from _decided_twice(path, line, decided)
        yield from inside(path, line, "step", setting.steps, "steps")
        yield from inside(path, line, "env", setting.envs, "environments")
        if line.get("op") in {None, "wait"}:
            continue
        slots = SLOTS[setting.task]
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
    row = (whole(line.get("step")), whole(line.get("env")))
    if row[0] is not None and row in decided:
        yield Complaint(path, "FD018", f"line {decided[row]} of the script decides this step too", "one decision a step and environment")
    decided.setdefault(row, path[-1] + 1 if isinstance(path[-1], int) else 0)


def _matrix(matrix: JSON, setting: Setting) -> Iterator[Complaint]:
    if setting.said("backend") == "graphs" and "cpu" in items(matrix.get("device", ["cpu"])):
        yield Complaint(
            ("subject", "backend"), "FD016", "graphs are replayed by a CUDA device, and the matrix has a CPU", "matrix: {device: [cuda]}"
        )
    cells = max(1, len(items(matrix.get("device")))) * max(1, len(items(matrix.get("seed")))) + len(items(matrix.get("include")))
    if cells > CELLS_MAX:
        yield Complaint(("matrix",), "FD015", f"the matrix has {cells} cells", f"at most {CELLS_MAX}")


def _expectations(written: JSON) -> Iterator[Complaint]:
    seen: set[str] = set()
    for number, item in enumerate(items(written.get("expect"))):
        names = [item] if isinstance(item, str) else list(mapping(item))
        if len(names) > 1:
            yield Complaint(("expect", number), "FD013", "one item names several oracles", "a list item for each oracle")
        for name in names:
            if name in seen:
                yield Complaint(("expect", number, name), "FD018", f"{name} is expected twice", "each oracle once")
            seen.add(name)
            cause = mapping(mapping(item).get(name)).get("cause")
            if name == "detected" and isinstance(cause, str) and cause not in CAUSES:
                place = ("expect", number, name, "cause")
                yield Complaint(place, "FD013", f"nothing collapses of {cause}", one_of(CAUSES), nearest(cause, CAUSES))
