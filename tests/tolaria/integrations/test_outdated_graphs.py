"""A graph from before a restore is refused, and no other."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tolaria.errors import GraphOutdated
from tolaria.integrations.outdated_graphs import OutdatedGraphs


@dataclass
class Said:
    """As models answer that give names to what they return."""

    loss: torch.Tensor


ANSWERS: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[Any], torch.Tensor]]] = {
    "tensor": (lambda tensor: tensor, lambda answer: answer),
    "tuple": (lambda tensor: (1, tensor), lambda answer: answer[1]),
    "dataclass": (Said, lambda answer: answer.loss),
    "nested": (lambda tensor: {"loss": [tensor]}, lambda answer: answer["loss"][0]),
}


class Answering(torch.nn.Linear):
    """Answers in the shape it was given."""

    def __init__(self, shape: Callable[[torch.Tensor], Any]) -> None:
        super().__init__(2, 1)
        self.shape = shape

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.shape(super().forward(inputs))


@pytest.mark.parametrize("kind", ANSWERS)
def test_backward_after_a_restore_is_refused(kind: str) -> None:
    wrap, unwrap = ANSWERS[kind]
    model, graphs = Answering(wrap), OutdatedGraphs()
    model.register_forward_hook(graphs)
    early = unwrap(model(torch.ones(1, 2))).sum()
    graphs.restores += 1
    late = unwrap(model(torch.ones(1, 2))).sum()
    late.backward()
    with pytest.raises(GraphOutdated):
        early.backward()


def test_what_builds_no_graph_is_let_through() -> None:
    model = torch.nn.Linear(2, 1)
    model.register_forward_hook(OutdatedGraphs())
    with torch.no_grad():
        assert not model(torch.ones(1, 2)).requires_grad


def test_it_holds_nothing_but_a_number() -> None:
    assert len(pickle.dumps(OutdatedGraphs())) < 200
