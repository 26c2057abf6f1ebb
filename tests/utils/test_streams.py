import torch

from datacondense.utils.streams import Streams


def numbers(generator: torch.Generator) -> list[float]:
    return torch.rand(4, generator=generator).tolist()


def test_the_same_address_draws_the_same_numbers() -> None:
    assert numbers(Streams(3).at(7)("real")) == numbers(Streams(3).at(7)("real"))


def test_seed_position_and_name_each_change_the_numbers() -> None:
    addresses = [Streams(0)("a"), Streams(1)("a"), Streams(0)("b"), Streams(0).at(1)("a"), Streams(0).at(1, 1)("a")]
    draws = [tuple(numbers(generator)) for generator in addresses]
    assert len(set(draws)) == len(draws)


def test_words_keep_consumers_apart() -> None:
    assert numbers(Streams(0).at("evaluate", 1)("a")) != numbers(Streams(0).at(1)("a"))


def test_positions_nest() -> None:
    assert numbers(Streams(0).at(1).at(2)("a")) == numbers(Streams(0).at(1, 2)("a"))
    assert numbers(Streams(0).at(1, 12)("a")) != numbers(Streams(0).at(11, 2)("a"))


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    numbers(Streams(0).at(1)("a"))
    assert torch.equal(state, torch.get_rng_state())
