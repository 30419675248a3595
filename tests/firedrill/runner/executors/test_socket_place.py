import os
import subprocess
import sys
from pathlib import Path

import pytest

from firedrill.runner.executors.executor import CannotExecute
from firedrill.runner.executors.socket_place import PATH_MAX, place

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from multiprocessing import forkserver
from firedrill.runner.executors.socket_place import start_fork_server
start_fork_server()
sys.stdout.write(forkserver._forkserver._forkserver_address)
"""


def test_a_path_that_is_long_gives_way_to_a_short_one(tmp_path: Path) -> None:
    assert place("x" * PATH_MAX, []) == "x" * PATH_MAX
    assert place("x" * (PATH_MAX + 1), [tmp_path / "missing", tmp_path]) == str(tmp_path)


def test_where_no_socket_can_lie_the_answer_says_what_to_do() -> None:
    with pytest.raises(CannotExecute, match="set TMPDIR to a shorter one"):
        place("x" * (PATH_MAX + 1), [Path("nowhere")])


def test_the_fork_server_starts_although_temporary_files_go_to_a_deep_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    env = os.environ | {"TMPDIR": str(deep), "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("src", "harness"))}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert not ended.stdout.startswith(str(deep))
    assert list(deep.iterdir()) == []
