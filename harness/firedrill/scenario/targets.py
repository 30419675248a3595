"""Whether a selector can select anything, and whether what it selects is ever read."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from firedrill.faults import FAULTS
from firedrill.scenario.complaint import Complaint, Path, Setting, items, mapping, whole
from firedrill.scenario.moments import phase_of
from firedrill.scenario.problem import nearest, one_of
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import FAMILIES, SEED_TYPES, blueprints_of
from tolaria import seams

# A part of a name that holds one of these may stand for any name.
WILDCARDS = set("*?[")
# What each optimizer keeps of a parameter, as far as it is a number with a fraction.
KEPT: dict[str, tuple[str, ...]] = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq", "step"),
    "adamw": ("exp_avg", "exp_avg_sq", "step"),
}
NAMED = ("params", "grads", "buffers", "activations")
IN_SLOTS = frozenset({"seed", "fossil"})


def targets(path: Path, clause: JSON, setting: Setting, others: Sequence[JSON]) -> Iterator[Complaint]:
    """What is wrong with the target of one fault; `others` are the clauses of all other ones."""
    kind = FAULTS.get(str(clause.get("do")))
    target = mapping(clause.get("target"))
    place = (*path, "target")
    if kind and kind.targets and "target" not in clause:
        yield Complaint(path, "FD012", f"{kind.kind} needs a target", "the key target")
    if kind and not kind.targets and "target" in clause:
        yield Complaint(place, "FD010", f"{kind.kind} takes no target", "only at, do and with")
    moves = kind is not None and kind.kind.startswith("lifecycle.")
    if kind and moves and target and "slot" not in target:
        yield Complaint(place, "FD013", f"{kind.kind} strikes a slot", "the key slot")
    yield from _slot(place, target, setting, [*others, clause])
    yield from _blueprint(path, clause, setting)
    for selector in NAMED:
        own = names_of(selector, setting)
        if isinstance(target.get(selector), str) and own is not None:
            yield from _pattern((*place, selector), target[selector], own, setting.slots)
    phase = phase_of(clause)
    if "grads" in target and phase is not None and phase != seams.GRADIENTS_READY.name:
        message = f"a gradient that is written at {phase} is gone before anybody reads it"
        yield Complaint((*place, "grads"), "FD016", message, f"phase: {seams.GRADIENTS_READY.name}")
    if kind and kind.kind == "unit.kill_relu" and "activations" in target:
        yield Complaint((*place, "activations"), "FD013", "a unit is killed by its bias", "the key params")
    yield from _optimizer(place, target, setting)
    yield from _narrowed(place, target, setting)


def names_of(selector: str, setting: Setting) -> tuple[str, ...] | None:
    """What can be selected of the network itself, before anything grows in it; None where that is not known."""
    if selector == "activations":
        return None if setting.modules is None else tuple(setting.modules)
    return setting.buffers if selector == "buffers" else setting.parameters


def _slot(place: Path, target: JSON, setting: Setting, clauses: Sequence[JSON]) -> Iterator[Complaint]:
    slot, slots = target.get("slot"), setting.slots
    if not isinstance(slot, str) or not slots:
        return
    if slot not in slots:
        yield Complaint((*place, "slot"), "FD017", f"the host has no slot {slot}", one_of(slots), nearest(slot, slots))
        return
    script = map(mapping, items(setting.said("script")))
    sown = {line.get("slot") for line in script if line.get("op") == "germinate"}
    sown |= {mapping(clause.get("target")).get("slot") for clause in clauses if clause.get("do") == "lifecycle.germinate"}
    if setting.said("policy") == "scripted" and slot not in sown:
        yield Complaint((*place, "slot"), "FD017", f"nothing ever grows in {slot}", "a line of the script that lets a seed germinate there")


def _blueprint(path: Path, clause: JSON, setting: Setting) -> Iterator[Complaint]:
    blueprints, given = blueprints_of(setting.task), mapping(clause.get("with")).get("blueprint")
    if clause.get("do") == "lifecycle.germinate" and isinstance(given, str) and given not in blueprints:
        place = (*path, "with", "blueprint")
        yield Complaint(place, "FD013", f"{given} does not fit {setting.task}", one_of(blueprints), nearest(given, blueprints))


def _pattern(place: Path, pattern: str, own: Sequence[str], slots: Sequence[str]) -> Iterator[Complaint]:
    """A pattern must fit the host itself or a seed; what seeds are called beyond their slot is known only when they grow."""
    root, _, rest = pattern.partition(".")
    slot = rest.partition(".")[0]
    if slots and root == "slots" and rest:
        if not set(slot) & WILDCARDS and slot not in slots:
            yield Complaint(place, "FD017", f"the host has no slot {slot}", one_of(slots), nearest(slot, slots))
    elif not _may_be_anything(pattern) and not any(fnmatchcase(name, pattern) for name in own):
        expected = one_of(own) if own else "a task whose host has such tensors"
        patterns = {f"{name.rsplit('.', parts)[0]}.*" for name in own for parts in range(1, name.count(".") + 1)}
        yield Complaint(place, "FD017", f"{pattern} matches nothing of the host", expected, nearest(pattern, [*own, *sorted(patterns)]))


def _optimizer(place: Path, target: JSON, setting: Setting) -> Iterator[Complaint]:
    """The last part of such a name is what the optimizer of the subject keeps."""
    pattern, optimizer = target.get("optimizer"), setting.said("optimizer")
    if not isinstance(pattern, str) or optimizer not in KEPT:
        return
    key = pattern.rpartition("/")[2]
    if not any(fnmatchcase(kept, key) for kept in KEPT[optimizer]):
        message = f"{optimizer} keeps no {key} of a parameter"
        yield Complaint((*place, "optimizer"), "FD017", message, one_of(KEPT[optimizer]), nearest(key, KEPT[optimizer]))


def _narrowed(place: Path, target: JSON, setting: Setting) -> Iterator[Complaint]:
    """Type, role and depth must leave something, as far as the host is known before anything grows."""
    modules = setting.modules
    if modules is None:
        return
    wanted, role, depth = target.get("type"), target.get("role"), whole(target.get("depth"))
    types = sorted({*modules.values(), *SEED_TYPES[FAMILIES[setting.task]]})
    if isinstance(wanted, str) and not any(fnmatchcase(kind, wanted) for kind in types):
        message = f"no module of {setting.task} is a {wanted}"
        yield Complaint((*place, "type"), "FD017", message, one_of(types), nearest(wanted, types))
        return
    sort = next((sort for sort in NAMED if isinstance(target.get(sort), str)), None)
    own = None if sort is None else names_of(sort, setting)
    if sort is None or own is None:
        return
    pattern = target[sort]
    if role in IN_SLOTS:
        if not _may_be_anything(pattern) and not pattern.startswith("slots."):
            yield Complaint((*place, "role"), "FD017", f"{pattern} names no {role}", "a pattern such as slots.*")
        return
    if role is None and (_may_be_anything(pattern) or pattern.startswith("slots.")):
        # A seed may be meant, and how deep it will stand is not known.
        return
    fitting = [name for name in own if fnmatchcase(name, pattern)]
    owners = dict.fromkeys(name if sort == "activations" else name.rpartition(".")[0] for name in fitting)
    left = [
        owner
        for owner in owners
        if (not isinstance(wanted, str) or fnmatchcase(modules[owner], wanted))
        and (role is None or (owner.partition(".")[0] == "head") == (role == "head"))
    ]
    if fitting and not left:
        key = "role" if role is not None else "type"
        yield Complaint((*place, key), "FD017", f"nothing that {pattern} names is left", "type and role that fit the names")
    elif left and depth is not None and not -len(left) <= depth < len(left):
        yield Complaint(
            (*place, "depth"), "FD017", f"there is no depth {depth}: {len(left)} modules are left", f"{-len(left)} to {len(left) - 1}"
        )


def _may_be_anything(pattern: str) -> bool:
    return bool(set(pattern.partition(".")[0]) & WILDCARDS)
