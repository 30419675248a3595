import pytest
import torch

from firedrill.bench.cases import MODES, SIZES, Built, Limit, Pair, Size, _prepared, _training, contestants, groups, model_of
from firedrill.bench.snapshot import AGAINST

TINY = Size(2_000, 6, 2)


@pytest.mark.parametrize("name", ["0.1M", "1M"])
def test_a_model_has_the_tensors_and_about_the_parameters_of_its_size(name: str) -> None:
    parameters = list(model_of(SIZES[name]).parameters())
    assert len(parameters) == SIZES[name].tensors
    assert sum(parameter.numel() for parameter in parameters) == pytest.approx(SIZES[name].params, rel=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_every_contestant_can_be_prepared_and_run(mode: str) -> None:
    found = [contestant for group in groups(TINY) for contestant in contestants(group, TINY, mode).items()]
    assert set(AGAINST) <= {name for name, _ in found}
    assert len({name for name, _ in found}) == len(found)
    for _, contestant in found:
        assert contestant.sampled().cpu > 0.0


def test_every_peer_works_in_a_process_of_its_own() -> None:
    alone = [group for group in groups(SIZES["1M"]) if len(contestants(group, TINY, "hot")) == 1]
    copies = ["clone and isfinite", "deepcopy of state_dict", "deepcopy into fresh pages", "torch.save", "StateDictStager"]
    assert alone == [*copies, "safetensors save", "load_state_dict"]
    assert groups(SIZES["1M"]) == ("limit", "engine", *alone)


def test_training_between_samples_changes_weights_and_leaves_gradients() -> None:
    model = model_of(TINY)
    before = [parameter.clone() for parameter in model.parameters()]
    _training(model)()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert any(not torch.equal(parameter, was) for parameter, was in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize(("mode", "called", "touched"), [("hot", 1, 0), ("train", 0, 1)])
def test_hot_calls_once_more_and_train_touches_parameters(mode: str, called: int, touched: int) -> None:
    calls: list[str] = []
    built = Built({"take": lambda: calls.append("call")}, lambda: calls.append("touch"), lambda: calls.append("before"))
    _prepared(built, mode, TINY)["take"].prepare()
    assert (calls.count("call"), calls.count("touch"), calls[-1]) == (called, touched, "before")


def test_the_engine_alternates_between_two_copies_and_restores_the_committed_one() -> None:
    live = {"w": torch.nn.Parameter(torch.ones(4))}
    pair = Pair(live)
    pair.take()
    with torch.no_grad():
        live["w"].fill_(2.0)
    pair.validated_take()
    with torch.no_grad():
        live["w"].fill_(3.0)
    pair.restore()
    assert live["w"].tolist() == [2.0] * 4


def test_the_engine_does_not_commit_what_is_not_finite() -> None:
    live = {"w": torch.nn.Parameter(torch.ones(4))}
    pair = Pair(live)
    pair.take()
    with torch.no_grad():
        live["w"].fill_(float("nan"))
    with pytest.raises(AssertionError):
        pair.validated_take()
    pair.restore()
    assert live["w"].tolist() == [1.0] * 4


@pytest.mark.parametrize(("out", "back"), [("out", "back"), ("out_in_tensors", "back_in_tensors")])
def test_the_limit_moves_every_byte_out_and_back(out: str, back: str) -> None:
    limit = Limit([3, 64, 1])
    wanted = torch.arange(68, dtype=torch.uint8)
    limit.source.copy_(wanted)
    getattr(limit, out)()
    limit.source.zero_()
    getattr(limit, back)()
    assert limit.source.tolist() == wanted.tolist()


def test_the_limit_has_as_many_targets_as_the_engine_has_arenas() -> None:
    limit = Limit([4])
    for value in (1, 2):
        limit.source.fill_(value)
        limit.out()
    limit.back()
    assert limit.source.tolist() == [2] * 4
    limit.out()
    limit.source.zero_()
    limit.back()
    assert limit.source.tolist() == [2] * 4
