"""Tensors are found wherever they are nested."""

from collections import OrderedDict
from dataclasses import dataclass, field

import pytest
import torch

from tolaria.integrations.nested import tensors_in

ONE = torch.tensor(1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    loss: torch.Tensor
    rest: tuple[object, ...] = ()
    later: object = field(init=False)


@pytest.mark.parametrize(
    "value", [ONE, [ONE], (0, ONE), {"loss": ONE}, OrderedDict(loss=[{"deep": ONE}]), Answer(ONE), [Answer(torch.zeros(1), (ONE,))]]
)
def test_the_tensor_is_found(value: object) -> None:
    assert [*tensors_in(value)][-1] is ONE


@pytest.mark.parametrize("value", [None, 1.0, "text", {1, 2}, Answer, object()])
def test_elsewhere_is_none(value: object) -> None:
    assert [*tensors_in(value)] == []
