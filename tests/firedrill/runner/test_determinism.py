import os
from collections.abc import Iterator

import pytest
import torch

from firedrill.runner.determinism import WORKSPACE, Certified, certificate, certify, settings, settle
from tolaria.env.config import TrainingConfig
from tolaria.train.config import TrainConfig

CONFIG = TrainConfig(task="spirals", envs=1, steps=3, rollout_steps=3, training=TrainingConfig(batches_per_step=1))


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is settled is settled for one test."""
    for owner, name in (
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cuda.matmul, "allow_tf32"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.delenv(WORKSPACE, raising=False)
    yield
    torch.use_deterministic_algorithms(False)
    os.environ.pop(WORKSPACE, None)


def test_a_process_of_the_cpu_is_left_as_it_is() -> None:
    before = settings()
    settle("cpu")
    assert settings() == before


def test_a_process_of_a_device_is_told_to_compute_the_same_bits_every_time() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    settle("cuda")
    told = settings()
    assert {name: told[name] for name in ("deterministic algorithms", "only warned of others", WORKSPACE)} == {
        "deterministic algorithms": "True",
        "only warned of others": "True",
        WORKSPACE: ":4096:8",
    }
    assert [told[name] for name in ("cuDNN benchmark", "cuDNN TF32", "matmul TF32")] == ["False"] * 3


def test_a_workspace_that_somebody_chose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":16:8")
    settle("cuda")
    assert settings()[WORKSPACE] == ":16:8"


def test_the_same_run_is_certified_as_the_same_and_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    (same,) = certify({"spirals": CONFIG})
    assert same.is_same
    drawn = iter(range(100))
    perturbed = torch.nn.Module.train

    def train(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
        # As a device does that adds in another order each time.
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1.0 + 1e-6 * next(drawn))
                break
        return perturbed(module, mode)

    monkeypatch.setattr(torch.nn.Module, "train", train)
    (other,) = certify({"spirals": CONFIG})
    assert not other.is_same


def test_a_certificate_holds_the_settings_and_every_task() -> None:
    found = certificate("cuda", [Certified("a", ("1", "1")), Certified("b", ("1", "2"))])
    assert (found["schema"], found["device"], found["settings"]) == ("firedrill.certificate/1.0", "cuda", settings())
    assert found["tasks"] == [
        {"task": "a", "digests": ("1", "1"), "is_same": True},
        {"task": "b", "digests": ("1", "2"), "is_same": False},
    ]
