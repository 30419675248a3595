"""A file system that is really full, in a name space of its own: no checkpoint is stored any more, and the run goes on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tolaria.telemetry.history import read
from tolaria.telemetry.run_events import RunFinished, StorageFailed

ROOT = Path(__file__).parents[2]
# A checkpoint of this run needs between 12 and 16 kB, so a second one finds no room.
SIZE = "24k"


def mounted(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to which a small file system is mounted at a folder; nobody else sees it, and it goes with the command."""
    script = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && exec "$@"'
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    apart = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder), *command)
    return subprocess.run(apart, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_on_a_full_disk_a_run_goes_on_without_its_checkpoints(tmp_path: Path) -> None:
    place = tmp_path / "run" / "checkpoints"
    place.mkdir(parents=True)
    if shutil.which("unshare") is None or mounted(place, "true").returncode != 0:
        pytest.skip("here nobody may mount a file system, not even for himself")
    ended = mounted(place, sys.executable, str(Path(__file__).with_name("full_disk.py")), str(place.parent))
    assert (ended.returncode, ended.stderr) == (0, "")
    events = read(place.parent / "events.jsonl")
    failures = [event for event in events if isinstance(event, StorageFailed)]
    assert len(failures) == 4
    assert all("No space left on device" in failure.reason for failure in failures)
    assert isinstance(events[-1], RunFinished)
    # The checkpoint from before the first step is as good as ever.
    assert ended.stdout == "0\n"
