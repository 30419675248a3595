"""What a scheduler remembers survives JSON, type for type."""

import json
import math
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.integrations.state_values import decode, encode

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.integers() | st.text() | st.tuples(st.integers(), st.text())
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner))


@given(NESTED)
def test_what_is_written_is_read(value: object) -> None:
    assert decode(json.loads(json.dumps(encode(value, "watch")))) == value


def test_number_keys_and_counters_keep_their_types() -> None:
    value = decode(json.loads(json.dumps(encode({"milestones": Counter([30, 30, 80])}, "watch"))))
    assert value == {"milestones": Counter({30: 2, 80: 1})}
    assert type(value["milestones"]) is Counter


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(0.1),
        torch.tensor([[1, 2]]),
        torch.tensor([0.5], dtype=torch.bfloat16),
        torch.zeros(0, 3),
        torch.ones(2, 3).T,
        torch.tensor([True, False]),
    ],
)
def test_small_tensors_keep_bytes_shape_and_dtype(tensor: torch.Tensor) -> None:
    back = decode(json.loads(json.dumps(encode(tensor, "watch"))))
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(back, tensor)


def test_infinity_and_numpy_numbers_come_back_as_numbers() -> None:
    assert decode(json.loads(json.dumps(encode([math.inf, np.float32(0.5), np.int64(3)], "watch")))) == [math.inf, 0.5, 3]


def test_functions_stay_in_the_live_object() -> None:
    assert decode(encode(OrderedDict(anneal=math.cos, step=3), "watch")) == {"step": 3}


def test_what_nobody_could_restore_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"watch\.scheduler\.0\.stream: found 'object'"):
        encode([{"stream": object()}], "watch.scheduler")
