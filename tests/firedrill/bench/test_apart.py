import os
from functools import partial
from pathlib import Path

import pytest
import torch

from firedrill.bench.apart import apart
from firedrill.bench.clock import Sample
from firedrill.bench.interleave import Contestant


@pytest.fixture(autouse=True)
def found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children look for what is built where this process looks, and the tests are on no path."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def reporting(names: tuple[str, ...]) -> dict[str, Contestant]:
    """Contestants that fail unless torch has one thread; they are prepared before each time."""
    prepared: list[str] = []

    def run(name: str) -> None:
        assert torch.get_num_threads() == 1
        assert prepared.pop() == name

    return {name: Contestant(partial(run, name), partial(prepared.append, name)) for name in names}


def not_in(pid: int) -> dict[str, Contestant]:
    """A contestant that may not be built in this process."""
    assert os.getpid() != pid
    return {"apart": Contestant(bool, bool)}


def test_what_every_process_builds_can_be_sampled_from_here() -> None:
    with apart({"one": partial(reporting, ("a", "b")), "two": partial(reporting, ("c",))}) as timed:
        samples = [timed[name]() for name in ("a", "c", "b", "a")]
    assert all(isinstance(sample, Sample) and sample.cpu >= 0.0 for sample in samples)


def test_nothing_is_built_in_the_process_that_asks() -> None:
    with apart({"one": partial(not_in, os.getpid())}) as timed:
        assert set(timed) == {"apart"}
