from collections.abc import Callable

import torch

from tolaria.lifecycle.action import Action, Op
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.demonstrating import DemonstratingPolicy
from tolaria.policy.heuristic import HeuristicConfig, HeuristicPolicy
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observe
from tolaria.policy.view import View

SPACE = ActionSpace(("s0", "s1"), ("norm", "mlp"))
STATE = (torch.full((3, 4), 0.5), torch.zeros(3, 4))
TEACHER = HeuristicPolicy(HeuristicConfig())


def test_a_decision_is_the_teachers_and_its_record_says_so(make_view: Callable[..., View]) -> None:
    view = make_view(episode_step=9)
    (choice,) = DemonstratingPolicy(TEACHER, SPACE, STATE).act([view])
    assert choice.action == TEACHER.decide(view)
    assert choice.action.op is Op.GERMINATE
    record = choice.record
    assert record is not None
    assert SPACE.decode(record.indices.tolist()) == choice.action
    assert torch.equal(record.observation, torch.from_numpy(observe(view)))
    assert torch.equal(record.mask, torch.from_numpy(masks_of(view).flat))
    assert (record.forced, record.log_prob, record.value) == (False, 0.0, 0.0)


def test_the_state_it_begins_with_is_a_copy(make_view: Callable[..., View]) -> None:
    controller = DemonstratingPolicy(TEACHER, SPACE, STATE)
    controller.recurrent_state()[0].zero_()
    assert torch.equal(controller.recurrent_state()[0], STATE[0])
    assert controller.decide(make_view()) == Action()
