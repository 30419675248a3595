"""The host's last layer forgets what it knew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, tensors_digest
from tolaria.seams import ROLLED_BACK, STEP_BEGUN, STEP_FINISHED, WEIGHTS_UPDATED, Observed

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Trainee

CERTAIN = 20.0


@dataclass(frozen=True, slots=True)
class OutputLobotomize(Fault):
    """Imitates a network that fell to chance and stays there: a dead head after an overflow, or a mixed-up label table.

    constant_logits gives every class the same logit, so the loss is exactly ln C; zero_head keeps the biases;
    permuted_labels moves every class to its neighbour; single_class is certain of class 0.
    """

    mode: Literal["constant_logits", "zero_head", "permuted_labels", "single_class"] = "constant_logits"

    kind: ClassVar[str] = "output.lobotomize"
    phases: ClassVar[tuple[str, ...]] = tuple(seam.name for seam in (WEIGHTS_UPDATED, STEP_BEGUN, STEP_FINISHED, ROLLED_BACK))

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Rewrite the last linear layer of `head`, weight [C, D] and bias [C], in place."""
        trainee = value.trainee if isinstance(value, Observed) else value
        name, weight, bias = _last_layer(trainee)
        before = tensors_digest([weight, bias])
        self._rewrite(weight, bias)
        elements = weight.numel() + bias.numel()
        scene.witness(
            Strike(f"{name}.weight, {name}.bias", elements, before, tensors_digest([weight, bias]), str(weight.flatten()[0].item()))
        )
        return value

    def _rewrite(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        if self.mode == "permuted_labels":
            weight.copy_(weight.roll(1, 0))
            bias.copy_(bias.roll(1, 0))
            return
        weight.zero_()
        if self.mode != "zero_head":
            bias.zero_()
        if self.mode == "single_class":
            bias[0] = CERTAIN


def _last_layer(trainee: Trainee) -> tuple[str, torch.Tensor, torch.Tensor]:
    # By every name, because the weight of a head may be shared, and known by another place first.
    parameters = dict(trainee.host.named_parameters(remove_duplicate=False))
    names = [name.removesuffix(".weight") for name in parameters if name.startswith("head.") and name.endswith(".weight")]
    if not names or f"{names[-1]}.bias" not in parameters:
        raise CouldNotStrike("the host's head does not end in a linear layer with a bias")
    # Detached, because a leaf that learns refuses to be written.
    return names[-1], parameters[f"{names[-1]}.weight"].detach(), parameters[f"{names[-1]}.bias"].detach()
