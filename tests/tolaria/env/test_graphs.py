"""A line of graphs, on a device that is only played."""

import pytest
import torch
from pools.device import Device, device

from tolaria.env.graphs import WARMUPS, Line

__all__ = ["device"]

CUDA = torch.device("cuda", 0)


def test_work_is_tried_and_captured_on_the_stream_that_replays_it(device: Device) -> None:
    line = Line(CUDA)
    seen: list[str] = []
    total = torch.zeros(1)

    def work(name: str, amount: float) -> None:
        seen.append(f"{name} on {device.current.name}")
        total.add_(amount)

    first, second = line.record((lambda: work("one", 1.0), lambda: work("two", 10.0)), lambda: seen.append("before"))
    # The captures themselves come last.
    assert seen == ["before", "one on stream 1", "two on stream 1"] * (WARMUPS + 1)
    total.zero_()
    with line.forked():
        for replay in (first, second, second):
            replay()
    assert total.tolist() == [21.0]
    assert len(seen) == 3 * (WARMUPS + 1)
    assert device.calls == [
        ("wait", "stream 1", "default"),
        ("capture", "stream 1", "pool 1"),
        ("capture", "stream 1", "pool 1"),
        ("wait", "stream 1", "default"),
        *[("replay", "stream 1", "pool 1")] * 3,
    ]


def test_lines_share_no_memory_and_wait_for_whoever_is_current(device: Device) -> None:
    one, other = Line(CUDA), Line(CUDA)
    with one.forked(), other.forked():
        assert device.current.name == "stream 2"
    other.join()
    one.finish()
    assert device.current.name == "default"
    assert device.calls == [
        ("wait", "stream 1", "default"),
        ("wait", "stream 2", "stream 1"),
        ("wait", "default", "stream 2"),
        ("finish", "stream 1", ""),
    ]
    one.record([lambda: None], lambda: None)
    other.record([lambda: None], lambda: None)
    assert [call for call in device.calls if call[0] == "capture"] == [("capture", "stream 1", "pool 1"), ("capture", "stream 2", "pool 2")]


def test_what_asks_the_device_cannot_be_captured(device: Device) -> None:
    value = torch.ones(())
    with pytest.raises(RuntimeError, match="not permitted"):
        Line(CUDA).record([lambda: float(value)], lambda: None)
    assert device.current is device.default
