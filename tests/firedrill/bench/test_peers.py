import io
import subprocess
import sys

import pytest
import torch

from firedrill.bench.peers import (
    CLONE,
    DEEPCOPY,
    DEEPCOPY_FRESH,
    SAFETENSORS,
    SAVE,
    SNAPSHOT_PEERS,
    STAGER,
    Held,
    cloned,
    loading,
    saved,
    staging,
)

# Prints the bytes that a fifth copy is given by the system, and those of the weight.
FRESH = f"""
import resource, torch
from firedrill.bench.peers import SNAPSHOT_PEERS, give_back

model = torch.nn.Linear(2048, 2048)
copied = SNAPSHOT_PEERS[{DEEPCOPY_FRESH!r}](model)
for _ in range(4):
    copied()
give_back()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
copied()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults * resource.getpagesize(), model.weight.nbytes)
"""


@pytest.fixture
def model() -> torch.nn.Module:
    return torch.nn.Linear(3, 2)


def test_every_peer_runs_also_twice(model: torch.nn.Module) -> None:
    assert set(SNAPSHOT_PEERS) == {CLONE, DEEPCOPY, DEEPCOPY_FRESH, SAVE, STAGER, SAFETENSORS}
    for build in SNAPSHOT_PEERS.values():
        peer = build(model)
        peer()
        peer()


def test_what_was_staged_last_is_still_there_while_the_next_is_staged(model: torch.nn.Module) -> None:
    with torch.no_grad():
        model.bias.fill_(1.0)
    stage = staging(model)
    first = stage()
    with torch.no_grad():
        model.bias.fill_(2.0)
    second = stage()
    assert (first["bias"].tolist(), second["bias"].tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_the_clone_checks_what_it_copied(model: torch.nn.Module) -> None:
    with torch.no_grad():
        model.bias.fill_(float("inf"))
    with pytest.raises(AssertionError):
        cloned(model.state_dict())


def test_what_was_saved_can_be_read(model: torch.nn.Module) -> None:
    buffer = saved(model.state_dict())
    read = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    assert torch.equal(read["weight"], model.weight)


def test_loading_brings_back_what_the_model_was(model: torch.nn.Module) -> None:
    load = loading(model)
    wanted = model.weight.tolist()
    with torch.no_grad():
        model.weight.zero_()
    load()
    assert model.weight.tolist() == wanted


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a process be told to give memory back")
def test_a_copy_into_fresh_pages_has_every_page_handed_out_anew() -> None:
    # In a process of its own: where NumPy had a large array before, pages may be huge, and then few faults hand out many.
    found = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    handed_out, size = map(int, found.stdout.split())
    assert handed_out >= 0.9 * size


def test_a_result_is_held_until_the_next_one_exists() -> None:
    alive: list[int] = []

    class Result:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    seen: list[int] = []

    def call() -> object:
        result = Result()
        seen.append(len(alive))
        return result

    held = Held(call)
    for _ in range(3):
        held()
    assert (seen, len(alive)) == ([1, 2, 2], 1)
