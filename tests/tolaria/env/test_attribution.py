import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tolaria.env.attribution import accuracy_of_coalitions, ask, contributions, paired, search_alpha
from tolaria.host.host import Host
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.stage import Stage
from tolaria.tasks import TASKS
from tolaria.tasks.task import Split

# A rounding of float32 in the sum of a larger product; measured 0 on most machines.
TOLERANCE = 1e-5
BLUEPRINT = {"spirals": "residual_mlp", "digits": "conv_light", "pydoc_lm": "lora"}


def grown(task: str, alphas: tuple[float, ...]) -> tuple[Host, Split]:
    """A host of the task with a seed that does something in each slot, held at these alphas, and its validation data."""
    made = TASKS[task]()
    host = made.build_host(3)
    for slot_id, alpha in zip(host.slots, alphas, strict=False):
        state = host.germinate(slot_id, BLUEPRINT[task], seed=5)
        slot = host.slot(slot_id)
        slot.state = replace(state, stage=Stage.HOLDING, ramp=Ramp(alpha, alpha))
        assert slot.seed is not None
        torch.manual_seed(1)
        for parameter in slot.seed.parameters():
            nn.init.normal_(parameter, std=0.3)
    host.eval()
    return host, Split(made.validation.inputs[:40], made.validation.targets[:40])


@pytest.mark.parametrize("task", BLUEPRINT)
def test_one_pass_over_all_versions_gives_the_numbers_of_a_pass_each(task: str) -> None:
    host, data = grown(task, (0.7, 1.0))
    first, second = list(host.slots)[:2]
    with torch.no_grad():
        apart = torch.stack([host(data.inputs, without) for without in ((), (first,), (second,), (first, second))])
    together = host.versions(data.inputs, [{}, {first: 0.0}, {second: 0.0}, {first: 0.0, second: 0.0}])
    assert together.shape == apart.shape
    torch.testing.assert_close(together, apart, rtol=0.0, atol=TOLERANCE)
    assert torch.equal(together.argmax(-1), apart.argmax(-1))
    # The four versions do differ, so that nothing was compared with itself.
    assert len({row.sum().item() for row in apart}) == 4


def test_any_alpha_can_be_tried_and_the_host_stays_as_it_is() -> None:
    host, data = grown("spirals", (1.0, 1.0))
    tried = host.versions(data.inputs, [{"s0": 0.25}, {}])
    held = host.slot("s0").state
    host.slot("s0").state = replace(held, ramp=Ramp(0.25, 0.25))
    with torch.no_grad():
        torch.testing.assert_close(tried[0], host(data.inputs), rtol=0.0, atol=TOLERANCE)
    host.slot("s0").state = held
    with torch.no_grad():
        torch.testing.assert_close(tried[1], host(data.inputs), rtol=0.0, atol=TOLERANCE)


def test_an_error_in_the_middle_leaves_no_slot_with_another_alpha() -> None:
    host, data = grown("spirals", (1.0, 1.0))
    with torch.no_grad():
        before = host(data.inputs)
    with pytest.raises(RuntimeError):
        host.versions(data.inputs[:, :1], [{"s0": 0.0}, {}])
    with torch.no_grad():
        assert torch.equal(host(data.inputs), before)
    with pytest.raises(AssertionError):
        host.versions(data.inputs, [{"s9": 0.0}])
    with pytest.raises(AssertionError, match="statistics"):
        host.train().versions(data.inputs, [{}])


def test_a_seed_of_nan_is_not_in_the_version_without_it() -> None:
    host, data = grown("spirals", (1.0, 1.0))
    seed = host.slot("s0").seed
    assert seed is not None
    for parameter in seed.parameters():
        nn.init.constant_(parameter, math.nan)
    without, with_it = host.versions(data.inputs, [{"s0": 0.0}, {}])
    assert bool(torch.isfinite(without).all())
    assert not bool(torch.isfinite(with_it).any())


def test_a_contribution_is_accuracy_with_the_seed_minus_accuracy_without_it() -> None:
    host, data = grown("spirals", (1.0, 1.0))

    def accuracy(*without: str) -> float:
        with torch.no_grad():
            return float((host(data.inputs, without).argmax(-1) == data.targets).float().mean())

    found = contributions(host, data, ("s0", "s1"))
    assert {slot: effect.mean for slot, effect in found.items()} == {
        "s0": pytest.approx(accuracy() - accuracy("s0"), abs=1e-6),
        "s1": pytest.approx(accuracy() - accuracy("s1"), abs=1e-6),
    }
    assert found["s0"].mean != 0.0
    # Sample by sample: the deviation of right with it minus right without it, over the root of one less than their number.
    with torch.no_grad():
        hits = [(host(data.inputs, without).argmax(-1) == data.targets).double() for without in ((), ("s0",))]
    differences = hits[0] - hits[1]
    assert found["s0"].error == pytest.approx(float(differences.std(correction=0)) / math.sqrt(len(differences) - 1))
    assert found["s0"].error > 0.0


@pytest.mark.parametrize("task", ["spirals", "pydoc_lm"])
def test_a_host_that_has_just_been_asked_is_not_asked_again_and_the_answer_is_the_same(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host, data = grown(task, (1.0, 1.0))
    host.eval()
    with torch.no_grad():
        hits = (host(data.inputs).argmax(-1) == data.targets).float()
    asked_for: list[int] = []
    versions = type(host).versions
    monkeypatch.setattr(type(host), "versions", lambda *asked: asked_for.append(len(asked[2])) or versions(*asked))
    assert contributions(host, data, ("s0", "s1"), hits) == contributions(host, data, ("s0", "s1"))
    assert asked_for == [2, 3]
    # What was seen of others is believed, which shows that it is what is used.
    assert contributions(host, data, ("s0",), torch.zeros_like(hits))["s0"].mean < 0.0


def test_a_paired_difference_has_the_error_of_its_mean() -> None:
    # Mean 0.25, and the unbiased deviation of these four is 0.5, over the root of 4.
    effect = paired(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    assert (effect.mean, effect.error) == (0.25, pytest.approx(0.25))
    assert paired(torch.zeros(5)).error == 0.0
    assert math.isinf(paired(torch.ones(1)).error)


def test_places_of_one_sequence_are_no_samples_of_their_own() -> None:
    host, data = grown("pydoc_lm", (1.0, 1.0))
    answers = ask(host, data, [{}])
    assert answers.hits.shape == answers.losses.shape == (1, len(data.targets))


@pytest.mark.parametrize(("deviations", "chosen"), [(1.645, 0.2), (1000.0, 0.8)])
def test_a_lower_alpha_is_chosen_where_it_surely_serves_better(deviations: float, chosen: float) -> None:
    """A seed that nobody has trained harms, so less of it is better; but nothing is as sure as a thousand standard errors."""
    host, data = grown("spirals", (0.8, 0.0))
    with torch.no_grad():
        data = Split(data.inputs, host(data.inputs, ("s0",)).argmax(-1))
    found = search_alpha(host, data, "s0", (0.25, 0.5, 0.75), deviations)
    assert found.alphas == pytest.approx((0.8, 0.2, 0.4, 0.6))
    assert found.chosen == pytest.approx(chosen)
    assert found.losses[1] == min(found.losses)


def test_the_present_alpha_stays_where_it_serves_best() -> None:
    host, data = grown("spirals", (0.8, 0.0))
    with torch.no_grad():
        # Whatever this host answers is right, and the surer the more it is itself.
        data = Split(data.inputs, host(data.inputs).argmax(-1))
    assert search_alpha(host, data, "s0", (0.25, 0.5, 0.75), deviations=0.0).chosen == 0.8


def test_coalitions_are_worth_their_accuracy_however_many_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    host, data = grown("spirals", (1.0, 1.0))
    asked = [frozenset[str](), frozenset({"s0"}), frozenset({"s1"}), frozenset({"s0", "s1"})]
    at_once = accuracy_of_coalitions(host, data, ("s0", "s1"))(asked)
    monkeypatch.setattr("tolaria.env.attribution.VERSIONS_MAX", 1)
    assert accuracy_of_coalitions(host, data, ("s0", "s1"))(asked) == at_once
    with torch.no_grad():
        assert at_once[2] == pytest.approx(float((host(data.inputs, ("s0",)).argmax(-1) == data.targets).float().mean()))


def test_what_a_host_learns_by_itself_is_credited_to_nobody() -> None:
    """A seed without effect, in a host that becomes much better from one measurement to the next."""
    host, data = grown("spirals", (1.0, 1.0))
    seed = host.slot("s0").seed
    assert seed is not None
    for parameter in seed.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.Adam(host.own_parameters().values(), lr=0.02)
    before = float(ask(host, data, [{}]).hits.mean())
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(host.train()(data.inputs), data.targets).backward()
        optimizer.step()
    assert float(ask(host, data, [{}]).hits.mean()) > before + 0.2
    effect = contributions(host, data, ("s0",))["s0"]
    assert (effect.mean, effect.error) == (0.0, 0.0)
