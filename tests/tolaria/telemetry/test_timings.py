"""What a clock measured stands beside the history and never in it."""

from pathlib import Path

import pytest

from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Decision, Durations, Remedy, RolledBack, Rung, SnapshotTrusted, Work
from tolaria.telemetry.history import History, read
from tolaria.telemetry.timings import TimingsDamaged, TimingsSink, read_timings, with_timings

FIRST, SECOND = Durations(0.5, 0.25, 0.0, 1.0, 2.0), Durations(5.0, 4.0, 3.0, 2.0, 1.0)


def rolled_back(step: int, durations: Durations | None) -> RolledBack:
    decision = Decision("explosion", 40.0, 3.5, 1.0, 0.1, 1, (40.0,), (2,))
    return RolledBack(Point(step, 1), 1, 2, decision, (), "reset", Remedy(Rung.NEWEST, None, None), Work(1, 400, durations), 1)


def test_durations_are_given_back_to_a_history_that_was_written_without_them(tmp_path: Path) -> None:
    timings = tmp_path / "timings.jsonl"
    with History.open(tmp_path / "events.jsonl", (TimingsSink(timings),)) as history:
        history.emit(rolled_back(3, FIRST))
        history.emit(SnapshotTrusted(Point(4, 1), 2))
        history.emit(rolled_back(5, SECOND))
    assert '"durations"' not in (tmp_path / "events.jsonl").read_text()
    assert timings.read_text().splitlines()[0] == '{"step":3,"env":1,"choose":0.5,"validate":0.25,"rebuild":0.0,"copy":1.0,"settle":2.0}'
    events = read(tmp_path / "events.jsonl")
    told = [event for event in with_timings(events, read_timings(timings)) if isinstance(event, RolledBack)]
    assert [event.work.durations for event in told] == [FIRST, SECOND]
    assert events == history.events


def test_without_a_timed_rollback_there_is_no_file(tmp_path: Path) -> None:
    sink = TimingsSink(tmp_path / "timings.jsonl")
    sink.write(rolled_back(3, None))
    sink.write(SnapshotTrusted(Point(4, 1), 2))
    sink.close()
    assert list(tmp_path.iterdir()) == []
    assert read_timings(tmp_path / "timings.jsonl") == {}


def test_a_resumed_run_appends_and_its_word_counts(tmp_path: Path) -> None:
    for durations in (FIRST, SECOND):
        sink = TimingsSink(tmp_path / "timings.jsonl")
        sink.write(rolled_back(3, durations))
        sink.close()
    assert read_timings(tmp_path / "timings.jsonl") == {(3, 1): SECOND}


def test_a_torn_last_line_is_left_out_and_any_other_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "timings.jsonl"
    sink = TimingsSink(path)
    sink.write(rolled_back(3, FIRST))
    sink.close()
    path.write_text(path.read_text() + '{"step":4,"en')
    assert read_timings(path) == {(3, 1): FIRST}
    path.write_text(path.read_text() + "\n")
    with pytest.raises(TimingsDamaged, match="line 2: JSONDecodeError"):
        read_timings(path)


@pytest.mark.parametrize("line", ["[]", '{"step":3}', '{"step":3,"env":1,"choose":1.0}'])
def test_a_line_that_is_no_timing_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "timings.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(TimingsDamaged, match="line 1"):
        read_timings(path)


def test_a_rollback_that_nobody_timed_has_no_durations() -> None:
    assert with_timings([rolled_back(3, FIRST)], {})[0] == rolled_back(3, None)
