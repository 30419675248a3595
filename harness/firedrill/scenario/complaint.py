"""A mistake of a scenario file, what the checks know of its subject, and how they read what may have the wrong type."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from firedrill.faults import FAULTS
from firedrill.faults.fault import Fault
from firedrill.scenario.schema import JSON
from firedrill.scenario.subject import BUFFERS, MODULES, PARAMETERS, SLOTS, Subject

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A mistake at a path of the file. Where the path ends outside the file, its last part that exists is meant."""

    path: Path
    code: str
    message: str
    expected: str = ""
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the checks need of the subject; None where the file does not say it properly, or nobody knows it before it is built.

    `written` is the subject as it stands there, `modules` are pairs of name and type.
    """

    steps: int | None
    envs: int | None
    batches: int | None
    task: str
    slots: tuple[str, ...]
    parameters: tuple[str, ...] | None
    buffers: tuple[str, ...] | None
    modules: dict[str, str] | None
    written: JSON

    @classmethod
    def of(cls, subject: JSON) -> "Setting":
        """Read off a subject in which anything may be wrong."""
        task = subject["task"] if subject.get("task") in SLOTS else str(default("task"))
        return cls(
            steps=some(subject.get("steps")),
            envs=some(subject.get("envs", default("envs"))),
            batches=some(subject.get("batches_per_step", default("batches_per_step"))),
            task=task,
            slots=SLOTS[task],
            parameters=PARAMETERS[task],
            buffers=BUFFERS[task],
            modules=MODULES[task],
            written=subject,
        )

    def said(self, field: str) -> Any:  # A subject has fields of many types.
        """What the file says of a field, or else its default."""
        return self.written.get(field, default(field))

    @property
    def governed(self) -> bool:
        """Whether anybody watches."""
        return mapping(self.written.get("governor")).get("enabled", True) is not False

    @property
    def grows(self) -> bool:
        """Whether any slot is ever decided about."""
        return self.said("policy") != "scripted" or any(
            mapping(line).get("op") not in {None, "wait"} for line in items(self.said("script"))
        )


def inside(path: Path, given: JSON, key: str, total: int | None, noun: str) -> Iterator[Complaint]:
    """A number must be one of `total`, counted from 0."""
    number = whole(given.get(key))
    if number is not None and total is not None and number >= total:
        yield Complaint((*path, key), "FD016", f"{key} {number} never comes: there are {total} {noun}", f"0 to {total - 1}")


def fault_of(clause: JSON) -> Fault | type[Fault] | None:
    """The fault of a clause; only its class where its parameters are wrong, which is reported elsewhere."""
    kind = FAULTS.get(str(clause.get("do")))
    if kind is None:
        return None
    build: Callable[..., Fault] = kind
    try:
        return build(**mapping(clause.get("with")))
    except (TypeError, ValueError, KeyError):
        return kind


def phases_of(fault: Fault | type[Fault] | None) -> tuple[str, ...]:
    """The phases at which a fault may act, as far as that is known."""
    if fault is None:
        return ()
    return fault.allowed_phases if isinstance(fault, Fault) else fault.phases


def mapping(value: Any) -> JSON:
    """The value, where it is a mapping."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value, where it is a list."""
    return value if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """The value, where it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def some(value: object) -> int | None:
    """The value, where it is a whole number above 0."""
    number = whole(value)
    return number if number is not None and number > 0 else None


def default(field: str) -> Any:  # A subject has fields of many types.
    """What a subject has where the file says nothing."""
    return getattr(Subject(steps=1), field)
