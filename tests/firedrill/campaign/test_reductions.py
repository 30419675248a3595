import math

import pytest

from firedrill.campaign.reductions import (
    PASSES,
    fewer_elements,
    fewer_environments,
    fewer_faults,
    on_the_cpu,
    shorter,
    simpler_values,
    smaller_numbers,
    without_settings,
)
from firedrill.scenario.schema import JSON


def tree(**subject: object) -> JSON:
    return {"version": 1, "subject": {"steps": 8, "seed": 3, "envs": 1, **subject}, "expect": ["told"], "budget": {"rollbacks": 4}}


def struck(**fault: object) -> JSON:
    return tree() | {"faults": [{"at": {"step": 4, "env": 0}, "do": "tensor.set", **fault}]}


def test_of_six_faults_halves_are_tried_before_single_ones() -> None:
    faults = [{"do": str(number)} for number in range(6)]
    sizes = [len(less["faults"]) for less in fewer_faults(tree() | {"faults": faults})]
    assert sizes[:4] == [3, 3, 3, 3]
    assert sizes[-6:] == [5, 5, 5, 5, 5, 5]


def test_the_last_fault_may_go_too() -> None:
    assert [less["faults"] for less in fewer_faults(tree() | {"faults": [{"do": "x"}]})] == [[]]


def test_a_shorter_run_loses_the_decisions_behind_its_end() -> None:
    long = tree(script=[{"step": 1, "op": "wait"}, {"step": 6, "op": "wait"}])
    cut = {less["subject"]["steps"]: [line["step"] for line in less["subject"]["script"]] for less in shorter(long)}
    assert cut == {0: [], 4: [1], 6: [1], 7: [1, 6]}


def test_all_environments_become_one() -> None:
    wide = tree(envs=3) | {"faults": [{"at": {"step": 1, "env": [1, 2]}, "do": "x"}]}
    first = next(fewer_environments(wide))
    assert (first["subject"]["envs"], first["faults"][0]["at"]["env"]) == (1, 0)


def test_an_environment_that_nothing_names_goes_and_those_behind_it_move_up() -> None:
    wide = tree(envs=3) | {"faults": [{"at": {"step": 1, "env": [0, 2]}, "do": "x"}]}
    fewer = list(fewer_environments(wide))[1]
    assert (fewer["subject"]["envs"], fewer["faults"][0]["at"]["env"]) == (2, [0, 1])


def test_many_elements_become_the_first() -> None:
    (fewer,) = fewer_elements(struck(target={"params": "*", "pick": {"fraction": 0.5}}))
    assert fewer["faults"][0]["target"] == {"params": "*", "pick": {"index": 0}}
    assert list(fewer_elements(struck(target={"slot": "s0"}))) == []


def test_cuda_is_left_for_the_cpu() -> None:
    (simple,) = on_the_cpu(tree() | {"matrix": {"device": ["cuda"]}})
    assert "matrix" not in simple


def test_settings_go_and_sizes_stay() -> None:
    gone = [set(tree(policy="ppo")["subject"]) - set(less["subject"]) for less in without_settings(tree(policy="ppo"))]
    assert gone == [{"policy"}]


def test_numbers_shrink_by_halves_and_the_seed_and_the_expectations_never() -> None:
    assert {less["faults"][0]["at"]["step"] for less in smaller_numbers(struck())} == {0, 2, 3, 4}
    assert all(less["subject"]["seed"] == 3 and less["budget"] == {"rollbacks": 4} for less in smaller_numbers(struck()))


def test_values_become_simpler_and_never_longer() -> None:
    values = [less["faults"][0]["with"]["value"] for less in simpler_values(struck(**{"with": {"value": 1.37}}))]
    assert [value for value in values if not math.isnan(value)] == [0.0, 1.0, math.inf, 1.0]
    assert [less["faults"][0]["with"]["value"] for less in simpler_values(struck(**{"with": {"value": math.nan}}))] == [0.0, 1.0]


@pytest.mark.parametrize("simplify", PASSES, ids=lambda simplify: simplify.__name__)
def test_a_pass_changes_nothing_of_what_it_is_given(simplify: object) -> None:
    given = struck(target={"params": "*"}, **{"with": {"value": 2.5}})
    before = repr(given)
    assert callable(simplify)
    list(simplify(given))
    assert repr(given) == before
