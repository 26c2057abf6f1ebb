"""IDC, literally (Kim et al., ICML 2022): the oracle of the tests.

Several images are stored as the tiles of one. In each inner step the classes take turns: one step of the optimiser,
which holds the images of all classes, on the loss of one class. Then the network trains on real images.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from naive import gradient_distance
from torch import Tensor, nn
from torch.nn import functional as F


def decode(stored: Tensor, factor: int) -> Tensor:
    """Return the tiles of stored images (n, C, H, W), enlarged to H x W: (n factor^2, C, H, W), tile by tile."""
    side_rows, side_columns = stored.shape[2] // factor, stored.shape[3] // factor
    views: list[Tensor] = []
    for row in range(factor):
        for column in range(factor):
            top, left = row * side_rows, column * side_columns
            tile = stored[:, :, top : top + side_rows, left : left + side_columns]
            views.append(F.interpolate(tile, stored.shape[2:], mode="bilinear"))
    return torch.cat(views)


def class_loss(
    network: nn.Module,
    real: Tensor,
    synthetic: Tensor,
    label: int,
    augment: Callable[[Tensor], Tensor],
    metric: str,
) -> Tensor:
    """Return D(grad CE(A(synthetic)), grad CE(A(real))) of one class, over the weights of convolutions."""
    gradients: list[Sequence[Tensor]] = []
    for images in (real, synthetic):
        loss = F.cross_entropy(network(augment(images)), torch.full((len(images),), label))
        gradients.append(torch.autograd.grad(loss, list(network.parameters()), create_graph=images is synthetic))
    return gradient_distance([one.detach() for one in gradients[0]], gradients[1], metric)


def inner_step(
    network: nn.Module,
    stored: Tensor,
    optimiser: torch.optim.Optimizer,
    real: Sequence[Tensor],
    augment: Sequence[Callable[[Tensor], Tensor]],
    metric: str,
    factor: int,
) -> list[float]:
    """Make one step for each class in turn. Return its losses.

    stored: leaf (K n, C, H, W), class by class; real: images (B, C, H, W) of each class.
    """
    losses: list[float] = []
    each = len(stored) // len(real)
    for k, (real_k, augment_k) in enumerate(zip(real, augment, strict=True)):
        views = decode(stored[k * each : (k + 1) * each], factor)
        loss = class_loss(network, real_k, views, k, augment_k, metric)
        optimiser.zero_grad()
        loss.backward(inputs=[stored])
        optimiser.step()
        losses.append(loss.item())
    return losses


def train(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], sgd: torch.optim.Optimizer) -> None:
    """Train a network on batches of images and labels, which may be soft."""
    for images, labels in batches:
        sgd.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        sgd.step()
