"""Environments in other processes: the same bytes, and nobody is left behind."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
import torch
from pools.workers import Counting, Dying, Raising, halved

from tolaria.env import worker_pool
from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import Broken, EnvConfig, GrowthEnv, Outcome
from tolaria.env.pool import Decided, HostPool, LoopPool
from tolaria.env.stacked_pool import StackedPool
from tolaria.env.vector_env import VectorEnv
from tolaria.env.worker_pool import Mistaken, Plan, WorkerPool, asked_of, serve
from tolaria.errors import ConfigError, WorkerLost
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.tasks import TASKS
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point

ENVS, STEPS = 3, 6
CPU = torch.device("cpu")
CONFIG = EnvConfig(STEPS, TrainingConfig(batches_per_step=2))
MOVES = {0: Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp"), 1: Action(op=Op.ADVANCE, slot="s0")}


def plan(pool: type[HostPool] = LoopPool, task: str = "spirals") -> Plan:
    return Plan(TASKS[task](), CONFIG, 0, pool, 1)


class Failing(LoopPool):
    """A pool with a mistake in it."""

    def advance(self, decided: object) -> list[Outcome | Broken]:
        raise AssertionError("ours")


@pytest.fixture
def workers() -> Iterator[WorkerPool]:
    pool = WorkerPool(plan(), 2, together=False)
    yield pool
    pool.close()


class Played:
    """Environments that grow seeds and, halfway, are changed from outside, as a rollback or a new episode does it."""

    def __init__(self, pool: HostPool, task: Task | None = None, changed: bool = True) -> None:
        self.events: list[Event] = []
        self.envs = VectorEnv(task or TASKS["spirals"](), CONFIG, ENVS, 0, CPU, emit=self.events.append, pool=pool)
        moves = MOVES if self.envs.envs[0].task.name == "spirals" else {}
        for step in range(STEPS):
            views = self.envs.views()
            self.envs.advance(views, [moves.get(step, WAIT)] * len(views), step)
            if changed and step == 3:
                self.envs.envs[0].begin_episode()
                self.envs.envs[1].training.prune("s0", Point(step, 1), "decision", "governor")
                with torch.no_grad():
                    self.envs.envs[1].training.host.head.bias.zero_()  # type: ignore[union-attr]

    def state(self) -> tuple[list[str], list[dict[str, list[float]]]]:
        tensors = [{name: t.flatten().tolist() for name, t in env.training.all_tensors().items()} for env in self.envs.envs]
        return [repr(event) for event in self.events], tensors


@pytest.mark.parametrize("pool", [LoopPool, StackedPool])
def test_the_bytes_are_those_of_one_process(pool: type[HostPool]) -> None:
    workers = WorkerPool(plan(pool), 2, together=pool is StackedPool)
    shared, alone = Played(workers), Played(pool())
    workers.close()
    assert shared.state() == alone.state()
    assert [env.facts() for env in shared.envs.envs] == [env.facts() for env in alone.envs.envs]


def test_hosts_with_running_statistics_go_to_and_fro_as_well() -> None:
    workers = WorkerPool(plan(task="digits"), 2, together=False)
    shared, alone = Played(workers, TASKS["digits"](), changed=False), Played(LoopPool(), TASKS["digits"](), changed=False)
    workers.close()
    assert shared.state() == alone.state()


def test_so_do_hosts_of_a_type_that_numpy_does_not_know() -> None:
    task = replace(TASKS["spirals"](), build_host=halved)
    workers = WorkerPool(replace(plan(), task=task), 2, together=False)
    shared, alone = Played(workers, task, changed=False), Played(LoopPool(), task, changed=False)
    workers.close()
    assert shared.state() == alone.state()
    assert {tensor.dtype for tensor in shared.envs.envs[0].training.host.seed_tensors("s0").values()} == {torch.bfloat16}


def test_a_worker_that_dies_is_a_typed_error_and_no_environment_has_changed(workers: WorkerPool) -> None:
    envs = VectorEnv(TASKS["spirals"](), CONFIG, ENVS, 0, CPU, pool=workers)
    envs.advance(envs.views(), [WAIT] * ENVS, 0)
    before = [env.course.step for env in envs.envs]
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, signal.SIGKILL)
    with pytest.raises(WorkerLost, match=r"worker \d ended in the middle of a step, exit code -9"):
        envs.advance(envs.views(), [WAIT] * ENVS, 1)
    assert [env.course.step for env in envs.envs] == before


def test_no_environment_has_changed_where_another_had_answered_before_the_worker_died() -> None:
    workers = WorkerPool(plan(Dying), 1, together=False)
    envs = VectorEnv(TASKS["spirals"](), CONFIG, 2, 0, CPU, pool=workers)
    envs.advance(envs.views(), [WAIT] * 2, 0)
    before = [(repr(env.facts()), {name: tensor.tolist() for name, tensor in env.training.all_tensors().items()}) for env in envs.envs]
    with pytest.raises(WorkerLost, match="worker 0 ended in the middle of a step, exit code -9"):
        envs.advance(envs.views(), [WAIT] * 2, 1)
    envs.close()
    after = [(repr(env.facts()), {name: tensor.tolist() for name, tensor in env.training.all_tensors().items()}) for env in envs.envs]
    assert after == before


def test_a_worker_that_was_dead_before_the_step_is_lost_as_well(workers: WorkerPool) -> None:
    envs = VectorEnv(TASKS["spirals"](), CONFIG, ENVS, 0, CPU, pool=workers)
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    with pytest.raises(WorkerLost, match=r"worker 0 ended in the middle of a step, exit code -9") as lost:
        envs.advance(envs.views(), [WAIT] * ENVS, 0)
    # It is known when it is asked, and not when it is listened to.
    assert isinstance(lost.value.__cause__, BrokenPipeError)


def test_an_error_that_nobody_has_foreseen_ends_the_worker() -> None:
    workers = WorkerPool(plan(Raising), 1, together=False)
    envs = VectorEnv(TASKS["spirals"](), CONFIG, 1, 0, CPU, pool=workers)
    with pytest.raises(WorkerLost, match="worker 0 ended in the middle of a step, exit code 1"):
        envs.advance(envs.views(), [WAIT], 0)
    envs.close()


def test_a_worker_that_does_not_end_is_killed(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "PATIENCE_S", 0.1)
    children = multiprocessing.active_children()
    os.kill(children[0].pid or 0, signal.SIGSTOP)
    workers.close()
    try:
        assert children[0].exitcode == -signal.SIGKILL
    finally:
        children[0].kill()


def test_workers_have_as_many_threads_as_they_are_told() -> None:
    threads = torch.get_num_threads() + 1
    workers = WorkerPool(replace(plan(Counting), threads=threads), 1, together=False)
    envs = VectorEnv(TASKS["spirals"](), CONFIG, 1, 0, CPU, pool=workers)
    assert envs.advance(envs.views(), [WAIT], 0) == {0: Broken(f"{threads} threads")}
    envs.close()


def test_workers_do_not_hear_an_interruption_and_end_with_the_pool(workers: WorkerPool) -> None:
    envs = VectorEnv(TASKS["spirals"](), CONFIG, ENVS, 0, CPU, pool=workers)
    envs.advance(envs.views(), [WAIT] * ENVS, 0)
    children = multiprocessing.active_children()
    assert len(children) == 2
    for child in children:
        os.kill(child.pid or 0, signal.SIGINT)
    assert all(isinstance(came, Outcome) for came in envs.advance(envs.views(), [WAIT] * ENVS, 1).values())
    envs.close()
    assert multiprocessing.active_children() == []
    assert {child.exitcode for child in children} == {0}


ORPHANS = """
import multiprocessing, os, signal, sys
from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig
from tolaria.env.pool import LoopPool
from tolaria.env.worker_pool import Plan, WorkerPool
from tolaria.tasks import TASKS

if __name__ == "__main__":
    pool = WorkerPool(Plan(TASKS["spirals"](), EnvConfig(2, TrainingConfig()), 0, LoopPool, 1), 2, together=False)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_whoever_started_them_is_killed() -> None:
    killed = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, text=True, check=False)
    pids = [int(pid) for pid in killed.stdout.split()]
    assert (killed.returncode, len(pids)) == (-signal.SIGKILL, 2)
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, timeout=60)[1] == []


def test_a_mistake_in_a_worker_is_a_mistake_here() -> None:
    here, there = multiprocessing.Pipe()
    # In a thread, which is not asked to leave interruptions alone.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signal, "signal", lambda *_: None)
        served = threading.Thread(target=serve, args=(there, pickle.dumps(plan(Failing))))
        served.start()
        env = GrowthEnv(TASKS["spirals"](), CONFIG)
        here.send([asked_of(Decided(env, WAIT, Point(0, 0)))])
        assert here.recv() == Mistaken("in a worker: AssertionError('ours')")
        here.close()
        served.join()


def test_whoever_is_told_of_a_mistake_stops() -> None:
    here, there = multiprocessing.Pipe()
    there.send(Mistaken("in a worker: AssertionError('ours')"))
    with pytest.raises(AssertionError, match="in a worker: AssertionError"):
        WorkerPool(plan(), 0, together=False)._received(here)


def test_a_task_that_no_process_can_be_handed_is_refused() -> None:
    task = replace(TASKS["spirals"](), build_host=lambda seed: TASKS["spirals"]().build_host(seed))
    with pytest.raises(ConfigError, match="1, because the task cannot be handed to a process"):
        WorkerPool(replace(plan(), task=task), 2, together=False)
