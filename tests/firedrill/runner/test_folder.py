from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Evidence
from firedrill.runner.folder import CONTROL, FAULTED, control_events_of, digest_of, events_of, tell, told_ending
from firedrill.runner.verdict import End, Ending
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.event import Event
from tolaria.telemetry.run_events import RunStarted


def test_an_ending_is_read_as_it_was_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        told_ending(tmp_path)
    tell(tmp_path, End.NOT_RUN, "no GPU")
    assert told_ending(tmp_path) == Ending(End.NOT_RUN, "no GPU")


def test_a_history_that_was_cut_short_is_read_up_to_its_last_whole_line(recorded: Path) -> None:
    path = recorded / FAULTED
    whole = events_of(path)
    assert isinstance(whole[0], RunStarted)
    assert sum(isinstance(event, FaultStruck) for event in whole) == 1
    before = digest_of(path)
    path.write_bytes(path.read_bytes()[:-5])
    assert events_of(path) == whole[:-1]
    assert digest_of(path) != before


def test_equal_control_runs_are_decoded_once_and_a_changed_one_anew(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / CONTROL
    copy.write_bytes((recorded / CONTROL).read_bytes())
    assert control_events_of(tmp_path) is control_events_of(recorded)
    assert list(control_events_of(tmp_path)) == list(events_of(copy))
    copy.write_bytes(copy.read_bytes()[:-5])
    assert control_events_of(tmp_path) == control_events_of(recorded)[:-1]


def test_what_was_never_recorded_holds_nothing(tmp_path: Path) -> None:
    assert (events_of(tmp_path / FAULTED), digest_of(tmp_path / FAULTED)) == ((), "")
    assert control_events_of(tmp_path) == ()


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
