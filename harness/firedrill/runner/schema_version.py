"""Which version of a file this firedrill writes, and what it says of a file that it does not read."""

import re
from dataclasses import dataclass

WRITTEN = re.compile(r"([a-z.]+)/([0-9]{1,4})(?:\.([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A kind of file in one version. A minor version adds what older readers can do without; a major one changes what is there."""

    name: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.name}/{self.major}.{self.minor}"

    def refusal(self, found: object) -> str:
        """Why a file of the schema `found` is not read; nothing where it is: of this major version, and not newer."""
        written = WRITTEN.fullmatch(found) if isinstance(found, str) else None
        if written is None or written[1] != self.name:
            return f"the schema is {found!r}, expected {str(self)!r}"
        # The first versions had no minor number.
        major, minor = int(written[2]), int(written[3] or 0)
        if (major, minor) > (self.major, self.minor):
            return (
                f"a newer firedrill wrote it, in the schema {found!r}; this one reads up to {str(self)!r}, so update firedrill to read it"
            )
        if major < self.major:
            return f"the schema {found!r} is no longer read, this firedrill reads {self.name}/{self.major}; run it again to write it anew"
        return ""
