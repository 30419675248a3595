"""A campaign on a Ray cluster that loses a worker, and one that loses a node: every cell still gets its verdict."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from firedrill.runner.result import CellResult
from firedrill.runner.run import execute
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")
Ray = pytest.importorskip("firedrill.runner.executors.ray").Ray

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def drills() -> list[Cell]:
    """Eight cells that are rolled back."""
    scenario = load(ROOT / "scenarios" / "nan" / "nan-weight-steady-state.yaml")
    (cell,) = (cell for cell in cells(scenario) if cell.device == "cpu")
    return [Cell(f"{cell.id}-{number}", cell.scenario, cell.device, cell.seed) for number in range(8)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["cluster_utils.Cluster"]:
    """Two nodes on this machine, a CPU each; the driver sits at the first."""
    for name, value in (("HOME", str(tmp_path)), ("RAY_AUTH_MODE", "disabled"), ("RAY_USAGE_STATS_ENABLED", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / name) for name in ("src", "harness")))
    nodes = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def workers() -> list[psutil.Process]:
    """The processes of Ray that record a cell just now."""
    return [process for process in psutil.process_iter(["cmdline"]) if "ray::recorded_here" in " ".join(process.info["cmdline"] or ())]


def assert_all_recovered(results: list[CellResult], drills: list[Cell]) -> None:
    assert [result.id for result in results] == [cell.id for cell in drills]
    assert {(result.verdict, result.passed) for result in results} == {(Verdict.RECOVERED, True)}
    # The runs that were begun twice are the same runs.
    assert len({result.history_digest for result in results}) == 1


def test_a_worker_that_is_killed_costs_no_cell_its_verdict(cluster: "cluster_utils.Cluster", drills: list[Cell]) -> None:
    killed: list[int] = []

    def kill(_result: CellResult) -> None:
        for worker in workers() if not killed else ():
            killed.append(worker.pid)
            worker.kill()

    with Ray() as executor:
        assert executor.jobs == 2
        results = execute(drills, executor, kill)
    assert killed
    assert_all_recovered(results, drills)


def test_a_node_that_is_killed_costs_no_cell_its_verdict(cluster: "cluster_utils.Cluster", drills: list[Cell]) -> None:
    told: list[str] = []

    def kill(result: CellResult) -> None:
        told.append(result.id)
        if len(told) == 2:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    # More than there are CPUs, so that the node has a cell under way at any time.
    with Ray(4) as executor:
        results = execute(drills, executor, kill)
    assert len(cluster.worker_nodes) == 0
    assert_all_recovered(results, drills)
