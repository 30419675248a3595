import torch

from tolaria.tasks.batches import BatchStream
from tolaria.tasks.spirals import spirals


def test_the_host_learns_the_arms_within_thirty_steps_of_ten_batches() -> None:
    task = spirals()
    host = task.build_host(0)
    optimizer = torch.optim.SGD(host.parameters(), lr=task.learning_rate, momentum=0.9)
    batches = BatchStream(len(task.train.targets), task.batch_size, 0)
    for _ in range(300):
        rows = batches.next()
        optimizer.zero_grad()
        task.loss(host(task.train.inputs[rows]), task.train.targets[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (host(task.test.inputs).argmax(1) == task.test.targets).float().mean()
    assert float(accuracy) > 0.9


def test_arms_are_not_linearly_separable() -> None:
    task = spirals()
    features = torch.cat([task.train.inputs, torch.ones(len(task.train.inputs), 1)], dim=1)
    classes = torch.nn.functional.one_hot(task.train.targets).float()
    weights = torch.linalg.lstsq(features, classes).solution
    accuracy = ((features @ weights).argmax(1) == task.train.targets).float().mean()
    assert float(accuracy) < 0.6
