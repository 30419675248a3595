"""A controller whose decisions another one is to learn from: it records each as a learner would its own."""

from collections.abc import Sequence

import torch

from tolaria.lifecycle.action import Action
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observe
from tolaria.policy.policy import Choice, Record, RecurrentState
from tolaria.policy.view import View


class DemonstratingPolicy(FixedPolicy):
    """Decides as `teacher` does. `state` is what the learner begins every life with, [N, H] twice."""

    def __init__(self, teacher: FixedPolicy, space: ActionSpace, state: RecurrentState) -> None:
        self._teacher = teacher
        self._space = space
        self._state = state

    def decide(self, view: View) -> Action:
        """The teacher's decision."""
        return self._teacher.decide(view)

    def act(self, views: Sequence[View]) -> list[Choice]:
        """One choice for each view, with the record of it; log-probability and value are the learner's business, and 0."""
        return [self._choice(view) for view in views]

    def recurrent_state(self) -> RecurrentState:
        """A copy of what a learner would carry at the beginning."""
        return self._state[0].clone(), self._state[1].clone()

    def _choice(self, view: View) -> Choice:
        action = self.decide(view)
        masks = masks_of(view)
        record = Record(
            observation=torch.from_numpy(observe(view)),
            mask=torch.from_numpy(masks.flat),
            indices=torch.tensor(self._space.encode(action)),
            log_prob=0.0,
            value=0.0,
            forced=masks.forced,
        )
        return Choice(action, record)
