"""Cells: a scenario on one device with one seed, under an id that stays the same from run to run."""

from dataclasses import asdict, dataclass, replace
from enum import Enum
from itertools import product
from typing import Any

from firedrill.faults.fault import Fault
from firedrill.scenario.scenario import Combination, Device, Scenario


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a scenario, as in "governor/nan-weight[cpu,seed=11]"."""

    id: str
    scenario: Scenario
    device: Device
    seed: int


def cells(scenario: Scenario) -> list[Cell]:
    """Every device with every seed, less what is excluded, and then what is included; each combination once."""
    matrix = scenario.matrix
    seeds = matrix.seed or (scenario.subject.seed,)
    wanted = [pair for pair in product(matrix.device, seeds) if not any(_covers(gone, *pair) for gone in matrix.exclude)]
    extra = [(more.device or matrix.device[0], scenario.subject.seed if more.seed is None else more.seed) for more in matrix.include]
    return [Cell(f"{scenario.id}[{device},seed={seed}]", scenario, device, seed) for device, seed in dict.fromkeys([*wanted, *extra])]


def plan(cell: Cell) -> dict[str, Any]:  # It is JSON, which has no types.
    """All that a cell resolves to, as JSON: every name, index and value that the run needs."""
    scenario = cell.scenario
    envs = scenario.subject.envs
    return {
        "cell": cell.id,
        "because": scenario.because,
        "device": cell.device,
        "subject": _json(asdict(replace(scenario.subject, seed=cell.seed))),
        "faults": [
            {
                "number": planned.number,
                "do": planned.fault.kind,
                "with": _json(parameters(planned.fault)),
                "at": _json(asdict(planned.at)),
                "target": _json(asdict(planned.target)) if planned.target else None,
                "strikes": planned.declared_strikes(envs),
            }
            for planned in scenario.faults
        ],
        "expect": [{oracle.kind: _json(asdict(oracle))} for oracle in scenario.oracles],
        "verdict": list(scenario.verdicts),
        "budget": asdict(scenario.budget),
        "known_gap": asdict(scenario.known_gap) if scenario.known_gap else None,
    }


def parameters(fault: Fault) -> dict[str, Any]:  # As many types as there are faults.
    """What stands under `with:`, and the defaults of what does not."""
    return asdict(fault)  # type: ignore[call-overload, no-any-return]  # Every fault is a dataclass.


def _covers(gone: Combination, device: Device, seed: int) -> bool:
    return gone.device in {None, device} and gone.seed in {None, seed}


def _json(value: Any) -> Any:  # Down to plain values, whatever they are.
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, Enum):
        return value.value
    # JSON has no NaN and no Inf; a scenario has words for them.
    return value if not isinstance(value, float) or abs(value) < float("inf") else str(value)
