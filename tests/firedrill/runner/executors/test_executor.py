"""What every executor promises, tried on each that is installed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firedrill.runner.executors.executor import Executor, Work
from firedrill.runner.executors.local import Local
from firedrill.runner.folder import CONTROL, ENDING, FAULTED, digest_of
from firedrill.runner.verdict import End
from firedrill.scenario.cell import Cell

Works = Callable[..., list[Work]]

# A cluster that is only tried on one machine warns of much that is not our affair.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("processes")]


def ray(monkeypatch: pytest.MonkeyPatch, home: Path) -> Executor:
    """A Ray cluster of one node with two CPUs."""
    cluster = pytest.importorskip("ray")
    for name, value in (("HOME", str(home)), ("RAY_AUTH_MODE", "disabled"), ("RAY_USAGE_STATS_ENABLED", "0")):
        monkeypatch.setenv(name, value)
    if not cluster.is_initialized():
        cluster.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    made: Executor = pytest.importorskip("firedrill.runner.executors.ray").Ray()
    return made


def slurm(_monkeypatch: pytest.MonkeyPatch, home: Path) -> Executor:
    """The jobs of submitit, as processes of this machine."""
    pytest.importorskip("submitit")
    made: Executor = pytest.importorskip("firedrill.runner.executors.slurm").Slurm(2, home / "jobs", "local")
    return made


@pytest.fixture(params=["local", "ray", "slurm"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Executor]:
    """Each executor, opened, with room for two cells."""
    roots = [str(Path(__file__).parents[4] / name) for name in ("src", "harness")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(roots))
    home = tmp_path / "home"
    home.mkdir()
    made = {"local": lambda *_: Local(2), "ray": ray, "slurm": slurm}[request.param](monkeypatch, home)
    with made as opened:
        yield opened
    if request.param == "ray":
        pytest.importorskip("ray").shutdown()


def test_each_cell_is_recorded_once_with_the_same_bytes_everywhere_and_one_that_hangs_costs_itself_only(
    executor: Executor, small: Cell, endless: Cell, works: Works
) -> None:
    assert executor.jobs == 2
    done = sorted(executor.record(works(small, endless, small)), key=lambda one: one.work.number)
    assert [one.ending.how for one in done] == [End.ENDED, End.TIMED_OUT, End.ENDED]
    assert all(one.seconds > 0 for one in done)
    one, other = (done[place].work.folder for place in (0, 2))
    for name in (CONTROL, FAULTED):
        assert digest_of(one / name) == digest_of(other / name) != ""
    assert (one / ENDING).exists()


def test_the_next_cell_is_asked_for_when_there_is_room_and_no_sooner(executor: Executor, small: Cell, works: Works) -> None:
    asked: list[int] = []

    def source() -> Iterator[Work]:
        for work in works(small, small, small, small):
            asked.append(work.number)
            yield work

    recording = executor.record(source())
    next(recording)
    assert asked == [0, 1]
    recording.close()
    assert asked == [0, 1]
