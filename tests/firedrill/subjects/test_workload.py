import pytest
import torch

from firedrill.scenario.subject import LOOP_BUFFERS, LOOP_PARAMETERS, LOOP_TASKS
from firedrill.subjects.workload import DATA, Workload


@pytest.mark.parametrize("task", LOOP_TASKS)
def test_a_selector_may_name_every_tensor_of_the_network(task: str) -> None:
    model = Workload(task, "sgd", 0, "cpu").model
    assert sorted(LOOP_PARAMETERS) == sorted(name for name, _ in model.named_parameters())
    assert sorted(LOOP_BUFFERS) == sorted(name for name, buffer in model.named_buffers() if buffer.is_floating_point())


def test_every_task_of_a_loop_has_data() -> None:
    assert set(LOOP_TASKS) == set(DATA)


def test_the_same_seed_gives_the_same_network_and_the_same_batches() -> None:
    torch.manual_seed(1)
    one = Workload("digits", "sgd", 3, "cpu")
    torch.manual_seed(2)
    other = Workload("digits", "sgd", 3, "cpu")
    assert all(map(torch.equal, one.model.parameters(), other.model.parameters()))
    for _ in range(3):
        assert all(map(torch.equal, one.batch(), other.batch()))


def test_validation_leaves_the_model_in_training_and_its_statistics_alone() -> None:
    work = Workload("spirals", "adam", 0, "cpu")
    before = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    loss, accuracy = work.validate()
    assert loss == pytest.approx(work.chance_loss, rel=0.2)
    assert 0.0 <= accuracy <= 1.0
    assert work.model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in work.model.state_dict().items())
