"""What a guard refuses once it stands beside a loop, and what it says of it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import LoopParts
from tolaria.integrations.plain import Guard, Outcome, watch
from tolaria.integrations.readings import OneStepLate
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import SnapshotRefused
from tolaria.train import checkpoint

QUICK = GovernorConfig(snapshot_every=3, probation=1)


def watched(config: GovernorConfig = QUICK) -> tuple[torch.nn.Linear, torch.optim.Optimizer, Guard]:
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    return model, optimizer, watch(model, optimizer, config, chance_loss=2.0)


def run(guard: Guard, steps: int) -> None:
    for _ in range(steps):
        assert guard.after_step(1.0).outcome is Outcome.HEALTHY


# What the loop does to its parts.


def strange_group(model: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})


def other_weight(model: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    model.weight = torch.nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize("change", [strange_group, other_weight])
def test_a_parameter_that_the_model_does_not_have_any_more_is_named_as_at_the_beginning(
    change: Callable[[torch.nn.Linear, torch.optim.Optimizer], None],
) -> None:
    model, optimizer, guard = watched()
    change(model, optimizer)
    with pytest.raises(ConfigError, match=r"watch\.optimizer\.0: found '1 parameters that the model does not have'"):
        run(guard, 3)


def test_a_refused_snapshot_is_warned_of_once() -> None:
    model, optimizer, guard = watched()
    optimizer.state[model.weight]["rng"] = torch.Generator()
    with pytest.warns(RuntimeWarning, match=r"step 3: a snapshot was refused: ConfigError: .*found 'Generator'") as warned:
        run(guard, 9)
    assert len(warned) == 1


def test_reasons_that_differ_in_the_number_of_the_snapshot_are_one() -> None:
    """Those of snapshots that were refused on their way from a device."""
    *_, guard = watched()
    refused = [SnapshotRefused(Point(step), f"NotFinite: snapshot {step}: not finite: model/weight") for step in (3, 6)]
    with pytest.warns(RuntimeWarning, match="step 3: .*snapshot 3: not finite") as warned:
        [guard._emit(event) for event in refused]
    assert len(warned) == 1


# Losses.


@pytest.mark.parametrize(
    ("loss", "found"),
    [(None, "NoneType"), ([1.0], "list"), ("x", "str"), (1j, "complex"), (torch.tensor(1j), r"a tensor of torch\.complex64")],
)
def test_what_is_no_loss_is_refused_and_not_counted(loss: Any, found: str) -> None:
    *_, guard = watched()
    with pytest.raises(ConfigError, match=rf"guard\.after_step: found '{found}', expected the loss of the step"):
        guard.after_step(loss)
    assert (guard.steps, guard.after_step(1.0).step) == (0, 1)


@pytest.mark.parametrize("loss", [1, np.float32(1.0), np.array(1.0), torch.tensor([1.0, 1.0])])
def test_any_number_is_a_loss(loss: Any) -> None:
    assert watched()[-1].after_step(loss).outcome is Outcome.HEALTHY


# Folders.


def stored(folder: Path) -> list[str]:
    return [path.name for path in checkpoint.places(folder)]


def test_a_finished_guard_takes_no_step_and_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    *_, first = watched()
    first.persist(tmp_path)
    first.finish()
    *_, second = watched()
    second.persist(tmp_path)
    known = stored(tmp_path)
    with pytest.raises(ConfigError, match=r"guard\.after_step: found 'a guard that has finished'"):
        run(first, 9)
    assert (stored(tmp_path), first.steps) == (known, 0)
    first.finish()


def test_what_the_last_step_makes_trusted_is_stored_before_the_folder_is_let_go_of(tmp_path: Path) -> None:
    model = torch.nn.Linear(4, 4)
    parts = LoopParts(model, [torch.optim.SGD(model.parameters(), 0.01)])
    guard = Guard(parts, GovernorConfig(snapshot_every=1, probation=0), 2.0, OneStepLate(torch.device("cpu")))
    guard.persist(tmp_path)
    guard.after_step(1.0)
    guard.after_step(1.0)
    assert stored(tmp_path) == ["step-00000000"]
    guard.finish()
    assert stored(tmp_path) == ["step-00000000", "step-00000002"]
    watched()[-1].persist(tmp_path)


def test_a_folder_may_be_named_by_text(tmp_path: Path) -> None:
    watched()[-1].persist(str(tmp_path / "guard"))
    assert stored(tmp_path / "guard") == ["step-00000000"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"guard\.persist: found '.*file.*', expected a folder"):
        watched()[-1].persist(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_guard_that_was_refused_a_folder_does_not_write_into_it(tmp_path: Path) -> None:
    *_, other = watched()
    other.persist(tmp_path)
    other.finish()
    model = torch.nn.Linear(5, 5)
    guard = watch(model, torch.optim.SGD(model.parameters(), 0.01), QUICK, chance_loss=2.0)
    with pytest.raises(CheckpointDamaged) as refused:
        guard.persist(tmp_path)
    run(guard, 6)
    assert stored(tmp_path) == ["step-00000000"]
    # Nor does it hold it, as long as the error and all that it refers to may live.
    watched()[-1].persist(tmp_path)
    del refused


# What is watched.


def averages() -> dict[str, torch.Tensor]:
    return {"average": torch.eye(2).to_sparse()}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize(
    ("model", "ema", "said"),
    [
        (lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LazyLinear(2)), {}, r"watch\.model/1\.weight: found 'a lazy tensor"),
        (lambda: torch.nn.Linear(2, 2, device="meta"), {}, r"watch\.model/weight: found 'a tensor on the meta device'"),
        (lambda: torch.nn.Linear(2, 2), averages, r"watch\.ema/average: found 'a tensor of layout torch\.sparse_coo'"),
    ],
)
def test_a_tensor_that_cannot_be_copied_is_named(model: Callable[[], torch.nn.Module], ema: Any, said: str) -> None:
    made = model()
    with pytest.raises(ConfigError, match=said):
        watch(made, torch.optim.SGD(made.parameters(), 0.1), chance_loss=math.log(2), ema=ema() if ema else None)
