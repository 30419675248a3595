"""The command `tolaria bench credit`. Nothing heavy is imported before it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg


@dataclass(frozen=True, slots=True)
class Credit:
    """Measure which form of the death penalty teaches a controller to avoid what kills its host.

    Example: tolaria bench credit --quick
    """

    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every run there."""

    def run(self) -> int:
        """Returns the exit code: 1 where a bar is missed."""
        return 0
