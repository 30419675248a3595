"""Every example that needs no framework runs as a reader would run it: it strikes, recovers and learns."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What is to be read on the way, and the least accuracy in percent at the end.
SHOWN = {
    "plain_loop": (["step 60: non_finite, rolled back to the snapshot of step 55"], 80.0),
    "drilled_loop": ([], 80.0),
    "accumulation_amp_ema": (
        [
            "step 40: rolled_back, non_finite, snapshot of step 30",
            "step 80: suspect, loss_explosion, snapshot of step None",
            "step 82: rolled_back, loss_explosion, snapshot of step 71",
        ],
        85.0,
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_the_recovery(name: str) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, ROOT / "examples" / f"{name}.py"], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines, accuracy_min = SHOWN[name]
    assert [line for line in lines if line not in ended.stdout] == []
    accuracy = re.search(r"([\d.]+)%", ended.stdout)
    assert accuracy is not None
    assert float(accuracy.group(1)) >= accuracy_min


def test_no_example_of_a_plain_loop_is_forgotten() -> None:
    examples = (ROOT / "examples").glob("*.py")
    plain = {path.stem for path in examples if not re.search(r"^(from|import) (lightning|transformers)", path.read_text(), re.MULTILINE)}
    assert plain == set(SHOWN)


def test_the_example_of_a_loop_of_ones_own_is_drilled() -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "harness"))), "OMP_NUM_THREADS": "1"}
    drill = [sys.executable, "-m", "firedrill.cli", "run", "examples/drilled-loop.yaml", "--jobs", "1"]
    ended = subprocess.run(drill, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 cell: 1 as expected" in ended.stdout
