"""The same cell gives the same bytes wherever it runs, and a harness that strikes nothing leaves none behind."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from firedrill.faults.when import When
from firedrill.runner.cell import Harness, Recording
from firedrill.runner.inject import Injector
from firedrill.runner.observe import Observer
from firedrill.runner.plan import config_of
from firedrill.runner.result import CellResult
from firedrill.runner.run import run_cells
from firedrill.scenario.cell import Cell
from firedrill.scenario.scenario import PlannedFault
from firedrill.subjects.growth import tensors_of
from tolaria.seams import NO_TAPS
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.history import History
from tolaria.telemetry.kinds import EVENT_KINDS
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

CellOf = Callable[[str], Cell]
OWN_KINDS = tuple(EVENT_KINDS.values())


def bare(config: TrainConfig) -> Trainer:
    """A finished run at whose seams nobody listens."""
    trainer = Trainer.tapped(config, History(), NO_TAPS)
    assert trainer.train()
    return trainer


def armed(config: TrainConfig, faults: Sequence[PlannedFault] = (), twin_steps: int = 0) -> Trainer:
    """A finished run with the whole harness at its seams."""
    history = Recording()
    history.injector = Injector(faults, config.seed, history.emit)
    observer = Observer(history.emit, twin_steps)
    trainer = Trainer.tapped(config, history, Harness(history.injector, observer))
    observer.run = trainer.run
    assert trainer.train()
    return trainer


def own_events(trainer: Trainer, env: int | None = None) -> list[str]:
    """What the run itself told, of one environment or of all; as text, in which NaN equals itself."""
    mine = [event for event in trainer.run.history.events if isinstance(event, OWN_KINDS)]
    return [to_line(0, event) for event in mine if env is None or event.at.env == env]


def bits(trainer: Trainer) -> dict[str, bytes]:
    """Every tensor at the end: hosts, optimizers, controller."""
    named = {f"{env.env}/{name}": tensor for env in trainer.run.envs.envs for name, tensor in tensors_of(env.training).items()}
    named |= trainer.run.policy.tensors()
    return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in named.items()}


@pytest.mark.xdist_group("processes")
def test_processes_and_company_change_no_byte_of_a_history(cell_of: CellOf, judged: Callable[[Cell], CellResult]) -> None:
    cells = [cell_of(name) for name in ("nan-weight", "penalty")]
    together = run_cells(cells, 2, lambda _: None)
    alone = run_cells(cells, 1, lambda _: None)
    digests = [result.history_digest for result in together]
    assert digests == [result.history_digest for result in alone]
    assert digests[0] == judged(cells[0]).history_digest
    assert all(digests)
    assert digests[0] != digests[1]


@pytest.mark.parametrize("name", ["nan-weight", "penalty"])
def test_a_harness_without_faults_is_transparent_to_the_last_bit(name: str, cell_of: CellOf) -> None:
    config = config_of(cell_of(name))
    one, other = bare(config), armed(config, twin_steps=5)
    assert own_events(one) == own_events(other)
    assert bits(one) == bits(other)


def test_a_twin_that_walks_beside_a_run_does_not_disturb_it(cell_of: CellOf) -> None:
    cell = cell_of("nan-weight")
    one, other = (armed(config_of(cell), cell.scenario.faults, steps) for steps in (0, 5))
    assert own_events(one) == own_events(other)
    assert bits(one) == bits(other)


def test_no_hook_is_left(cell_of: CellOf) -> None:
    cell = cell_of("lobotomy")
    trainer = armed(config_of(cell), cell.scenario.faults, 5)
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    for env in trainer.run.envs.envs:
        left = [name for module in env.training.host.modules() for name in hooks if getattr(module, name)]
        assert left == []
        assert [name for name, parameter in env.training.host.named_parameters() if parameter._backward_hooks] == []
    everywhere = vars(torch.nn.modules.module)
    assert [name for name, hooked in everywhere.items() if name.startswith("_global_") and name.endswith("_hooks") and hooked] == []


def random_target(planned: PlannedFault) -> PlannedFault:
    """The same fault on a random element in every batch of several steps, so that it draws many numbers."""
    assert planned.target is not None
    assert planned.target.pick is not None
    pick = replace(planned.target.pick, index=None, count=3)
    return replace(planned, at=When(step=2, env=1, phase=planned.at.phase, for_steps=2), target=replace(planned.target, pick=pick))


def test_a_fault_shifts_no_random_stream_elsewhere(cell_of: CellOf) -> None:
    cell = cell_of("penalty")
    struck = [random_target(planned) for planned in cell.scenario.faults]
    one, other = bare(config_of(cell)), armed(config_of(cell), struck)
    assert own_events(one, env=1) != own_events(other, env=1)
    assert own_events(one, env=0) == own_events(other, env=0)
    streams = [{name: value for name, value in bits(run).items() if name.startswith("generator.")} for run in (one, other)]
    assert streams[0] == streams[1]


def global_streams() -> tuple[bytes, object, bytes]:
    """Where every generator stands that a module could reach without being handed it."""
    legacy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - it is what must stay as it is
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), legacy["key"].tobytes() + bytes([legacy["pos"] % 256])


def test_global_generators_are_not_touched(cell_of: CellOf) -> None:
    cell = cell_of("penalty")
    before = global_streams()
    armed(config_of(cell), cell.scenario.faults, 5)
    assert global_streams() == before
