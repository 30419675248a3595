"""What holds for every task of the table."""

import math

import pytest
import torch

from tolaria.host.host import Host
from tolaria.tasks import TASKS
from tolaria.tasks.task import Split, split_stratified

NAMES = sorted(TASKS)
# Each sample is one of a class there; a text is cut otherwise, see test_text.py.
CLASSIFIED = [name for name in NAMES if TASKS[name]().train.targets.dim() == 1]


def rows(split: Split) -> list[bytes]:
    return [row.numpy().tobytes() for row in split.inputs]


@pytest.mark.parametrize("name", NAMES)
def test_a_task_bears_its_name(name: str) -> None:
    assert TASKS[name]().name == name


@pytest.mark.parametrize("name", CLASSIFIED)
def test_splits_are_sixty_twenty_twenty_percent(name: str) -> None:
    task = TASKS[name]()
    sizes = [len(split.targets) for split in (task.train, task.validation, task.test)]
    assert [size / sum(sizes) for size in sizes] == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    assert [len(split.inputs) for split in (task.train, task.validation, task.test)] == sizes


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint(name: str) -> None:
    task = TASKS[name]()
    train, validation, test = rows(task.train), rows(task.validation), rows(task.test)
    assert set(validation) & set(test) == set()
    assert set(train) & set(test) == set()
    assert set(train) & set(validation) == set()


@pytest.mark.parametrize("name", CLASSIFIED)
def test_every_class_has_its_share_in_every_split(name: str) -> None:
    task = TASKS[name]()
    splits = (task.train, task.validation, task.test)
    shares = [torch.bincount(split.targets, minlength=task.classes) / len(split.targets) for split in splits]
    assert len(shares[0]) == task.classes
    assert torch.allclose(shares[0], shares[1], atol=0.01)
    assert torch.allclose(shares[0], shares[2], atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_host_is_about_as_good_as_chance(name: str) -> None:
    task = TASKS[name]()
    host = task.build_host(0)
    assert isinstance(host, Host)
    assert host.family == task.family
    logits = host(task.train.inputs[:64])
    assert task.train.targets.dtype is torch.int64
    assert logits.shape == (*task.train.targets[:64].shape, task.classes)
    assert float(task.loss(logits, task.train.targets[:64]).detach()) == pytest.approx(task.chance_loss, abs=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_hosts_depend_on_their_seed_alone(name: str) -> None:
    task = TASKS[name]()
    first, same, other = (task.build_host(seed).tensors() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_the_same_each_time(name: str) -> None:
    assert rows(TASKS[name]().train) == rows(TASKS[name]().train)


def test_chance_and_explosion_are_measured_in_nats() -> None:
    digits, spirals = TASKS["digits"](), TASKS["spirals"]()
    assert digits.chance_loss == math.log(10)
    assert digits.explosion_loss == 1.5 * math.log(10)
    assert spirals.chance_loss == math.log(3)


def test_the_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.5], [0.75, 0.25]]))
    assert float(TASKS["spirals"]().loss(logits, torch.tensor([0, 1]))) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_every_place_of_a_sequence_counts_alike_in_the_loss() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.75, 0.25]], [[0.5, 0.5], [0.5, 0.5]]]))
    expected = (math.log(2) + math.log(4) + 2 * math.log(2)) / 4
    assert float(TASKS["pydoc_lm"]().loss(logits, torch.tensor([[0, 1], [0, 0]]))) == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_knows_the_frequencies_of_the_classes_is_no_worse_than_chance(name: str) -> None:
    task = TASKS[name]()
    assert 0.0 < task.prior_loss < task.chance_loss + 0.01


def test_a_split_keeps_inputs_with_their_targets() -> None:
    targets = torch.tensor([0] * 10 + [1] * 5)
    train, validation, test = split_stratified(torch.arange(15.0)[:, None], targets, 0)
    assert [torch.bincount(split.targets).tolist() for split in (train, validation, test)] == [[6, 3], [2, 1], [2, 1]]
    for split in (train, validation, test):
        assert [int(value >= 10) for value in split.inputs[:, 0]] == split.targets.tolist()


def test_another_seed_splits_otherwise() -> None:
    inputs, targets = torch.arange(20.0)[:, None], torch.zeros(20, dtype=torch.int64)
    first, same, other = (split_stratified(inputs, targets, seed)[0].inputs.flatten().tolist() for seed in (0, 0, 1))
    assert first == same != other
