import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.governor.arena import Arena, layout_of
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Outcome, watch
from tolaria.integrations.vault import Vault
from tolaria.telemetry.run_events import StorageFailed
from tolaria.train import checkpoint

SRC = Path(__file__).parents[3] / "src"
New = Callable[..., Any]

# A script as a user writes it: it goes on where its snapshots end, and every step has its own data. Killed before a step.
SCRIPT = """
import os, signal
from pathlib import Path
import torch
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import watch

def train(folder, killed_before=-1):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    guard = watch(model, optimizer, GovernorConfig(snapshot_every=4), chance_loss=3.0, scheduler=scheduler)
    begun = guard.persist(Path(folder))
    for step in range(begun, 20):
        if step == killed_before:
            os.kill(os.getpid(), signal.SIGKILL)
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        guard.after_step(loss)
    guard.finish()
    state = optimizer.state_dict()["state"]
    tensors = [*model.state_dict().values(), *(fields[name] for fields in state.values() for name in sorted(fields))]
    return begun, [tensor.tolist() for tensor in tensors], scheduler.state_dict()
"""


def train() -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(SCRIPT, names)
    made: Callable[..., Any] = names["train"]
    return made


def persisted(loop: Any, folder: Path) -> Any:
    """The loop under a guard whose snapshots are stored."""
    parts = {"scheduler": loop.scheduler, "scaler": loop.scaler, "ema": loop.ema, "emit": loop.events.append}
    loop.guard = watch(loop.model, loop.optimizer, loop.config, chance_loss=1.0986, **parts)
    assert loop.guard.persist(folder) == loop.guard.steps
    return loop


def stored(folder: Path) -> list[str]:
    return [path.name for path in checkpoint.places(folder)]


def left(new_loop: New, folder: Path, steps: int = 9, **settings: Any) -> Any:
    """A loop of some steps whose process is gone; snapshots are trusted a step after they were taken."""
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=1, **settings), folder)
    loop.run(steps)
    loop.guard.finish()
    return loop


def test_a_loop_that_is_killed_goes_on_in_another_process_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = train()(tmp_path / "whole")
    env = os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"{SCRIPT}\nimport sys\ntrain(sys.argv[1], 17)", str(tmp_path / "killed")]
    assert subprocess.run(command, env=env, capture_output=True, timeout=120, check=False).returncode == -signal.SIGKILL
    resumed = train()(tmp_path / "killed")
    # Taken after 12 steps, and trusted three healthy ones later.
    assert (whole[0], resumed[0]) == (0, 12)
    assert resumed[1:] == whole[1:]


def test_there_is_something_to_go_on_from_before_the_first_step_and_two_are_kept(new_loop: New, tmp_path: Path) -> None:
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=1), tmp_path)
    assert stored(tmp_path) == ["step-00000000"]
    loop.run(9)
    assert stored(tmp_path) == ["step-00000003", "step-00000006"]


def test_a_snapshot_that_is_not_yet_trusted_is_not_stored(new_loop: New, tmp_path: Path) -> None:
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=3), tmp_path)
    loop.run(5)
    assert stored(tmp_path) == ["step-00000000"]
    loop.run(1)
    assert stored(tmp_path) == ["step-00000000", "step-00000003"]


def test_everything_that_a_loop_has_comes_back_byte_for_byte(new_loop: New, tmp_path: Path) -> None:
    loop = left(new_loop, tmp_path / "guard", 7)
    same = new_loop()
    same.run(6)
    again = persisted(new_loop(guarded=False), tmp_path / "guard")
    assert again.guard.steps == 6
    assert again.state() == same.state()
    assert again.state() != loop.state()


def test_a_damaged_newest_gives_way_to_the_older_with_a_warning(new_loop: New, tmp_path: Path) -> None:
    left(new_loop, tmp_path)
    (tmp_path / "step-00000006" / "tensors.safetensors").write_bytes(b"\x80\x04N.")
    with pytest.warns(RuntimeWarning, match=r"an older snapshot was restored; .*step-00000006: tensors.safetensors has 4 bytes"):
        again = persisted(new_loop(guarded=False), tmp_path)
    assert again.guard.steps == 3


def test_after_rollbacks_newer_snapshots_are_still_the_newer_ones(new_loop: New, tmp_path: Path) -> None:
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=1, budget_window=1), tmp_path)
    for _ in range(3):
        loop.run(5)
        assert loop.step(factor=float("nan")).outcome is Outcome.ROLLED_BACK
    loop.run(5)
    steps, known = loop.guard.steps, stored(tmp_path)
    loop.guard.finish()
    again = persisted(new_loop(guarded=False, snapshot_every=3, probation=1), tmp_path)
    assert 0 < again.guard.steps <= steps < 20
    again.run(8)
    assert stored(tmp_path)[0] > known[0]
    assert stored(tmp_path)[1] > known[1]


def test_a_cut_of_the_learning_rate_outlives_the_process(new_loop: New, tmp_path: Path) -> None:
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=1), tmp_path)
    loop.guard._state.ease(0.5, 0, 0)
    loop.run(5)
    rates = [group["lr"] for group in loop.optimizer.param_groups]
    loop.guard.finish()
    again = persisted(new_loop(guarded=False), tmp_path)
    assert [group["lr"] for group in again.optimizer.param_groups] == rates
    assert again.step().rate_scale == 0.5


def test_a_disk_that_is_full_costs_no_step_and_is_told_of(new_loop: New, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = persisted(new_loop(guarded=False, snapshot_every=3, probation=1), tmp_path)

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as struck:
        struck.setattr(os, "write", full)
        with pytest.warns(RuntimeWarning, match="the snapshot of step 3 was not stored: OSError: .* No space left"):
            loop.run(4)
    assert sum(isinstance(event, StorageFailed) for event in loop.events) == 1
    assert stored(tmp_path) == ["step-00000000"]
    loop.run(3)
    assert stored(tmp_path) == ["step-00000000", "step-00000006"]


def test_one_folder_is_one_loops(new_loop: New, tmp_path: Path) -> None:
    loop = persisted(new_loop(guarded=False), tmp_path)
    with pytest.raises(ConfigError, match="a folder that no other process is writing into"):
        persisted(new_loop(guarded=False), tmp_path)
    loop.guard.finish()
    persisted(new_loop(guarded=False), tmp_path)


def test_the_snapshots_of_another_model_are_refused_and_left_alone(new_loop: New, tmp_path: Path) -> None:
    left(new_loop, tmp_path)
    known = stored(tmp_path)
    model = torch.nn.Linear(2, 2)
    before = model.weight.tolist()
    with pytest.raises(CheckpointDamaged, match=r"step-00000006: it does not fit the model: .*step-00000003"):
        watch(model, torch.optim.SGD(model.parameters(), lr=0.1), chance_loss=1.0).persist(tmp_path)
    assert (stored(tmp_path), model.weight.tolist()) == (known, before)


class Small:
    """A layer, trained for a step with momentum; its parts are as they are asked for."""

    def __init__(self, trainer: type[torch.optim.Optimizer] = torch.optim.SGD, **parts: Any) -> None:
        self.model = torch.nn.Linear(2, 2)
        torch.nn.init.constant_(self.model.weight, parts.pop("weight", 1.0))
        options = {"momentum": 0.9} if trainer is torch.optim.SGD else {}
        self.optimizer = trainer(self.model.parameters(), lr=0.1, **options)  # type: ignore[call-arg]  # Every one takes a rate.
        if parts.pop("scheduled", False):
            parts["scheduler"] = torch.optim.lr_scheduler.StepLR(self.optimizer, 2)
        self.guard = watch(self.model, self.optimizer, GovernorConfig(snapshot_every=1, probation=0), chance_loss=9.0, **parts)

    def step(self) -> None:
        self.optimizer.zero_grad()
        loss = self.model(torch.ones(1, 2)).square().sum()
        loss.backward()
        self.optimizer.step()
        self.guard.after_step(loss)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ({"scheduled": True}, {}, r"schedulers: found \[\['StepLR'\]\], expected \[\]"),
        ({}, {"scaler": torch.amp.GradScaler("cpu")}, "scaler: found None, expected enabled"),
        ({}, {"trainer": torch.optim.Adam}, r"optimizers: found \['SGD'\], expected \['Adam'\]"),
        ({"trainer": torch.optim.Adam}, {}, r"optimizers: found \['Adam'\], expected \['SGD'\]"),
    ],
)
def test_a_snapshot_of_another_loop_is_refused_before_anything_is_written(
    was: dict[str, Any], now: dict[str, Any], said: str, tmp_path: Path
) -> None:
    stored_from = Small(**was)
    stored_from.guard.persist(tmp_path)
    stored_from.step()
    stored_from.guard.finish()
    other = Small(**now, weight=7.0)
    with pytest.raises(CheckpointDamaged, match=said):
        other.guard.persist(tmp_path)
    assert other.model.weight.tolist() == [[7.0, 7.0], [7.0, 7.0]]
    other.step()
    assert {*other.optimizer.param_groups[0]} == {*Small(**now).optimizer.param_groups[0]}


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("model/head.bias", lambda tensor: tensor.double(), "changed ['model/head.bias']"),
        ("model/head.bias", lambda tensor: tensor.reshape(3, 1), "changed ['model/head.bias']"),
        ("model/head.bias", lambda tensor: tensor.fill_(float("nan")), "holds NaN or Inf in model/head.bias"),
        ("model/norm.running_var", lambda tensor: tensor.fill_(float("inf")), "holds NaN or Inf in model/norm.running_var"),
        ("optimizer/model/head.bias/exp_avg", lambda tensor: tensor[:2], "belongs to nothing"),
    ],
)
def test_a_snapshot_that_was_made_up_is_refused_although_every_digest_is_right(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], said: str, new_loop: New, tmp_path: Path
) -> None:
    left(new_loop, tmp_path)
    tensors, facts = checkpoint.read(tmp_path / "step-00000006")
    tensors[name] = change(tensors[name])
    arena = Arena.allocate(layout_of(tensors), torch.device("cpu"))
    for other, tensor in tensors.items():
        arena.views[other].copy_(tensor)
    made_up = facts | {"digest": arena.digest(facts["facts"])}
    checkpoint.write(tmp_path, 6, tensors, json.loads(json.dumps(made_up)))
    with pytest.warns(RuntimeWarning) as warned:
        again = persisted(new_loop(guarded=False), tmp_path)
    assert said in str(warned[0].message)
    assert again.guard.steps == 3


def test_a_loop_that_has_begun_is_not_put_back(new_loop: New, tmp_path: Path) -> None:
    loop = new_loop()
    loop.run(1)
    with pytest.raises(ConfigError, match="a guard that has not seen a step"):
        loop.guard.persist(tmp_path)


def test_a_folder_is_let_go_of(tmp_path: Path) -> None:
    held = Vault(tmp_path)
    with pytest.raises(ConfigError, match="no other process"):
        Vault(tmp_path)
    held.close()
    Vault(tmp_path).close()


# What compiling imports warns of itself.
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
@pytest.mark.parametrize("compiled_first", [True, False])
def test_a_snapshot_that_was_stored_fits_the_same_model_compiled(tmp_path: Path, compiled_first: bool) -> None:
    """Compiling gives every tensor another name; nothing is called here, so nothing is really compiled."""
    weights = []
    for compiled in (compiled_first, not compiled_first):
        layer = torch.nn.Linear(2, 2)
        model = torch.compile(layer) if compiled else layer
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        guard = watch(model, optimizer, GovernorConfig(snapshot_every=1, probation=0), chance_loss=1.0)
        assert guard.persist(tmp_path) == len(weights)
        guard.after_step(0.5)
        guard.finish()
        weights.append(layer.weight.detach().clone())
    assert torch.equal(*weights)
