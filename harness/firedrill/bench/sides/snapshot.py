"""Blocks of the snapshot engine, and of the governor around a plain loop. A case is a size of the model."""

from collections.abc import Mapping

from firedrill.bench.cases import SIZES, contestants
from firedrill.bench.guarded import guarded
from firedrill.bench.side import Timing, serve

MODE = "hot"


def begin(case: str) -> Timing:
    """Every operation once a round."""
    timed = contestants("engine", SIZES[case], MODE) | guarded(SIZES[case])

    def one_round() -> Mapping[str, float]:
        return {name: contestant.sampled().cpu for name, contestant in timed.items()}

    return Timing(one_round)


if __name__ == "__main__":
    serve(begin)
