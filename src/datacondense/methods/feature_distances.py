# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Distances between the embeddings of real and of synthetic images, for distribution matching.

Each is summed over classes, and a class's part depends on that class alone.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..engine.losses import ce

FeatureDistance = Literal["mean", "mmd", "cf"]
Features = Literal["last", "attention"]

_OCTAVES = (-2, -1, 0, 1, 2)
_SCALE = 300  # of NCFM's loss
_SMALL = 1e-12


def mean_distance(real: Tensor, made: Tensor, *, relative: bool = False) -> Tensor:
    """Return the sum over classes of |real - made|^2, the distance of DM.

    Args:
        real: Mean embedding of each class's real images, (G, D).
        made: That of its synthetic images, (G, D).
        relative: Divide each class's distance by |real|^2.

    Returns:
        The distance, ().
    """
    squares = (real - made).square()
    if relative:
        squares = squares / real.square().sum(1, keepdim=True).clamp_min(_SMALL)
    return squares.sum()


def mmd(real: Tensor, made: Tensor) -> Tensor:
    """Return the sum over classes of the squared maximum mean discrepancy (M3D, Zhang et al., AAAI 2024).

    mean K(S, S) - 2 mean K(S, T) + mean K(T, T) over all pairs, with a(b) = exp(-|x - y|^2 / b) and the kernel
    K = a(b/4) + a(b/2) + a(b) + a(2b) + a(4b). b is the mean squared distance of two different images of S and T
    joined, a constant of the gradient.

    Args:
        real: Embeddings of each class's real images T, (G, m, D).
        made: Those of its synthetic images S, (G, n, D).

    Returns:
        The distance, ().
    """
    centre = real.mean(1, keepdim=True)  # no distance changes, and less cancels in its sum
    real, made = real - centre, made - centre
    squares = [_squared_distances(*pair) for pair in ((made, made), (made, real), (real, real))]
    images = real.shape[1] + made.shape[1]
    among, across, of_real = (each.detach().sum((1, 2)) for each in squares)
    bandwidth = (among + 2 * across + of_real).clamp_min(_SMALL) / (images * (images - 1))  # (G,)
    among, across, of_real = (_gaussians(each, bandwidth).mean((1, 2)) for each in squares)
    return (among - 2 * across + of_real).sum()


def characteristic(real: Tensor, made: Tensor, frequencies: Tensor) -> Tensor:
    """Return the sum over classes of the distance of characteristic functions (NCFM, Wang et al., CVPR 2025).

    300 mean_t sqrt(|phi_T(t) - phi_S(t)|^2 / 2 + 1e-12), phi(t) the mean of exp(i t.f) over embeddings f of length 1.
    The published sum of half the squared difference of amplitudes and half the phase error is the same. The root keeps
    every difference of sets above 0, and the distance does not see the length of embeddings.

    Args:
        real: Embeddings of each class's real images T, (G, m, D).
        made: Those of its synthetic images S, (G, n, D).
        frequencies: t, (F, D).

    Returns:
        The distance, ().
    """
    difference = _characteristic_function(real, frequencies) - _characteristic_function(made, frequencies)
    return _SCALE * (difference.square().sum(1) / 2 + _SMALL).sqrt().mean(1).sum()


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each class's images.

    Args:
        logits: Logits by class, (G, n, K).
        labels: Labels, int64 (G, n) or float (G, n, K).

    Returns:
        Mean losses, (G,).
    """
    return ce(logits.flatten(0, 1), labels.flatten(0, 1)).reshape(labels.shape[:2]).mean(1)


def scale_by_gradient(matching: Tensor, made: Tensor, losses: Tensor, embeddings: Tensor) -> Tensor:
    """Return the factor on each class's loss with which both gradients have the same norm.

    Args:
        matching: The distance, () and differentiable in `made`.
        made: Embeddings under the network that compares, (G, n, D).
        losses: A loss of each class, (G,), differentiable in `embeddings`.
        embeddings: Embeddings under the network that classifies, (G, n, D').

    Returns:
        |d matching / d made_k| / |d losses_k / d embeddings_k|, (G,), without gradient.
    """
    (of_matching,) = torch.autograd.grad(matching, made, retain_graph=True)
    (of_losses,) = torch.autograd.grad(losses.sum(), embeddings, retain_graph=True)
    wanted, found = (gradient.square().sum((1, 2)).sqrt() for gradient in (of_matching, of_losses))
    return wanted / found.clamp_min(_SMALL)


def balance(one: Tensor, other: Tensor, embeddings: Tensor) -> Tensor:
    """Return the factor on `other` with which its gradient in the embeddings has the norm of that of `one`.

    Args:
        one: A loss, (), differentiable in `embeddings`.
        other: Another loss, (), differentiable in `embeddings`.
        embeddings: Embeddings of any shape.

    Returns:
        |d one| / |d other|, (), without gradient.
    """
    of_one, of_other = (torch.autograd.grad(loss, embeddings, retain_graph=True)[0] for loss in (one, other))
    return of_one.norm() / of_other.norm().clamp_min(_SMALL)


def _squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """Return |x - y|^2 of all pairs of each class, (G, m, n)."""
    products = one @ other.transpose(1, 2)
    lengths = one.square().sum(2)[:, :, None] + other.square().sum(2)[:, None]
    return (lengths - 2 * products).clamp_min(0)


def _gaussians(squares: Tensor, bandwidth: Tensor) -> Tensor:
    """Return the kernel K of squared distances (G, m, n)."""
    scaled = -squares / bandwidth[:, None, None]
    return torch.stack([(scaled * 2.0**-octave).exp() for octave in _OCTAVES]).sum(0)


def _characteristic_function(embeddings: Tensor, frequencies: Tensor) -> Tensor:
    """Return real and imaginary part at each frequency, (G, 2, F); one class at a time bounds the memory."""
    values: list[Tensor] = []
    for of_class in F.normalize(embeddings, dim=2):
        phases = of_class @ frequencies.T  # (n, F)
        values.append(torch.stack([phases.cos().mean(0), phases.sin().mean(0)]))
    return torch.stack(values)
