import json

import torch
from safetensors.torch import load, save

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.env.rate_cut import RateCut
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.governor_events import Ease


def test_a_rate_is_whole_until_it_is_cut_and_after_the_cut_has_ended() -> None:
    cut = RateCut().deepened(0.5, stepped=100, batches=20)
    assert [RateCut().at(0), cut.at(100), cut.at(119), cut.at(120)] == [1.0, 0.5, 0.5, 1.0]


def test_a_cut_on_top_of_another_multiplies_and_never_ends_sooner() -> None:
    first = RateCut().deepened(0.5, stepped=100, batches=40)
    # A rollback in between has undone sixty batches.
    second = first.deepened(0.5, stepped=40, batches=40)
    assert second == RateCut(0.25, 140)


def test_a_cut_that_has_ended_is_forgotten_by_the_next() -> None:
    assert RateCut(0.5, 100).deepened(0.5, stepped=100, batches=10) == RateCut(0.5, 110)


# On a host.


def build() -> CapsuleHost:
    return CapsuleHost(TASKS["spirals"](), TrainingConfig(batches_per_step=1), 0, torch.device("cpu"), NO_TAPS, lambda _: None)


def test_an_ease_cuts_the_rate_and_skips_data_and_a_rollback_undoes_neither() -> None:
    host = build()
    facts, number, rate = host.facts(), host.batches.number, host.learning_rate("host")
    batches = host.config.batches_per_step
    assert host.ease(0.5, steps=4, skip_steps=3) == Ease(0.5, 3 * batches)
    host.settle(facts)
    assert host.batches.number == number + 3 * batches
    assert host.learning_rate("host") == 0.5 * rate
    assert host.ease(0.5, steps=4, skip_steps=0) == Ease(0.25, 0)


def test_a_cut_rate_comes_back_when_its_time_is_over_also_for_seeds() -> None:
    host = build()
    host.host.germinate("s0", "residual_mlp", seed=1, steps=2)
    host.host.slot("s0").state = host.state("s0").advanced().ticked()
    host.renew_optimizers()
    host.ease(0.5, steps=1, skip_steps=0)
    seeds = [key for key in host.optimizers if key != "host"]
    cut = {key: host.learning_rate(key) for key in host.optimizers}
    host.batches_stepped["host"] = host.rate_cut.until
    assert seeds
    assert [host.learning_rate(key) / cut[key] for key in seeds] == [2.0] * len(seeds)


def test_a_cut_rate_comes_through_a_checkpoint() -> None:
    host = build()
    host.ease(0.5, steps=4, skip_steps=0)
    tensors = load(save({name: tensor.detach().clone() for name, tensor in host.all_tensors().items()}))
    facts = json.loads(json.dumps(host.checkpoint_facts()))
    again = build()
    again.resume(tensors, facts)
    assert again.rate_cut == host.rate_cut
