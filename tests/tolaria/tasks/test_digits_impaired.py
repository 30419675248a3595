import torch

from tolaria.tasks.digits import digits
from tolaria.tasks.digits_impaired import digits_impaired


def shuffled(images: torch.Tensor) -> torch.Tensor:
    """The images with their halves exchanged; whole halves, because blocks pool over neighbours."""
    return images.roll(shifts=4, dims=-1)


def test_the_data_are_those_of_digits() -> None:
    whole, impaired = digits(), digits_impaired()
    assert torch.equal(whole.train.inputs, impaired.train.inputs)
    assert torch.equal(whole.test.targets, impaired.test.targets)


def test_the_host_cannot_tell_an_image_from_its_exchanged_halves() -> None:
    task = digits_impaired()
    host = task.build_host(0).eval()
    images = task.train.inputs[:4]
    assert torch.allclose(host(images), host(shuffled(images)), atol=1e-5)


def test_a_seed_that_sees_neighbours_can_tell_them_apart() -> None:
    task = digits_impaired()
    host = task.build_host(0).eval()
    host.germinate("s0", "conv_light", seed=0)
    seed = host.slot("s0").seed
    assert isinstance(seed, torch.nn.Sequential)
    images = task.train.inputs[:4]
    # All but the last layer, which is zero at birth.
    seen, seen_shuffled = (seed[:-1](host.blocks[0](version)).mean(dim=(2, 3)) for version in (images, shuffled(images)))
    assert not torch.allclose(seen, seen_shuffled, atol=1e-3)
