"""A loop in a package of somebody else's, which is written here."""

from pathlib import Path

import pytest

from firedrill.runner.loops import train_loop
from firedrill.subjects.drill import Drill
from firedrill.subjects.loop import NoLoop, Setup
from firedrill.subjects.own_loop import built
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunFinished

SOURCE = """
import torch

class Loop:
    scaler = None
    chance_loss = 0.7

    def __init__(self, seed, guarded):
        torch.manual_seed(seed)
        self.guarded = guarded
        self.model = torch.nn.Linear(2, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def batch(self):
        return torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)

    def loss(self, inputs, targets):
        return torch.nn.functional.cross_entropy(self.model(inputs), targets)

    def backward(self, loss):
        self.optimizer.zero_grad()
        loss.backward()

    def step(self, loss):
        self.optimizer.step()

    def validate(self):
        return self.loss(*self.batch()).item(), 1.0

def factory(*, seed, device, guarded, emit):
    return Loop(seed, guarded)

def half(*, seed, device, guarded, emit):
    loop = Loop(seed, guarded)
    del loop.optimizer
    return loop

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the module, importable from where the command is given."""
    name = "loops_of_a_test"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mine.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{name}.mine"


def setup(factory: str, mechanism: str = "own") -> Setup:
    return Setup(seed=1, device="cpu", steps=4, mechanism=mechanism, factory=factory)


def test_a_loop_of_somebody_elses_is_trained(module: str) -> None:
    history = History()
    train_loop("loop", setup(f"{module}:factory"), history, NO_TAPS)
    assert history.events[-1] == RunFinished(history.events[-1].at, (1.0,))


@pytest.mark.parametrize(("mechanism", "guarded"), [("own", True), ("none", False)])
def test_it_is_told_whether_it_is_to_be_guarded(module: str, mechanism: str, guarded: bool) -> None:
    loop = built(Drill(setup(f"{module}:factory", mechanism), History(), NO_TAPS))
    assert vars(loop)["guarded"] is guarded


def test_what_lacks_a_member_is_no_loop_and_the_member_is_named(module: str) -> None:
    with pytest.raises(NoLoop, match=r"half returned a Loop without optimizer$"):
        train_loop("loop", setup(f"{module}:half"), History(), NO_TAPS)


@pytest.mark.parametrize("name", ["number", "nothing"])
def test_what_cannot_be_called_is_no_factory(module: str, name: str) -> None:
    with pytest.raises(NoLoop, match=f"has no {name} that could be called"):
        train_loop("loop", setup(f"{module}:{name}"), History(), NO_TAPS)
