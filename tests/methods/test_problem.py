"""The problem that a method solves."""

import torch
from torch.nn import functional as F

from datacondense import Problem, Recipe
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.synthetic.parameters import Pixels
from datacondense.utils.streams import Streams

EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=64, classes_at_once=3, threads=1)


def test_an_epoch_on_the_images_takes_loss_and_batch_from_a_recipe(toy) -> None:
    problem = Problem(toy(), 4, "MLP", "none", Engine(EAGER))
    synthetic = Pixels(problem.first_images(Streams(0)))
    ours = problem.fresh_network(Streams(1)("network")).requires_grad_(True)
    before = [weight.detach().clone() for weight in ours.parameters()]
    images, labels = synthetic().detach().flatten(0, 1), torch.arange(3).repeat_interleave(4)
    loss = 0.5 * (ours(images) - F.one_hot(labels, 3).float() + 1 / 3).square().sum(1).mean()
    expected = [w - 0.1 * g for w, g in zip(before, torch.autograd.grad(loss, list(ours.parameters())), strict=True)]
    sgd = torch.optim.SGD(ours.parameters(), lr=0.1)
    problem.train_epoch(ours, synthetic, Streams(2), sgd, Recipe(epochs=1, batch=12, loss="mse"))
    for weight, one in zip(ours.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.detach(), one.detach())
