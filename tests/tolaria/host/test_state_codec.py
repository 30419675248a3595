import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.host.state_codec import RAMP_KEYS, SLOT_KEYS, slot_from_dict, slot_to_dict
from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import Stage

STATE = SlotState(
    slot="s1",
    stage=Stage.BLENDING,
    blueprint="conv_light",
    blend=Blend.MULTIPLY,
    generation=3,
    ramp=Ramp(0.25, 0.75, 8, 2, Curve.COSINE),
    blend_target=0.75,
    blend_steps=8,
    blend_curve=Curve.COSINE,
    age=11,
    steps_in_stage=2,
    contribution=-0.125,
    contribution_error=0.03125,
    magnitude=None,
)

counts = st.integers(0, 1000)
alphas = st.floats(0.0, 1.0)
ramps = st.builds(
    lambda start, target, done, left, curve: Ramp(start, target, done + left, done, curve),
    alphas,
    alphas,
    counts,
    counts,
    st.sampled_from(Curve),
)
states = st.builds(
    SlotState,
    slot=st.text(),
    stage=st.sampled_from(Stage),
    blueprint=st.text(),
    blend=st.sampled_from(Blend),
    generation=counts,
    ramp=ramps,
    blend_target=alphas,
    blend_steps=counts,
    blend_curve=st.sampled_from(Curve),
    age=counts,
    steps_in_stage=counts,
    contribution=st.none() | st.floats(-1.0, 1.0),
    contribution_error=st.none() | st.floats(0.0),
    magnitude=st.none() | st.floats(0.0),
)


@given(states)
def test_a_state_comes_back_from_json_as_it_was(state: SlotState) -> None:
    assert slot_from_dict(json.loads(json.dumps(slot_to_dict(state)))) == state


def test_a_state_is_written_as_plain_words_and_numbers() -> None:
    values = slot_to_dict(STATE)
    assert values["ramp"] == {"start": 0.25, "target": 0.75, "steps_total": 8, "steps_done": 2, "curve": "cosine"}
    assert (values["stage"], values["blend"], values["contribution"], values["magnitude"]) == ("blending", "multiply", -0.125, None)
    assert type(values["stage"]) is str


@pytest.mark.parametrize("key", sorted(SLOT_KEYS))
def test_a_missing_key_is_an_error(key: str) -> None:
    values = slot_to_dict(STATE)
    del values[key]
    with pytest.raises(ConfigError, match=key):
        slot_from_dict(values)


@pytest.mark.parametrize("key", sorted(RAMP_KEYS))
def test_a_missing_key_of_the_ramp_is_an_error(key: str) -> None:
    values = slot_to_dict(STATE)
    ramp = values["ramp"]
    assert isinstance(ramp, dict)
    del ramp[key]
    with pytest.raises(ConfigError, match=rf"slot\.ramp.*{key}"):
        slot_from_dict(values)


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ConfigError, match="mood"):
        slot_from_dict({**slot_to_dict(STATE), "mood": "good"})


WRONG = [
    ("stage", "retired"),
    ("stage", 5),
    ("slot", 1),
    ("blueprint", 7),
    ("blueprint", None),
    ("blend", "mean"),
    ("generation", -1),
    ("generation", 1.0),
    ("generation", True),
    ("age", None),
    ("blend_target", "1"),
    ("contribution", "high"),
    ("ramp", None),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_value_that_cannot_be_is_an_error(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"slot\.{key}"):
        slot_from_dict({**slot_to_dict(STATE), key: value})


@pytest.mark.parametrize(("key", "value"), [("start", 1.5), ("target", -0.5), ("target", float("nan")), ("steps_done", 9)])
def test_a_ramp_that_cannot_be_is_an_error(key: str, value: float) -> None:
    ramp = slot_to_dict(STATE)["ramp"]
    assert isinstance(ramp, dict)
    with pytest.raises(ConfigError, match=r"slot\.ramp"):
        slot_from_dict({**slot_to_dict(STATE), "ramp": {**ramp, key: value}})


def test_what_is_no_mapping_is_an_error() -> None:
    with pytest.raises(ConfigError, match="mapping"):
        slot_from_dict([STATE])


def test_an_empty_slot_needs_no_blueprint() -> None:
    state = replace(SlotState("s0"), generation=2)
    assert slot_from_dict(slot_to_dict(state)) == state
