"""Whoever writes scenarios validates often: it takes little more than loading the libraries that it needs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .conftest import ratio_of

ROOT = Path(__file__).parent.parent.parent
SCENARIO = ROOT / "scenarios" / "nan" / "nan-weight-steady-state.yaml"
VALIDATE = f"from pathlib import Path; from firedrill.scenario.load import load; load(Path({str(SCENARIO)!r}))"
LIBRARIES = "import pydantic, ruamel.yaml; pydantic.TypeAdapter(int)"


def in_a_process(code: str) -> Callable[[], None]:
    """A fresh interpreter each time, as on a command line."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")])}

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], env=env, check=True)

    return run


def test_validating_takes_hardly_longer_than_loading_its_libraries(contest) -> None:
    contest.shuffle({"validation": in_a_process(VALIDATE), "libraries": in_a_process(LIBRARIES)}, rounds=10)
    contest.compare("validation", "libraries")
    # A child's CPU time is not this process's, so the wall counts here.
    assert ratio_of(contest.wall["validation"], contest.wall["libraries"]).low <= 3
