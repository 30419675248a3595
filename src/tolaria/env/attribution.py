"""What seeds contribute: the host as it is now against the very same host without them, on the same samples.

Whatever the host has learnt by itself is on both sides and cancels, so that no seed is ever credited with it. All versions of
the host go through the network in one pass (`Host.versions`), and every difference is taken sample by sample: the standard
error of a paired difference is what a commit may lean on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tolaria.host.host import Host
from tolaria.tasks.task import Split

# So many versions go through the network at once; more of them take several passes, and the memory of one.
VERSIONS_MAX = 16

Alphas = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Effect:
    """The mean of a difference over samples, and its standard error; infinite where one sample says nothing of the others."""

    mean: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of each version of a host and each sample: how much of it was answered rightly, in [0, 1], and its loss in nats. Both [K, N]."""

    hits: torch.Tensor
    losses: torch.Tensor


def ask(host: Host, data: Split, versions: Sequence[Alphas]) -> Answers:
    """The answers of all versions, in evaluation mode; places of one sequence are averaged, because they are no samples of their own."""
    host.eval()
    hits, losses = [], []
    for start in range(0, len(versions), VERSIONS_MAX):
        logits = host.versions(data.inputs, versions[start : start + VERSIONS_MAX]).float()  # [K, N, C] or [K, N, T, C]
        targets = data.targets.expand(logits.shape[:-1])
        right = (logits.argmax(dim=-1) == targets).float()
        loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view_as(right)
        hits.append(right.flatten(2).mean(dim=-1) if right.dim() > 2 else right)
        losses.append(loss.flatten(2).mean(dim=-1) if loss.dim() > 2 else loss)
    return Answers(torch.cat(hits), torch.cat(losses))


def contributions(host: Host, data: Split, slots: Sequence[str], hits: torch.Tensor | None = None) -> dict[str, Effect]:
    """Accuracy with each of these slots' seeds minus accuracy without it, the others as they are.

    `hits` [N] or [N, T] are the host's own, 1 where it answers rightly, if somebody has just asked it; then it is not asked again.
    """
    asked: list[Alphas] = [{slot: 0.0} for slot in slots]
    if hits is None:
        whole, *others = ask(host, data, [{}, *asked]).hits
    else:
        whole, others = hits.flatten(1).mean(dim=-1) if hits.dim() > 1 else hits, list(ask(host, data, asked).hits)
    return {slot: paired(whole - without) for slot, without in zip(slots, others, strict=True)}


def paired(differences: torch.Tensor) -> Effect:
    """The effect behind differences [N], one for each sample."""
    mean, spread = torch.stack([differences.double().mean(), differences.double().std(correction=0)]).tolist()
    count = len(differences)
    return Effect(mean, spread / math.sqrt(count - 1) if count > 1 else math.inf)


@dataclass(frozen=True, slots=True)
class Search:
    """Strengths of a seed that were tried, the validation loss at each, and the one to commit at; the first is the present one."""

    alphas: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def search_alpha(host: Host, data: Split, slot: str, shares: Sequence[float], deviations: float) -> Search:
    """Whether a share of the present alpha serves better: by its mean loss, and by so many standard errors of the paired gain."""
    present = host.slot(slot).strength
    alphas = (present, *(present * share for share in shares))
    losses = ask(host, data, [{slot: alpha} for alpha in alphas]).losses  # [K, N]
    means = losses.double().mean(dim=1).tolist()
    best = min(range(len(alphas)), key=means.__getitem__)
    gain = paired(losses[0] - losses[best])
    chosen = best if gain.mean - deviations * gain.error > 0.0 else 0
    return Search(alphas, tuple(means), alphas[chosen])


def accuracy_of_coalitions(host: Host, data: Split, slots: Sequence[str]) -> Callable[[Sequence[frozenset[str]]], list[float]]:
    """Values of coalitions for `shapley.py`: the accuracy with the seeds of these slots that are in it, and without the others."""

    def accuracies(coalitions: Sequence[frozenset[str]]) -> list[float]:
        answers = ask(host, data, [{slot: 0.0 for slot in slots if slot not in coalition} for coalition in coalitions])
        found: list[float] = answers.hits.double().mean(dim=1).tolist()
        return found

    return accuracies
