"""Sampling everything round-robin in random order, so that a slow moment strikes all alike."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from firedrill.bench.clock import Sample, sample


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that is timed, and what is done before each time, untimed."""

    run: Callable[[], object]
    prepare: Callable[[], object]

    def sampled(self) -> Sample:
        """Prepared, then timed once."""
        self.prepare()
        return sample(self.run)


def interleave(
    contestants: Mapping[str, Callable[[], Sample]], rounds: int, warmups: int, rng: random.Random, after_round: Callable[[], object]
) -> dict[str, list[Sample]]:
    """Samples by name, one a round; the first rounds only warm up."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(-warmups, rounds):
        for name in rng.sample(list(contestants), len(contestants)):
            taken = contestants[name]()
            if number >= 0:
                samples[name].append(taken)
        after_round()
    return samples
