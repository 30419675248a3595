"""What the tests of controllers share: views made by hand and by hypothesis."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from hypothesis import strategies as st

from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import OCCUPIED, Stage
from tolaria.policy.view import View
from tolaria.vitals import Vitals

BLUEPRINTS = ("norm", "mlp")

# Whatever a sensor can say, broken ones included.
READINGS = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.sampled_from([1e38, -1e38, 1e308, float("nan"), float("inf")])
RAMPS = st.builds(
    lambda target, total, done: Ramp(target=target, steps_total=total, steps_done=min(done, total)),
    st.floats(0.0, 1.0), st.integers(0, 8), st.integers(0, 8),
)  # fmt: skip
STATES = st.builds(
    lambda stage, **rest: SlotState(slot="", stage=stage, blueprint="mlp" if stage in OCCUPIED else None, **rest),
    stage=st.sampled_from(Stage),
    ramp=RAMPS,
    age=st.integers(0, 5),
    steps_in_stage=st.integers(0, 5),
    contribution=st.none() | READINGS,
    contribution_error=st.none() | READINGS,
    magnitude=st.none() | READINGS,
)
VITALS = st.builds(Vitals, st.integers(0, 9), READINGS, READINGS, READINGS, st.none() | READINGS)
GATES = st.builds(GateConfig, training_steps_min=st.integers(0, 4), prune_age_min=st.integers(0, 4), seeds_max=st.integers(1, 3))


def build_view(states: Sequence[SlotState] = (SlotState(slot="s0"), SlotState(slot="s1")), env: int = 0, **rest: object) -> View:
    """A view at the beginning of an episode of 30 steps, with two empty slots unless other states are given."""
    slots = {state.slot: state for state in states}
    facts: dict[str, object] = {"episode_step": 0, "episode_steps": 30, "chance_loss": 2.0, "gates": GateConfig(), "host_parameters": 100}
    return View(env=env, slots=slots, blueprints=BLUEPRINTS, **(facts | rest))  # type: ignore[arg-type]  # any of the view's fields


@st.composite
def views(draw: st.DrawFn) -> View:
    """Any view of two slots."""
    states = [SlotState(**{**_fields(draw(STATES)), "slot": name}) for name in ("s0", "s1")]
    return build_view(
        states,
        gates=draw(GATES),
        recent=tuple(draw(st.lists(VITALS, max_size=5))),
        chance_loss=draw(READINGS | st.just(2.3)),
        episode_step=draw(st.integers(0, 40)),
        episode_steps=draw(st.integers(0, 40)),
        seed_parameters=draw(st.integers(0, 1000)),
    )


def _fields(state: SlotState) -> dict[str, object]:
    return {name: getattr(state, name) for name in SlotState.__slots__}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices are slower on several threads, and much slower where these have to share a core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    return build_view


@pytest.fixture(scope="session")
def any_view() -> st.SearchStrategy[View]:
    return views()
