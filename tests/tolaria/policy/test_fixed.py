from collections.abc import Callable

import pytest
import torch

from tolaria.lifecycle.action import WAIT, Action
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.view import View


class Waiting(FixedPolicy):
    def decide(self, view: View) -> Action:
        return WAIT


def test_nothing_is_recorded_expected_or_carried(make_view: Callable[..., View]) -> None:
    views = [make_view(env=0), make_view(env=1)]
    assert [(choice.action, choice.record) for choice in Waiting().act(views)] == [(WAIT, None), (WAIT, None)]
    assert Waiting().values(views) == [0.0, 0.0]
    assert Waiting().recurrent_state() is None


def test_the_state_of_another_controller_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Waiting().restore({"net.weight": torch.zeros(1)}, {})
