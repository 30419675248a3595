"""Plain loops, recorded and judged as any other cell."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from firedrill.events import FaultStruck
from firedrill.runner import loops
from firedrill.runner.assess import result_of
from firedrill.runner.cell import one_run, record
from firedrill.runner.folder import FAULTED, told_ending
from firedrill.runner.loops import MODULES, train_loop
from firedrill.runner.plan import setup_of
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text
from firedrill.scenario.subject import MECHANISMS
from firedrill.subjects.loop import Setup
from firedrill.subjects.plain_loop import PlainLoop
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Event
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import StepFinished

TEXT = """\
version: 1
name: mine
because: A NaN in a weight of a loop is undone.
subject: {kind: plain_loop, task: spirals, seed: 3, steps: 24}
faults:
  - {at: {step: 16}, do: tensor.set, target: {params: head.weight, pick: {index: 0}}, with: {value: nan}}
expect: [witnessed, {detected: {within: 1}}, {recovered: {within: 3}}, state_restored, keys_matched, clean, optimizer_reset, told, quiet]
"""


def cell_with(**subject: object) -> Cell:
    """The cell with settings of its own."""
    cell = cells(load_text(TEXT, Path("scenarios/mine.yaml")))[0]
    return replace(cell, scenario=replace(cell.scenario, subject=replace(cell.scenario.subject, **subject)))  # type: ignore[arg-type]


def verdict_of(cell: Cell, folder: Path) -> Verdict:
    record(cell, folder)
    result = result_of(cell, folder, told_ending(folder), 0.0)
    assert not result.exposures
    return result.verdict


def test_every_kind_of_loop_has_a_module() -> None:
    assert set(MODULES) == set(MECHANISMS)


def test_a_guarded_loop_recovers(tmp_path: Path) -> None:
    assert verdict_of(cell_with(), tmp_path) is Verdict.RECOVERED


def test_the_same_loop_unguarded_does_not(tmp_path: Path) -> None:
    assert verdict_of(cell_with(mechanism="none"), tmp_path) is Verdict.SILENT_CORRUPTION


def test_what_is_not_installed_is_not_run_and_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "find_spec", lambda _: None)
    cell = cell_with(kind="transformers")
    record(cell, tmp_path)
    result = result_of(cell, tmp_path, told_ending(tmp_path), 0.0)
    expected = "transformers is not installed: pip install 'tolaria[transformers]' brings it"
    assert (result.verdict, result.reason) == (Verdict.NOT_RUN, expected)


def test_two_runs_of_one_cell_are_the_same_to_the_last_byte(tmp_path: Path) -> None:
    for name in ("one", "other"):
        one_run(cell_with(), tmp_path / name, cell_with().scenario.faults)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_harness_beside_a_loop_changes_none_of_its_bits() -> None:
    """The same loop, stepped by hand and without anybody beside it."""
    setup = Setup(seed=3, device="cpu", steps=12, mechanism="tolaria", task="spirals", optimizer="adam")
    history = History()
    train_loop("plain_loop", setup, history, NO_TAPS)
    bare = PlainLoop(setup, lambda _: None)
    losses = []
    for _ in range(setup.steps):
        loss = bare.loss(*bare.batch())
        bare.backward(loss)
        bare.step(loss)
        losses.append((float(loss.detach()), *bare.validate()))
    told = [(event.train_loss, event.val_loss, event.val_accuracy) for event in history.events if isinstance(event, StepFinished)]
    assert told == losses


MOMENTS = {
    "tensor.set": "{step: 5}, do: tensor.set, target: {grads: head.bias}, with: {value: 1.0}",
    "loss.set": "{step: 5}, do: loss.set, with: {value: 3.0}",
    "data.set": "{step: 5}, do: data.set, with: {value: 3.0}",
    "optim.lr_spike": "{step: 5}, do: optim.lr_spike, with: {factor: 3.0}",
    "amp.scale": "{step: 5}, do: amp.scale, with: {value: 2.0}",
    "sink.raise": "{step: 5}, do: sink.raise",
    "bn.poison": "{event: snapshot_taken, occurrence: 2, phase: snapshot_taken}, do: bn.poison, with: {scale: 1.5}",
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_a_fault_strikes_a_loop_once_at_its_moment_and_is_witnessed(kind: str, tmp_path: Path) -> None:
    head, _, rest = TEXT.partition("  - {at")
    text = f"{head}  - {{at: {MOMENTS[kind]}}}\n{rest[rest.index('expect') :]}".replace("kind: plain_loop", "kind: plain_loop, amp: true")
    cell = cells(load_text(text, Path("scenarios/mine.yaml")))[0]
    events, complaints = one_run(cell, tmp_path / FAULTED, cell.scenario.faults)
    (strike,) = [event for event in events if isinstance(event, FaultStruck)]
    # The guard takes its second snapshot after five steps, and those of a history begin with 0.
    step = 4 if "snapshot_taken" in MOMENTS[kind] else 5
    assert (strike.kind, strike.at.step) == (kind, step)
    # A sink that raises has missed something, which is what was asked for.
    assert [said for said in complaints if not said.startswith("FragileSink missed")] == []
    assert strike.digest_before != strike.digest_after


def test_a_scaler_leaves_out_what_overflows_and_the_loop_goes_on() -> None:
    setup = Setup(seed=3, device="cpu", steps=8, mechanism="none", task="spirals", amp=True)
    events: list[Event] = []
    loop = PlainLoop(setup, events.append)
    assert loop.scaler is not None
    before = [parameter.detach().clone() for parameter in loop.model.parameters()]
    loss = loop.loss(*loop.batch()) * torch.inf
    loop.backward(loss)
    loop.step(loss)
    assert all(map(torch.equal, before, loop.model.parameters()))
    assert loop.scaler.get_scale() == 2.0**15


def test_the_counterfactual_is_the_loop_without_its_mechanism() -> None:
    assert setup_of(cell_with()).mechanism == "tolaria"
    assert setup_of(cell_with(), governed=False).mechanism == "none"
