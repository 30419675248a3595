import torch

from tolaria.policy.agent import Agent, Seen
from tolaria.policy.config import NetworkConfig
from tolaria.policy.distribution import IndependentHeads


def agent_of(memory: str = "lstm") -> Agent:
    return Agent(3, IndependentHeads((4, 2), masked=True), 2, NetworkConfig(widths=(8,), memory=memory, memory_size=8), seed=1)


def seen(*asked: bool) -> Seen:
    masks = torch.tensor([[True, True, False, True, True, True], [False, True, False, False, False, True]])
    return Seen(torch.tensor([[0.5, -1.0, 2.0], [1.0, 1.0, 0.0]]), masks, torch.tensor(asked))


def test_what_was_decided_is_recorded_for_each_environment() -> None:
    decided = agent_of().act(seen(True, True))
    record = decided.record(1)
    assert record.indices.tolist() == [1, 1]
    assert (record.forced, decided.record(0).forced) == (True, False)
    assert record.log_prob == 0.0
    assert record.mask.tolist() == [False, True, False, False, False, True]


def test_who_is_not_asked_draws_nothing_and_remembers_nothing() -> None:
    asked, idle = agent_of(), agent_of()
    for _ in range(3):
        asked.act(seen(True, False))
        idle.act(seen(True, True))
    assert not bool(asked.recurrent_state()[0][1].any())
    # Its stream stands where it began, so that it decides what the first decision of the other was.
    assert torch.equal(asked.tensors()["generator.1"], agent_of().tensors()["generator.1"])
    assert not torch.equal(idle.tensors()["generator.1"], agent_of().tensors()["generator.1"])


def test_the_likeliest_actions_draw_nothing_and_are_the_same_each_time_without_memory() -> None:
    agent = agent_of("none")
    with torch.no_grad():
        agent.net.heads[0].bias.copy_(torch.tensor([0.0, 1.0, 9.0, 2.0]))
    before = agent.tensors()
    # What is illegal is not chosen, however likely it were.
    assert [agent.act_best(seen(True, True))[:, 0].tolist() for _ in range(2)] == [[3, 1], [3, 1]]
    assert all(torch.equal(tensor, before[name]) for name, tensor in agent.tensors().items())


def test_the_likeliest_actions_advance_the_memory_of_who_is_asked() -> None:
    agent = agent_of()
    agent.act_best(seen(False, True))
    assert [bool(row.any()) for row in agent.recurrent_state()[0]] == [False, True]
