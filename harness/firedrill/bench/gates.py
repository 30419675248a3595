"""The numbers that the snapshot engine has to reach, by size of the model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firedrill.bench.record import Case

LIMIT = "memmove"

# Parameters.
SMALL, MEDIUM, LARGE, HUGE = 100_000, 1_000_000, 10_000_000, 100_000_000


@dataclass(frozen=True, slots=True)
class Gate:
    """An operation against the limit, at most so many times its time, or against a peer, at least so many times as fast."""

    op: str
    reference: str
    bounds: Mapping[int, float]

    @property
    def is_at_most(self) -> bool:
        """Whether the bound is an upper one."""
        return self.reference == LIMIT


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate at one case."""

    gate: Gate
    case: Case
    bound: float
    value: float

    @property
    def holds(self) -> bool:
        """Whether the gate is reached."""
        return self.value <= self.bound if self.gate.is_at_most else self.value >= self.bound

    @property
    def is_missed(self) -> bool:
        """Whether it is not reached and nobody else had the machine meanwhile; contended numbers accuse nobody."""
        return not self.holds and not self.case.contended


def _by_size(small: float, medium: float, large: float, huge: float) -> dict[int, float]:
    return {SMALL: small, MEDIUM: medium, LARGE: large, HUGE: huge}


GATES = (
    Gate("take", LIMIT, _by_size(3.0, 2.0, 1.25, 1.7)),
    Gate("validated take", LIMIT, _by_size(4.5, 3.25, 2.2, 2.75)),
    Gate("restore", LIMIT, _by_size(3.0, 1.75, 1.25, 1.75)),
    Gate("validated take", "clone and isfinite", _by_size(6.0, 6.0, 6.0, 6.0)),
    Gate("take", "deepcopy of state_dict", {SMALL: 12.0, MEDIUM: 4.0}),
    # Large copies are held against one that pays for its pages: against one that does not, no single thread can win three times
    # what memmove itself would. What the other costs is in the record.
    Gate("take", "deepcopy into fresh pages", {LARGE: 3.0, HUGE: 4.0}),
    Gate("take", "StateDictStager", _by_size(12.0, 4.0, 2.0, 1.3)),
    Gate("restore", "load_state_dict", _by_size(5.0, 2.5, 1.5, 1.2)),
    Gate("roll back 4 of 16", "load_state_dict", {SMALL: 5.0}),
)


def judge(cases: Iterable[Case]) -> tuple[Judged, ...]:
    """Every gate at every case that it speaks of; an older record lacks peers that came later, and what is held against them."""
    judged = []
    for case in cases:
        for gate in GATES:
            measured = gate.is_at_most or gate.reference in case.speedup_vs
            if gate.op == case.op and case.params in gate.bounds and measured:
                value = case.ratio_to_limit if gate.is_at_most else case.speedup_vs[gate.reference]
                judged.append(Judged(gate, case, gate.bounds[case.params], value))
    return tuple(judged)
