"""Gradients in the weights of a network: of several classes, as a function that can be compiled and differentiated."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import torch
from torch import Tensor

from ..networks import Network
from ..networks.layers import at_least_float32
from .losses import Criterion


def class_gradient_function(network: Network, side_by_side: bool, loss: Criterion) -> Callable[..., dict[str, Tensor]]:
    """Return a function that computes the gradients of the losses of G classes in the weights of a network.

    Its arguments are images (G, n, C, H, W), labels (G, n) or (G, n, K), shares (n,) and weights; it returns
    weight -> (G, *shape). The loss of a class is that of its images, each times its share. `side_by_side` runs the
    classes as one batched computation, otherwise G is 1. Differentiation happens inside (torch.func), because code
    compiled by torch.compile can be differentiated once only.
    """

    def class_loss(weights: dict[str, Tensor], images: Tensor, labels: Tensor, share: Tensor) -> Tensor:
        logits = at_least_float32(torch.func.functional_call(network, weights, (images,)))
        return (loss(logits, labels) * share).sum()

    class_gradient = torch.func.grad(class_loss)
    batched_gradients = torch.func.vmap(class_gradient, in_dims=(None, 0, 0, None))

    def gradients(images: Tensor, labels: Tensor, share: Tensor, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if side_by_side:
            return batched_gradients(weights, images, labels, share)
        batch = images[0]  # (n, C, H, W)
        if torch.compiler.is_compiling() and network.channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return {name: gradient[None] for name, gradient in class_gradient(weights, batch, labels[0], share).items()}

    return gradients


def add(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the sum of two gradients, weight by weight."""
    return {name: value + other[name] for name, value in one.items()}


@contextmanager
def trainable(network: Network) -> Generator[None, None, None]:
    """Let all weights of a network require gradients, and restore their earlier setting on leaving."""
    before = [weight.requires_grad for weight in network.parameters()]
    network.requires_grad_(True)
    try:
        yield
    finally:
        for weight, required in zip(network.parameters(), before, strict=True):
            weight.requires_grad_(required)


def gradient_tensors(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Return the gradient of each parameter; a missing one becomes zeros."""
    found: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found
