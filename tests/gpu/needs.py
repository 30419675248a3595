"""What this interpreter lacks for the session: a GPU, or packages. Asked before anything of the project is imported."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GROUP = "gpu"
NAME = re.compile(r"[A-Za-z0-9._-]+")
BOUND = re.compile(r"(>=|<|==)\s*([0-9.]+)")
# Of the interpreter itself; the newest one that was tried.
PYTHONS = ((3, 11), (3, 13))


def why_no_gpu() -> str:
    """Why there is no GPU for this interpreter, in one line; nothing where there is one."""
    # In a process of its own: a parent that has talked to the driver has no children that could.
    probe = "import torch; print(torch.cuda.is_available())"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    if answer.returncode:
        return f"{sys.executable} cannot import torch: {answer.stderr.strip().splitlines()[-1]}"
    return "" if answer.stdout.strip() == "True" else f"torch of {sys.executable} sees no GPU"


def requirements() -> tuple[str, ...]:
    """Everything that the session needs: dependencies of the project and the group `gpu`, as pyproject.toml has them."""
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return (*document["project"]["dependencies"], *document["dependency-groups"][GROUP])


def missing(wanted: Iterable[str]) -> list[str]:
    """Those of these requirements that this interpreter cannot meet, each with what is there instead."""
    return [found for requirement in wanted if (found := _lacking(requirement))]


def why_not_python(version: tuple[int, int]) -> str:
    """Why this version of Python will not do, or nothing."""
    lowest, highest = PYTHONS
    if lowest <= version <= highest:
        return ""
    return f"Python {version[0]}.{version[1]}, where {lowest[0]}.{lowest[1]} to {highest[0]}.{highest[1]} are known to do"


def _lacking(requirement: str) -> str:
    named = NAME.match(requirement)
    assert named is not None, requirement
    try:
        version = importlib.metadata.version(named[0])
    except importlib.metadata.PackageNotFoundError:
        return requirement
    met = all(_meets(_numbers(version), relation, _numbers(bound)) for relation, bound in BOUND.findall(requirement))
    return "" if met else f"{requirement} (there is {version})"


def _meets(version: tuple[int, ...], relation: str, bound: tuple[int, ...]) -> bool:
    if relation == ">=":
        return version >= bound
    return version < bound if relation == "<" else version == bound


def _numbers(version: str) -> tuple[int, ...]:
    # "2.11.0a0+nv25.9" is as good as 2.11.0 here: vendors number their builds so.
    known = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(map(int, known[0].split("."))) if known else ()
