"""A mistake that a check found, before it is known where in the file it stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """A mistake at a path of the file. Where the path ends outside the file, its last part that exists is meant."""

    path: tuple[str | int, ...]
    code: str
    message: str
    expected: str = ""
    suggestion: str = ""
