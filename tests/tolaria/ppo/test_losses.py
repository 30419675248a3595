import math

import pytest
import torch

from tolaria.ppo.losses import approximate_kl, log_ratios, masked_mean, policy_loss, value_loss

ALL = torch.tensor([True, True])


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"), [(1.5, 2.0, -2.4), (0.5, 2.0, -1.0), (1.5, -2.0, 3.0), (0.5, -2.0, 1.6), (1.1, 2.0, -2.2)]
)
def test_the_surrogate_is_clipped_where_it_would_flatter(ratio: float, advantage: float, loss: float) -> None:
    log_ratio = torch.tensor([math.log(ratio)])
    assert policy_loss(log_ratio, torch.tensor([advantage]), torch.tensor([True]), clip=0.2).item() == pytest.approx(loss)


def test_the_value_loss_is_a_weighted_mean() -> None:
    loss = value_loss(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.25]))
    assert loss.item() == pytest.approx((2.0 + 0.25 * 0.5) / 1.25)


def test_rows_of_weight_zero_can_hold_anything() -> None:
    loss = value_loss(torch.tensor([1.0, torch.nan]), torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0]))
    assert loss.item() == 2.0


def test_kl_is_zero_for_the_same_policy_and_positive_for_another() -> None:
    assert approximate_kl(torch.zeros(2), ALL).item() == 0.0
    assert approximate_kl(torch.tensor([math.log(2.0), math.log(0.5)]), ALL).item() == pytest.approx((1.0 - 0.5) / 2.0)


def test_an_exploded_ratio_stays_a_number() -> None:
    log_ratio = log_ratios(torch.tensor([0.0, -500.0]), torch.tensor([-500.0, 0.0]))
    assert bool(approximate_kl(log_ratio, ALL).isfinite())
    assert bool(policy_loss(log_ratio, torch.tensor([-1.0, 1.0]), ALL, clip=0.2).isfinite())


def test_the_mean_over_no_rows_is_zero() -> None:
    assert masked_mean(torch.tensor([torch.nan, 1.0]), torch.tensor([False, False])).item() == 0.0
