import torch

from tolaria.tasks.batches import BatchStream
from tolaria.tasks.digits import digits


def test_images_are_single_channel_and_scaled() -> None:
    inputs = digits().train.inputs
    assert inputs.shape[1:] == (1, 8, 8)
    assert inputs.dtype is torch.float32
    assert (float(inputs.min()), float(inputs.max())) == (0.0, 1.0)


def test_all_images_are_used() -> None:
    task = digits()
    assert sum(len(split.targets) for split in (task.train, task.validation, task.test)) == 1797


def test_the_host_learns_most_digits_within_twenty_steps_of_ten_batches() -> None:
    task = digits()
    host = task.build_host(0)
    optimizer = torch.optim.SGD(host.parameters(), lr=task.learning_rate, momentum=0.9)
    batches = BatchStream(len(task.train.targets), task.batch_size, 0)
    for _ in range(200):
        rows = batches.next()
        optimizer.zero_grad()
        task.loss(host(task.train.inputs[rows]), task.train.targets[rows]).backward()
        optimizer.step()
    host.eval()
    with torch.no_grad():
        accuracy = (host(task.validation.inputs).argmax(1) == task.validation.targets).float().mean()
    assert float(accuracy) > 0.9
