import pytest

from firedrill.faults import FAULTS
from firedrill.oracles import BUNDLES, ORACLES
from firedrill.runner.verdict import Verdict
from firedrill.scenario.scenario import VERDICTS
from firedrill.scenario.schema import Expectation, ScenarioFile, json_schema, json_schema_text, oracles_of
from firedrill.scenario.starter import SCHEMA_PATH


def test_the_schema_that_ships_is_current() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == json_schema_text(), "run: firedrill schema --out " + str(SCHEMA_PATH)


def test_every_fault_can_be_written() -> None:
    assert set(json_schema()["properties"]["faults"]["items"]["discriminator"]["mapping"]) == set(FAULTS)


def test_every_oracle_and_bundle_can_be_written_alone_and_with_parameters() -> None:
    alone, named = json_schema()["properties"]["expect"]["items"]["anyOf"]
    assert set(alone["enum"]) == {*ORACLES, *BUNDLES}
    assert set(json_schema()["$defs"][named["$ref"].rpartition("/")[2]]["properties"]) == {*ORACLES, *BUNDLES}


def test_a_quantity_may_carry_its_unit() -> None:
    shapes = json_schema()["$defs"]["Detected"]["properties"]["within"]["anyOf"]
    assert [shape["type"] for shape in shapes] == ["integer", "string"]


def test_a_time_must_carry_its_unit() -> None:
    assert json_schema()["$defs"]["Budget"]["properties"]["wall"]["type"] == "string"


def test_the_verdicts_are_those_that_a_runner_gives_of_a_system() -> None:
    assert set(VERDICTS) == set(Verdict) - {Verdict.HARNESS_ERROR, Verdict.NOT_RUN}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_needs_no_parameters(name: str) -> None:
    expectation = type(ScenarioFile.model_fields["expect"].annotation.__args__[0].model_validate({name: {}}))  # type: ignore[union-attr]  # A tuple of one model.
    assert issubclass(expectation, Expectation)
    assert len(oracles_of((expectation.model_validate({name: {}}),))) == len(BUNDLES[name])
