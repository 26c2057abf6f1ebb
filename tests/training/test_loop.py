"""The loop that trains a network."""

import torch

from datacondense.augment import parse
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.networks import build
from datacondense.training.loop import Training, train
from datacondense.training.recipe import Recipe
from datacondense.utils.streams import Streams


def test_a_training_that_was_put_down_is_taken_up_bit_for_bit(toy) -> None:
    real, recipe = toy(), Recipe(epochs=5, augment="crop", batch=50)
    engine, augment = Engine(Compute().plan("ConvNetD1", real.spec, 1)), parse("crop", real.spec)
    whole, part, rest = (build("ConvNetD1", real.spec) for _ in range(3))
    train(whole, real, Streams(3), engine, recipe, augment=augment)
    for epochs in range(6):
        first = Training(part, real, Streams(3), engine, recipe, augment=augment)
        for _ in range(epochs):
            first.epoch()
        second = Training(rest, real, Streams(3), engine, recipe, augment=augment)
        second.restore(first.state())
        while second.done < recipe.epochs:
            second.epoch()
        assert all(map(torch.equal, whole.state_dict().values(), rest.state_dict().values()))
