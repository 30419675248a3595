"""Real processes die, and real files fail, at every operation on the disk; what is found afterwards is the old or the new."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KILLED, XFSZ, FAILED = 9, 25, 256
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def struck(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """What is found after every strike, by subject."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("struck_disk.py")), str(tmp_path_factory.mktemp("disk") / "struck")]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    rows: dict[str, Rows] = json.loads(ended.stdout)
    return rows


@pytest.mark.parametrize(
    ("subject", "old", "operations"),
    [("the first one", None, 20), ("behind the newest", 2, 22), ("in the place of the newest", 2, 24)],
)
def test_a_strike_at_any_operation_leaves_the_old_or_the_new_one(
    subject: str, old: int | None, operations: int, struck: dict[str, Rows]
) -> None:
    rows = struck[subject]
    kinds = Counter(row["kind"] for row in rows)
    assert len(kinds) == 9
    assert {kinds[kind] for kind in kinds.keys() - {"torn"}} == {operations}
    assert kinds["torn"] == 2
    assert [row for row in rows if row["found"] not in {old, 9}] == []
    # Whoever is told that it is stored can count on it.
    assert [row for row in rows if row["status"] == 0 and row["found"] != 9] == []
    assert {row["status"] for row in rows if row["kind"] in {"kill", "power"}} == {KILLED}
    assert {row["found"] for row in rows if row["kind"] == "short"} == {9}
    for kind in kinds.keys() - {"short", "torn"}:
        assert {row["found"] for row in rows if row["kind"] == kind} == {old, 9}


def test_a_real_limit_in_the_middle_of_a_write_leaves_the_old_or_the_new_one(struck: dict[str, Rows]) -> None:
    rows = struck["under a limit"]
    assert {(row["status"], row["found"]) for row in rows} == {(FAILED, 2), (XFSZ, 2), (0, 9)}


@pytest.mark.parametrize("subject", ["the first one", "behind the newest", "in the place of the newest", "under a limit"])
def test_the_next_checkpoint_is_stored_as_ever_and_nothing_stale_stays(subject: str, struck: dict[str, Rows]) -> None:
    assert [row for row in struck[subject] if row["next"] != 99 or row["leftovers"]] == []


def test_a_run_that_loses_its_power_at_any_operation_ends_as_if_it_had_never_stopped(struck: dict[str, Rows]) -> None:
    rows = struck["runs"]
    assert {row["killed"] for row in rows} == {KILLED}
    begun = [row for row in rows if row["begun"]]
    assert len(begun) >= 40
    assert [row for row in begun if not row["same"] or row["refused"]] == []
    # Before its first step there is nothing to lose, and it is said so.
    said = [row["refused"] for row in rows if not row["begun"]]
    assert all("there is no checkpoint, begin anew" in text or "expected the config.json of a run" in text for text in said)
