"""The pool that steps environments in processes of their own, on the same bits as one process would.

An environment's whole state goes to a worker with what is to be done in it, and comes back with what came of it: a checkpoint
in memory, by the same capsule. So it does not matter which worker steps which environment, what was done to a host between
two steps goes along by itself, and the environments that everybody else sees are always the true ones.

A worker that dies takes nothing with it: the step ends with `WorkerLost`, and every environment stands where it stood. Workers
do not hear Ctrl-C, and end when whoever started them has closed the pool, or is gone.
"""

import multiprocessing
import pickle
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tolaria.env.growth_env import Broken, EnvConfig, GrowthEnv, Outcome
from tolaria.env.pool import Decided, HostPool
from tolaria.errors import ConfigError, WorkerLost
from tolaria.lifecycle.action import Action
from tolaria.seams import NO_TAPS
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point

# Seconds in which a worker that was told to end does so.
PATIENCE_S = 5.0
# NumPy does not know every type, but one of each size in bytes.
KNOWN = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}


@dataclass(frozen=True, slots=True)
class State:
    """All of an environment: tensors by name, as arrays of the same bytes and with their types, and what is no tensor."""

    tensors: Mapping[str, tuple[npt.NDArray[Any], torch.dtype]]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done in one environment."""

    env: int
    action: Action
    at: Point
    state: State


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it, what it told, and how the environment stands now."""

    outcome: Outcome | Broken
    events: tuple[Event, ...]
    state: State


@dataclass(frozen=True, slots=True)
class Mistaken:
    """An assertion failed in a worker."""

    words: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What environments are made of, everywhere alike."""

    task: Task
    config: EnvConfig
    seed: int
    pool: type[HostPool]
    threads: int


class WorkerPool(HostPool):
    """`workers` processes. Environments go to whoever is free, one at a time, or in equal parts where the pool stacks them."""

    def __init__(self, plan: Plan, workers: int, together: bool) -> None:
        self._together = together
        try:
            packed = pickle.dumps(plan)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError("workers", workers, f"1, because the task cannot be handed to a process: {error}") from error
        # One that forks has loaded torch and done nothing else.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._workers: list[tuple[BaseProcess, Connection]] = []
        for number in range(workers):
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, packed), name=f"worker {number}", daemon=True)
            process.start()
            there.close()
            self._workers.append((process, here))

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        """One decision step of each; what they told is told in their order."""
        parts = self._parts(len(decided))
        came: dict[int, Came] = {}
        idle = [connection for _, connection in self._workers]
        busy: dict[Connection, Sequence[int]] = {}
        while parts or busy:
            while parts and idle:
                connection, part = idle.pop(0), parts.pop(0)
                self._send(connection, [asked_of(decided[place]) for place in part])
                busy[connection] = part
            ready = wait(list(busy))
            for connection in [each for each in busy if each in ready]:
                came |= dict(zip(busy.pop(connection), self._received(connection), strict=True))
                idle.append(connection)
        # Only now, because until the last of them has answered one may be lost.
        for place, each in enumerate(decided):
            put(each.env, came[place].state)
        for place, each in enumerate(decided):
            for event in came[place].events:
                each.env.emit(event)
        return [came[place].outcome for place in range(len(decided))]

    def close(self) -> None:
        """Let all workers end."""
        for _, connection in self._workers:
            connection.close()
        for process, _ in self._workers:
            process.join(PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers = []

    def _parts(self, number: int) -> list[Sequence[int]]:
        if not self._together:
            return [(place,) for place in range(number)]
        shares = [range(first, number, len(self._workers)) for first in range(len(self._workers))]
        return [share for share in shares if len(share)]

    def _send(self, connection: Connection, asked: Sequence[Asked]) -> None:
        try:
            connection.send(asked)
        except OSError as error:
            raise self._lost(connection) from error

    def _received(self, connection: Connection) -> Sequence[Came]:
        try:
            answer: Sequence[Came] | Mistaken = connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost(connection) from error
        assert not isinstance(answer, Mistaken), answer.words
        return answer

    def _lost(self, connection: Connection) -> WorkerLost:
        process = next(process for process, other in self._workers if other is connection)
        process.join(PATIENCE_S)
        return WorkerLost(f"{process.name} ended in the middle of a step, exit code {process.exitcode}")


def serve(connection: Connection, packed: bytes) -> None:
    """In a worker: do what is asked until nobody can ask any more."""
    # Whoever started it decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan: Plan = pickle.loads(packed)  # noqa: S301 - it comes from the process that started this one
    torch.set_num_threads(plan.threads)
    pool = plan.pool()
    envs: dict[int, tuple[GrowthEnv, list[Event]]] = {}
    while True:
        try:
            asked: Sequence[Asked] = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Sequence[Came] | Mistaken = stepped(plan, pool, envs, asked)
        except AssertionError as error:
            answer = Mistaken(f"in a worker: {error!r}")
        try:
            connection.send(answer)
        except OSError:
            return


def stepped(plan: Plan, pool: HostPool, envs: dict[int, tuple[GrowthEnv, list[Event]]], asked: Sequence[Asked]) -> list[Came]:
    """One step of these environments, which are built when they are first asked for."""
    for each in asked:
        if each.env not in envs:
            events: list[Event] = []
            env = GrowthEnv(plan.task, plan.config, plan.seed, each.env, torch.device("cpu"), NO_TAPS, events.append)
            envs[each.env] = (env, events)
        put(envs[each.env][0], each.state)
        envs[each.env][1].clear()
    outcomes = pool.advance([Decided(envs[each.env][0], each.action, each.at) for each in asked])
    return [Came(outcome, tuple(envs[each.env][1]), state_of(envs[each.env][0])) for each, outcome in zip(asked, outcomes, strict=True)]


def asked_of(decided: Decided) -> Asked:
    """The same for a worker."""
    return Asked(decided.env.env, decided.action, decided.at, state_of(decided.env))


def state_of(env: GrowthEnv) -> State:
    """An environment as it stands; the arrays are its own memory and are copied on their way."""
    tensors = {name: tensor.detach() for name, tensor in env.training.all_tensors().items()}
    return State({name: (tensor.view(KNOWN[tensor.itemsize]).numpy(), tensor.dtype) for name, tensor in tensors.items()}, env.facts())


def put(env: GrowthEnv, state: State) -> None:
    """Let an environment stand as it is told."""
    tensors = {name: torch.from_numpy(np.asarray(array)).view(dtype) for name, (array, dtype) in state.tensors.items()}
    if env.episode == state.facts["episode"]:
        env.training.resume(tensors, state.facts["training"])
    else:
        env.resume(tensors, dict(state.facts))
