"""The examples of both frameworks run as a reader would run them: they strike, recover and learn."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What is to be read on the way, and the least number at the end of the last line.
SHOWN = {
    "lightning_digits": ("step 61: non_finite, rolled back to the snapshot of step 55", r"seen: ([\d.]+)%", 80.0),
    "transformers_tiny": ("step 60: non_finite, rolled back to the snapshot of step 55", r"rightly: (\d+) of 32", 28.0),
}


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_the_recovery(name: str) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, ROOT / "examples" / f"{name}.py"], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    line, pattern, least = SHOWN[name]
    assert line in ended.stdout
    number = re.search(pattern, ended.stdout)
    assert number is not None
    assert float(number.group(1)) >= least
