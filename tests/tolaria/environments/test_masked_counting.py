import numpy as np

from tolaria.environments.masked_counting import LEGAL, STEPS, WORDS, MaskedCounting


def test_counting_on_is_worth_one_each_time() -> None:
    env = MaskedCounting()
    number, _ = env.reset(seed=3)
    total = 0.0
    for step in range(STEPS):
        mask = env.action_masks()
        assert int(mask.sum()) == LEGAL
        assert mask[(number + 1) % WORDS]
        assert mask[env.action_masks()].all()
        number, reward, terminated, _, _ = env.step((number + 1) % WORDS)
        total += reward
        assert terminated is (step == STEPS - 1)
    assert total == STEPS


def test_any_legal_word_is_right_in_one_of_four_cases_and_none_is_preferred() -> None:
    env, rng = MaskedCounting(), np.random.default_rng(0)
    rewards, said = [], np.zeros(WORDS)
    for episode in range(400):
        env.reset(seed=episode)
        terminated = False
        while not terminated:
            legal = np.flatnonzero(env.action_masks())
            said[legal] += 1
            _, reward, terminated, _, _ = env.step(int(rng.choice(legal)))
            rewards.append(reward)
    assert abs(np.mean(rewards) - 1.0 / LEGAL) < 0.03
    assert said.min() > 0.6 * said.mean()


def test_an_illegal_word_ends_the_episode() -> None:
    env = MaskedCounting()
    env.reset(seed=0)
    _, reward, terminated, _, _ = env.step(int(np.flatnonzero(~env.action_masks())[0]))
    assert (reward, terminated) == (0.0, True)
