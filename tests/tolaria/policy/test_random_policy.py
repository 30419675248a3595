from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.lifecycle.gates import refusal
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.random_policy import RandomPolicy
from tolaria.policy.view import View

SPACE = ActionSpace(("s0", "s1"), ("norm", "mlp"))


def test_every_decision_is_legal(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None)
    @given(any_view, st.integers(0, 1000))
    def holds(view: View, seed: int) -> None:
        action = RandomPolicy(SPACE, seed).decide(view)
        assert refusal(view.slots, action.op, action.slot, view.gates) is None

    holds()


def test_ops_are_equally_likely_and_then_slots(make_view: Callable[..., View]) -> None:
    controller = RandomPolicy(SPACE, seed=1)
    drawn = Counter((action.op.value, action.slot) for action in (controller.decide(make_view()) for _ in range(4000)))
    assert abs(drawn["wait", ""] / 4000 - 0.5) < 0.03
    assert abs(drawn["germinate", "s1"] / 4000 - 0.25) < 0.03


def test_environments_draw_from_streams_of_their_own(make_view: Callable[..., View]) -> None:
    together, alone = RandomPolicy(SPACE, seed=1), RandomPolicy(SPACE, seed=1)
    both = [together.act([make_view(env=0), make_view(env=1)])[1].action for _ in range(10)]
    assert both == [alone.act([make_view(env=1)])[0].action for _ in range(10)]


def test_a_restored_policy_draws_on(make_view: Callable[..., View]) -> None:
    controller, other = RandomPolicy(SPACE, seed=1), RandomPolicy(SPACE, seed=1)
    for _ in range(7):
        controller.decide(make_view())
    other.restore({}, controller.facts())
    assert [controller.decide(make_view()) for _ in range(10)] == [other.decide(make_view()) for _ in range(10)]
