from dataclasses import replace
from pathlib import Path

from firedrill.oracles.oracle import Evidence
from firedrill.runner.folder import digest_of
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.event import Event
from tolaria.telemetry.run_events import RunStarted


def written(path: Path, *events: Event) -> str:
    """The digest of a history of these events."""
    path.write_text("".join(f"{to_line(seq, event)}\n" for seq, event in enumerate(events)), encoding="utf-8")
    return digest_of(path)


def test_equal_runs_of_two_commits_have_one_digest(tmp_path: Path, healed: Evidence) -> None:
    started, *rest = healed.faulted
    assert isinstance(started, RunStarted)
    digest = written(tmp_path / "a", started, *rest)
    assert written(tmp_path / "b", replace(started, commit="another"), *rest) == digest
    assert written(tmp_path / "c", replace(started, seed=8), *rest) != digest
    assert written(tmp_path / "d", started, *rest[:-1]) != digest


def test_a_history_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert digest_of(tmp_path / "nothing") == ""
