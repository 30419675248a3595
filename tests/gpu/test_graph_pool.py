"""Replayed graphs on a real device: the loop's results, without asking the device, under the governor's promises."""

import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pools.hosts import Does, Gradients, Played, alike, assert_equal, collapsing, growing, waits

from tolaria.env.growth_env import Outcome
from tolaria.env.vector_env import VectorEnv
from tolaria.lifecycle.seed import Blend
from tolaria.seams import WEIGHTS_UPDATED

pytestmark = pytest.mark.gpu

# cuBLAS reads it when CUDA starts, and nothing has started CUDA while tests are collected.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

DEVICE = torch.device("cuda")
SOME = (0, 1, 4, 8, 9)
# Of kinds of seeds, and of hosts.
CONV = [("conv_norm", Blend.ADD), ("squeeze_excite", Blend.MULTIPLY), ("depthwise", Blend.GATE), ("conv_heavy", Blend.ADD)]
TEXT = [("layer_norm", Blend.ADD), ("lora", Blend.MULTIPLY), ("feedforward", Blend.GATE), ("causal_attention", Blend.ADD)]
SETTINGS: dict[str, dict[str, Any]] = {
    "shadow": {},
    "regression": {"seed_objective": "regression"},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "gate": {"gate": True},
    "gate and adamw": {"gate": True, "optimizer": "adamw", "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.cuda.set_sync_debug_mode("default")


def played(backend: str, **more: Any) -> Played:
    return Played(backend, **({"only": SOME, "device": DEVICE} | more))


def assert_close(graphs: Played, looped: Played, tolerance: float = 1e-5) -> None:
    for env in looped.only:
        mine, theirs = graphs.tensors(env), looped.tensors(env)
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].device == theirs[name].device, name
            torch.testing.assert_close(mine[name], theirs[name], atol=tolerance, rtol=tolerance, msg=f"{env} {name}")
        assert graphs.envs.envs[env].training.batches_stepped == looped.envs.envs[env].training.batches_stepped
    for key, outcome in looped.outcomes.items():
        found = graphs.outcomes[key]
        assert isinstance(outcome, Outcome), outcome
        assert isinstance(found, Outcome), found
        assert found.vitals.train_loss == pytest.approx(outcome.vitals.train_loss, abs=tolerance)


@pytest.mark.parametrize("what", SETTINGS)
def test_hosts_seeds_and_momentum_are_those_of_the_loop(what: str) -> None:
    assert_close(*(played(backend, settings=SETTINGS[what]) for backend in ("graphs", "loop")))


@pytest.mark.parametrize(("task", "kinds"), [("digits", CONV), ("pydoc_lm", TEXT)])
def test_so_are_those_of_other_families(task: str, kinds: list[tuple[str, Blend]]) -> None:
    # Rounding has many more sums to go through here.
    runs = [played(backend, task=task, moves=growing(kinds), only=(0, 1, 2, 3), steps=9) for backend in ("graphs", "loop")]
    assert_close(*runs, tolerance=1e-4)


def test_every_gradient_that_is_shown_is_that_of_the_loop() -> None:
    looped, graphs = Gradients(), Gradients()
    played("loop", taps=looped)
    played("graphs", taps=graphs)
    assert looped.kept.keys() == graphs.kept.keys()
    for key, found in looped.kept.items():
        assert found.keys() == graphs.kept[key].keys(), key
        for name, gradient in found.items():
            torch.testing.assert_close(graphs.kept[key][name], gradient, atol=1e-5, rtol=1e-5, msg=f"{key} {name}")


def test_the_same_run_has_the_same_bits_whoever_listens_and_whoever_else_is_trained() -> None:
    calm = played("graphs")
    assert_equal(played("graphs"), calm, SOME)
    assert_equal(played("graphs", taps=Gradients()), calm, SOME)
    assert_equal(played("graphs", only=(4,)), calm, (4,))


def test_one_host_that_is_lost_is_noticed_by_no_other() -> None:
    def fill(trainee: Any) -> Any:
        with torch.no_grad():
            trainee.host.head.weight.fill_(math.nan)
        return trainee

    struck = played("graphs", taps=Does(WEIGHTS_UPDATED, fill))
    assert_equal(struck, played("graphs"), (0, 4, 8, 9))
    assert any(bool(torch.isnan(tensor).any()) for tensor in struck.tensors(1).values())


def test_strengths_are_read_on_the_device_and_not_captured() -> None:
    assert_close(*(played(backend, moves=alike, steps=6) for backend in ("graphs", "loop")))


def test_batches_are_queued_without_asking_the_device() -> None:
    def ask_no_more(step: int, envs: VectorEnv) -> None:
        if step < 2:
            return
        pool: Any = envs._pool
        joins = [press.line.join for press in pool._presses]

        def joined() -> None:
            torch.cuda.set_sync_debug_mode("default")
            joins[0]()

        # From the first host that comes in until all streams are joined.
        pool._presses[0].line.join = joined
        begun = pool._begun

        def begin(member: Any) -> Any:
            torch.cuda.set_sync_debug_mode("error")
            return begun(member)

        pool._begun = begin

    graphs = played("graphs", moves=waits, steps=3, between=ask_no_more)
    assert all(isinstance(outcome, Outcome) for outcome in graphs.outcomes.values()), graphs.outcomes


@pytest.mark.parametrize("policy", ["reset", "reset_all", "restore"])
def test_training_goes_on_from_what_a_rollback_has_restored(policy: str) -> None:
    graphs, looped = (played(backend, only=(1, 2), between=collapsing(policy)) for backend in ("graphs", "loop"))
    assert_close(graphs, looped)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in graphs.tensors(1).values())
