"""The ordered record of a run: in memory, on disk as one line of JSON an event, and handed to sinks."""

import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tolaria.errors import ConfigError, TolariaError
from tolaria.telemetry.codec import CodecError, from_line, to_line
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import EnvironmentRetired, PenaltyDelivered, RolledBack, SnapshotTaken
from tolaria.telemetry.kinds import EVENT_KINDS
from tolaria.telemetry.run_events import RunAborted, RunFinished
from tolaria.telemetry.sinks import PATIENCE_S, Sink, SinkQueue

# After these the file is on the disk, not only on its way: what follows may be the end of the process.
DURABLE: frozenset[type[Event]] = frozenset({SnapshotTaken, RolledBack, PenaltyDelivered, EnvironmentRetired, RunFinished, RunAborted})


class HistoryDamaged(TolariaError):
    """A history on disk cannot be trusted; says which file and which line."""

    def __init__(self, path: Path, line: int, complaint: str) -> None:
        super().__init__(f"{path}, line {line}: {complaint}")
        self.path = path
        self.line = line


class History:
    """The record of one run. `emit` is the one way in; its position in `events` is an event's `seq`.

    Without a file the record is kept in memory only. `remark` says what `resume` had to drop, or is empty.
    """

    def __init__(self, sinks: Iterable[Sink] = (), file: IO[bytes] | None = None, durable: frozenset[type[Event]] = DURABLE) -> None:
        self.events: list[Event] = []
        self.remark = ""
        self._file = file
        self._durable = durable
        self._sinks = [sink if isinstance(sink, SinkQueue) else SinkQueue(sink) for sink in sinks]
        self._closed = False
        # Environments may be stepped from several threads, and an event has one number and one line.
        self._one_at_a_time = threading.Lock()

    @classmethod
    def open(cls, path: Path, sinks: Iterable[Sink] = (), durable: frozenset[type[Event]] = DURABLE) -> Self:
        """Begin a history in a new file; `ConfigError` where there already is one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileExistsError as error:
            raise ConfigError("history", str(path), "a file that does not exist yet") from error
        return cls(sinks, file, durable)

    @classmethod
    def resume(
        cls,
        path: Path,
        next_seq: int,
        sinks: Iterable[Sink] = (),
        durable: frozenset[type[Event]] = DURABLE,
        kinds: Mapping[str, type[Event]] = EVENT_KINDS,
    ) -> Self:
        """Continue a file after its first `next_seq` events; everything behind them is dropped, a torn last line too.

        Raises `HistoryDamaged` where the file holds fewer events or one that cannot be read. Sinks see new events only.
        """
        lines, torn = _split(path)
        if len(lines) < next_seq:
            raise HistoryDamaged(path, len(lines) + 1, f"the file ends, but {next_seq} events are to be continued")
        events = _decode(path, lines[:next_seq], kinds)
        file = path.open("r+b")
        file.truncate(sum(len(line) + 1 for line in lines[:next_seq]))
        file.seek(0, os.SEEK_END)
        history = cls(sinks, file, durable)
        history.events = events
        history.remark = _remark(path, len(lines) - next_seq, torn)
        history.sync()
        return history

    @property
    def next_seq(self) -> int:
        """The number that the next event will have; a checkpoint keeps it for `resume`."""
        return len(self.events)

    @property
    def complaints(self) -> list[str]:
        """What sinks missed, a sentence each; complete after `close`."""
        return [complaint for sink in self._sinks if (complaint := sink.complaint())]

    def emit(self, event: Event) -> None:
        """Record an event, from any thread. Sinks cannot fail here; a failing disk does."""
        assert not self._closed, "the history is closed"
        with self._one_at_a_time:
            if self._file is not None:
                self._file.write(to_line(self.next_seq, event).encode("ascii") + b"\n")
            self.events.append(event)
            if type(event) in self._durable:
                self.sync()
            for sink in self._sinks:
                sink.write(event)

    def sync(self) -> None:
        """Bring every line to the disk; a checkpoint that counts on `next_seq` lines calls it before."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Write what is left, then let every sink finish, each for a limited time."""
        if self._closed:
            return
        self._closed = True
        if self._file is not None:
            self.sync()
            self._file.close()
        for sink in self._sinks:
            sink.close(patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read(path: Path, kinds: Mapping[str, type[Event]] = EVENT_KINDS) -> list[Event]:
    """All events of a finished file; `HistoryDamaged` names file and line of the first one that is wrong."""
    lines, torn = _split(path)
    if torn:
        raise HistoryDamaged(path, len(lines) + 1, "the line is torn: the run ended while writing it, or is still writing")
    return _decode(path, lines, kinds)


def read_so_far(path: Path, kinds: Mapping[str, type[Event]] = EVENT_KINDS) -> list[Event]:
    """The events of a run that goes on or was killed: like `read`, but a torn last line is left out."""
    return events_in(path.read_bytes(), path, kinds)


def events_in(content: bytes, path: Path, kinds: Mapping[str, type[Event]] = EVENT_KINDS) -> list[Event]:
    """Like `read_so_far` for whoever has the content of the file already; `path` is named where something is wrong."""
    return _decode(path, content.split(b"\n")[:-1], kinds)


def _split(path: Path) -> tuple[list[bytes], bytes]:
    """The complete lines without their newlines, and what stands behind the last newline."""
    *lines, rest = path.read_bytes().split(b"\n")
    return lines, rest


def _decode(path: Path, lines: Iterable[bytes], kinds: Mapping[str, type[Event]]) -> list[Event]:
    events: list[Event] = []
    for number, line in enumerate(lines):
        try:
            seq, event = from_line(line.decode("ascii"), kinds)
        except (CodecError, UnicodeDecodeError) as error:
            raise HistoryDamaged(path, number + 1, str(error)) from error
        if seq != number:
            raise HistoryDamaged(path, number + 1, f"seq is {seq}, expected {number}")
        events.append(event)
    return events


def _remark(path: Path, dropped: int, torn: bytes) -> str:
    parts = [f"{dropped} events after the checkpoint"] * (dropped > 0) + [f"a torn last line of {len(torn)} bytes"] * bool(torn)
    return f"{path}: dropped {' and '.join(parts)}" if parts else ""
