import json
import os
from pathlib import Path

import pytest

from tolaria.errors import ConfigError
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.codec import CodecError
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, PenaltyDelivered, SnapshotTaken, SnapshotTrusted
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import DURABLE, History, HistoryDamaged, read, read_so_far
from tolaria.telemetry.kinds import tabulate

TRUSTED = [SnapshotTrusted(Point(step, 0), step) for step in range(6)]


class Listening:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.closed = 0

    def write(self, event: Event) -> None:
        self.heard.append(event)

    def close(self) -> None:
        self.closed += 1


class Failing(Listening):
    """A sink that cannot take anything."""

    def write(self, event: Event) -> None:
        raise OSError("no such server")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "a" / "events.jsonl"


def write(path: Path, events: list[SnapshotTrusted]) -> None:
    with History.open(path) as history:
        for event in events:
            history.emit(event)


def test_a_closed_history_reads_as_it_was_emitted(path: Path) -> None:
    write(path, TRUSTED)
    assert read(path) == TRUSTED


def test_lines_are_numbered_without_gaps(path: Path) -> None:
    write(path, TRUSTED)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1, 2, 3, 4, 5]


def test_equal_events_make_equal_files(path: Path) -> None:
    write(path, TRUSTED)
    again = path.with_name("again.jsonl")
    write(again, TRUSTED)
    assert path.read_bytes() == again.read_bytes()


def test_a_history_without_a_file_keeps_its_events() -> None:
    history = History()
    history.emit(TRUSTED[0])
    history.emit(TRUSTED[1])
    history.close()
    assert (history.events, history.next_seq) == (TRUSTED[:2], 2)


def test_nothing_is_emitted_into_a_closed_history() -> None:
    history = History()
    history.close()
    with pytest.raises(AssertionError, match="the history is closed"):
        history.emit(TRUSTED[0])


def test_an_existing_file_is_never_begun_anew(path: Path) -> None:
    write(path, TRUSTED)
    with pytest.raises(ConfigError, match="does not exist yet"):
        History.open(path)
    assert read(path) == TRUSTED


def test_an_event_that_cannot_be_written_is_not_recorded_either(path: Path) -> None:
    row: int = "three"  # type: ignore[assignment]  # It is the mistake that is tested.
    with History.open(path) as history:
        with pytest.raises(CodecError, match=r"penalty_delivered\.row"):
            history.emit(PenaltyDelivered(Point(0, 0), -10.0, row))
        history.emit(TRUSTED[0])
    assert read(path) == TRUSTED[:1]


def test_a_durable_event_is_synced_with_everything_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
    history = History.open(path)
    history.emit(TRUSTED[0])
    assert (sizes, path.stat().st_size) == ([], 0)
    history.emit(EnvironmentRetired(Point(1, 0), 3, "budget spent"))
    assert sizes == [path.stat().st_size]
    assert len(path.read_text().splitlines()) == 2
    history.close()


def test_which_events_are_durable_can_be_extended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    history = History.open(path, durable=DURABLE | {SnapshotTrusted})
    history.emit(TRUSTED[0])
    assert len(synced) == 1
    history.close()


def test_the_facts_that_a_rollback_depends_on_are_durable() -> None:
    names = {event.__name__ for event in DURABLE}
    assert names == {"SnapshotTaken", "RolledBack", "PenaltyDelivered", "EnvironmentRetired", "RunFinished", "RunAborted"}


def test_a_resumed_history_continues_after_the_checkpoint(path: Path) -> None:
    write(path, TRUSTED)
    with History.resume(path, 2) as history:
        assert (history.events, history.next_seq) == (TRUSTED[:2], 2)
        history.emit(TRUSTED[5])
    assert read(path) == [*TRUSTED[:2], TRUSTED[5]]


def test_what_a_resumed_history_dropped_is_said(path: Path) -> None:
    write(path, TRUSTED)
    with path.open("ab") as file:
        file.write(b'{"seq":6,"ev')
    with History.resume(path, 2) as history:
        assert history.remark == f"{path}: dropped 4 events after the checkpoint and a torn last line of 12 bytes"
    assert read(path) == TRUSTED[:2]


def test_a_history_that_lost_nothing_has_no_remark(path: Path) -> None:
    write(path, TRUSTED)
    with History.resume(path, 6) as history:
        assert history.remark == ""


def test_a_history_shorter_than_the_checkpoint_is_not_resumed(path: Path) -> None:
    write(path, TRUSTED)
    with pytest.raises(HistoryDamaged, match="line 7: the file ends, but 8 events"):
        History.resume(path, 8)
    assert read(path) == TRUSTED


def test_resuming_at_every_event_gives_the_file_of_an_undisturbed_run(path: Path) -> None:
    write(path, TRUSTED)
    undisturbed = path.read_bytes()
    for next_seq in range(len(TRUSTED) + 1):
        with History.resume(path, next_seq) as history:
            for event in TRUSTED[next_seq:]:
                history.emit(event)
        assert path.read_bytes() == undisturbed


def test_a_torn_last_line_is_an_error_that_names_file_and_line(path: Path) -> None:
    write(path, TRUSTED[:2])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(HistoryDamaged) as damaged:
        read(path)
    assert str(damaged.value).startswith(f"{path}, line 2: the line is torn")


def test_a_run_that_goes_on_is_read_up_to_its_torn_line(path: Path) -> None:
    write(path, TRUSTED[:2])
    path.write_bytes(path.read_bytes()[:-5])
    assert read_so_far(path) == TRUSTED[:1]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ((b'"snapshot":1', b'"snapshot":"1"'), "line 2: snapshot_trusted.snapshot: found '1', expected int"),
        ((b'"seq":1,', b'"seq":2,'), "line 2: seq is 2, expected 1"),
        ((b"snapshot_trusted", b"snapshot_t\xffusted"), "line 1: 'ascii' codec"),
    ],
)
def test_a_damaged_line_is_named(path: Path, damage: tuple[bytes, bytes], complaint: str) -> None:
    write(path, TRUSTED)
    path.write_bytes(path.read_bytes().replace(*damage))
    with pytest.raises(HistoryDamaged) as damaged:
        read(path)
    assert f"{path}, {complaint}" in str(damaged.value)


def test_a_file_is_read_with_the_table_that_is_handed_in(path: Path) -> None:
    write(path, TRUSTED)
    with pytest.raises(HistoryDamaged, match="snapshot_trusted: no such kind"):
        read(path, tabulate([SnapshotTaken]))


def test_every_sink_hears_every_event_and_is_closed_once() -> None:
    sinks = [Listening(), Listening()]
    history = History(sinks)
    for event in TRUSTED:
        history.emit(event)
    history.close()
    history.close()
    assert [(sink.heard, sink.closed) for sink in sinks] == [(TRUSTED, 1), (TRUSTED, 1)]
    assert history.complaints == []


def test_a_failing_sink_harms_neither_the_file_nor_its_neighbour(path: Path) -> None:
    neighbour = Listening()
    with History.open(path, [Failing(), neighbour]) as history:
        for event in TRUSTED:
            history.emit(event)
    assert read(path) == TRUSTED
    assert neighbour.heard == TRUSTED
    assert history.complaints == ["Failing missed 6 of 6 events: OSError: no such server"]


def test_a_history_is_closed_when_its_block_raises(path: Path) -> None:
    sink = Listening()

    def fail() -> None:
        with History.open(path, [sink]) as history:
            history.emit(StageChanged(Point(0, 0), "s0", 1, "norm", Stage.DORMANT, Stage.GERMINATED, "", "policy"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (len(read(path)), sink.closed) == (1, 1)


def test_two_histories_in_one_process_share_nothing() -> None:
    first, second = Listening(), Listening()
    with History([first]) as history:
        history.emit(TRUSTED[0])
    with History([second]) as history:
        history.emit(TRUSTED[1])
    assert (first.heard, second.heard) == ([TRUSTED[0]], [TRUSTED[1]])
