"""The shape of a scenario file, built from the classes of faults and oracles, so that a new one is known by being listed."""

import json
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, create_model

from firedrill.faults import FAULTS
from firedrill.faults.fault import Fault
from firedrill.faults.target import Target
from firedrill.faults.when import When
from firedrill.oracles import BUNDLES, ORACLES
from firedrill.oracles.oracle import Oracle
from firedrill.scenario.quantity import QUANTITIES
from firedrill.scenario.scenario import VERDICTS, Budget, KnownGap, Matrix
from firedrill.scenario.subject import Subject

VERSION = 1
KEBAB = r"^[a-z0-9]+(-[a-z0-9]+)*$"
BECAUSE_LENGTH_MIN = 20

JSON = dict[str, Any]  # JSON has no types.

# Built once, as parts of the whole file, and not each for itself: that is most of the time that validation takes.
CLOSED = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class FaultClause(BaseModel):
    """When, what, and on which tensors."""

    model_config = CLOSED

    at: When
    do: str
    target: Target | None = None
    parameters: InstanceOf[Fault] = Field(alias="with")


class UnknownFault(BaseModel):
    """A clause whose fault nobody knows, so that the rest of it can be looked at."""

    model_config = CLOSED

    at: When
    do: object
    target: Target | None = None
    parameters: object = Field(alias="with", default=None)


class Bundle(BaseModel):
    """The name of a bundle, which has no parameters."""

    model_config = CLOSED


class Expectation(BaseModel):
    """One oracle with its parameters, or one bundle."""

    model_config = CLOSED


def _buildable(fault: type[Fault]) -> bool:
    try:
        fault()
    except TypeError:
        return False
    return True


def _clause(kind: str, fault: type[Fault]) -> type[FaultClause]:
    given = Field(alias="with", default_factory=fault) if _buildable(fault) else Field(alias="with")
    return create_model(
        f"Fault {kind}",
        __base__=FaultClause,
        __doc__=fault.__doc__,
        do=(Literal[kind], ...),  # type: ignore[arg-type]  # The kinds are known when the table is.
        parameters=(fault, given),
    )


# Built from the tables at run time, which a type checker cannot follow.
if TYPE_CHECKING:
    VerdictName = str
    AnyFault = FaultClause
    AnyExpectation = Expectation
else:
    VerdictName = Literal[VERDICTS]
    AnyFault = Annotated[reduce(or_, (_clause(kind, fault) for kind, fault in FAULTS.items())), Field(discriminator="do")]
    AnyExpectation = create_model(
        "Expectation",
        __base__=Expectation,
        __doc__=Expectation.__doc__,
        **{kind: (oracle | None, None) for kind, oracle in ORACLES.items()},
        **dict.fromkeys(BUNDLES, (Bundle | None, None)),
    )


class ScenarioFile(BaseModel):
    """Everything that may stand in a scenario file, after its short forms are written out by `normalised`."""

    model_config = CLOSED

    version: Literal[1]
    name: Annotated[str, Field(pattern=KEBAB)]
    because: Annotated[str, Field(min_length=BECAUSE_LENGTH_MIN)]
    tags: tuple[Annotated[str, Field(pattern=KEBAB)], ...] = ()
    extends: str | None = None
    subject: Subject
    matrix: Matrix = Matrix()
    faults: tuple[AnyFault, ...] = ()
    expect: Annotated[tuple[AnyExpectation, ...], Field(min_length=1)]
    verdict: Annotated[tuple[VerdictName, ...], Field(min_length=1)] = ("recovered",)
    budget: Budget = Budget()
    known_gap: KnownGap | None = None


def normalised(written: JSON) -> JSON:
    """The short forms written out: a bare oracle, an oracle without parameters, a single verdict."""
    long = dict(written)
    if isinstance(long.get("expect"), list):
        long["expect"] = [_expectation(item) for item in long["expect"]]
    if isinstance(long.get("verdict"), str):
        long["verdict"] = [long["verdict"]]
    return long


def _expectation(item: object) -> object:
    if isinstance(item, str):
        return {item: {}}
    return {kind: {} if given is None else given for kind, given in item.items()} if isinstance(item, dict) else item


def oracles_of(expectations: tuple[Expectation, ...]) -> tuple[Oracle, ...]:
    """The oracles in their order, each kind once; what is written out beats what a bundle brings along."""
    named: dict[str, Oracle] = {}
    bundled: list[str] = []
    for expectation in expectations:
        for kind in expectation.model_fields_set:
            oracle = getattr(expectation, kind)
            if kind in BUNDLES:
                bundled.extend(BUNDLES[kind])
            elif oracle is not None:
                named[kind] = oracle
    return tuple(named[kind] if kind in named else ORACLES[kind]() for kind in dict.fromkeys([*bundled, *named]))


def model_schema() -> JSON:
    """The JSON Schema of the normalised form."""
    return ScenarioFile.model_json_schema(by_alias=True)


def json_schema() -> JSON:
    """The JSON Schema of what may be written, for editors: with the short forms and the units."""
    schema = model_schema()
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "firedrill scenario"}
    expect = schema["properties"]["expect"]
    alone = {"type": "string", "enum": [*ORACLES, *BUNDLES], "description": "An oracle without parameters, or a bundle."}
    expect["items"] = {"anyOf": [alone, expect["items"]]}
    verdict = schema["properties"]["verdict"]
    schema["properties"]["verdict"] = {"anyOf": [verdict["items"], verdict], "default": "recovered"}
    for definition in (schema, *schema["$defs"].values()):
        for key, shape in definition.get("properties", {}).items():
            if key in QUANTITIES:
                definition["properties"][key] = _with_units(key, shape)
    expectation = schema["$defs"]["Expectation"]
    expectation |= {"minProperties": 1, "maxProperties": 1}
    return schema


def _with_units(key: str, shape: JSON) -> JSON:
    dimension = QUANTITIES[key]
    text = {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?\s*({'|'.join(dimension.units)})$", "examples": [dimension.example]}
    kept: JSON = {name: shape[name] for name in ("title", "default") if name in shape}
    if not dimension.bare:
        return {**text, **({"title": kept["title"]} if "title" in kept else {})}
    return {**kept, "anyOf": [{name: value for name, value in shape.items() if name not in kept}, text]}


def json_schema_text() -> str:
    """The JSON Schema as it ships."""
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"
