# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Ridge regression on the embeddings of synthetic images, in closed form.

Kernels are products of embeddings over the mean squared length of the synthetic ones, s, which is a constant of the
gradient: k(x, y) = x.y / s. So the ridge r is relative, and r I stands for r tr(K_SS) / n on the diagonal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..engine.losses import ce, mse

RIDGE = 1e-3
SHARPNESS = 10.0
"""Factor on the predictions of targets that differ by 1, which makes them logits."""
_SMALL = 1e-12
_LEAST = 1e-8  # of the mean of the diagonal; it decides where labels leave the error as it is


def ridge_predictions(
    real: Tensor, made: Tensor, targets: Tensor, *, ridge: float = RIDGE, sharpness: float | Tensor = 1.0
) -> Tensor:
    """Return sharpness K_TS (K_SS + ridge I)^-1 Y, the predictions of ridge regression.

    The system is solved in float64 by its Cholesky factor; for a ridge below RIDGE, the kernel is computed in float64,
    too. Predictions are NaN where there is no such factor.

    Args:
        real: Embeddings of the real images T, (N, D).
        made: Those of the synthetic images S, (n, D).
        targets: Y, (n, K).
        ridge: Relative ridge.
        sharpness: Factor on the predictions, a number or ().

    Returns:
        Predictions (N, K).
    """
    fine = ridge < RIDGE
    support, queries = _precise(made, double=fine), _precise(real, double=fine)
    scale = _squared_length(support)
    solution = _solved(support @ support.T / scale, targets.double(), ridge)
    weights = solution.to(support.dtype)  # (n, K)
    return sharpness * (queries @ support.T / scale) @ weights


def ridge_cross_entropy(real: Tensor, made: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of real images under ridge regression on the embeddings of the synthetic ones.

    Logits 10 K_TS (K_SS + 0.001 I)^-1 Y, Y the labels of the synthetic images less 1/K. This is the loss of FRePo
    (Zhou, Nezhadarya & Ba, NeurIPS 2022) with cross-entropy in place of squares, as in RCIG (Loo et al., ICML 2023).

    Args:
        real: Embeddings of the real images of all classes, (K, B, D).
        made: Those of the synthetic images, (K, V, D).
        labels: Labels of the synthetic images, int64 (K, V) or float (K, V, K).

    Returns:
        The mean loss of the real images, ().
    """
    classes, batch = real.shape[:2]
    targets = centred(labels.flatten(0, 1), classes)
    logits = ridge_predictions(real.flatten(0, 1), made.flatten(0, 1), targets, sharpness=SHARPNESS)
    return ce(logits, numbers(classes, batch, real.device)).mean().to(made.dtype)


def ridge_error(real: Tensor, made: Tensor, targets: Tensor, *, ridge: float = RIDGE) -> Tensor:
    """Return the mean of 1/2 |e_k - 1/K - prediction|^2 of real images, the loss of FRePo.

    Args:
        real: Embeddings of the real images of all classes, (K, B, D).
        made: Those of the synthetic images, (n, D).
        targets: Their targets Y, (n, K).
        ridge: Relative ridge.

    Returns:
        The mean loss of the real images, ().
    """
    classes, batch = real.shape[:2]
    predictions = ridge_predictions(real.flatten(0, 1), made, targets, ridge=ridge)
    return mse(predictions, numbers(classes, batch, real.device)).mean()


def solved_labels(made: Tensor, real: Iterable[tuple[Tensor, Tensor]], classes: int, *, ridge: float = RIDGE) -> Tensor:
    """Return the labels of synthetic images by which ridge regression errs least on the real ones (KIP's label solve).

    With A = K_TS (K_SS + ridge I)^-1, they minimise |Y_T - A Y|^2 + 1e-8 tr(A'A) |Y|^2 / n, Y_T the centred one-hot
    rows of the real images: Y = (A'A + e I)^-1 A' Y_T (Nguyen, Chen & Lee, ICLR 2021).

    Args:
        made: Embeddings of the synthetic images, (n, D).
        real: Embeddings (m, D) and classes (m,) of the real images, part by part.
        classes: The number of classes, K.
        ridge: Relative ridge.

    Returns:
        Labels float32 (n, K), which sum to 0.
    """
    support = made.double()
    scale, count = _squared_length(support), len(support)
    inverse = _solved(support @ support.T / scale, torch.eye(count, dtype=torch.float64, device=made.device), ridge)
    squares, products = support.new_zeros(count, count), support.new_zeros(count, classes)
    for embeddings, labels in real:
        rows = (embeddings.double() @ support.T / scale) @ inverse  # of A
        squares += rows.T @ rows
        products += rows.T @ centred(labels, classes)
    tiny = _LEAST * squares.diagonal().mean()
    return _solved(squares, products, tiny).float()


def centred(labels: Tensor, classes: int) -> Tensor:
    """Return labels, int64 (n,) or probabilities (n, K), as targets (n, K): probabilities less 1/K."""
    rows = labels if labels.is_floating_point() else F.one_hot(labels, classes)
    return rows.double() - 1 / classes


def numbers(classes: int, batch: int, device: torch.device) -> Tensor:
    """Return the classes of `batch` images of each class, class by class, int64 (K B,)."""
    return torch.arange(classes, device=device).repeat_interleave(batch)


@final
@dataclass(frozen=True)
class Regression:
    """The regression on the embeddings of all classes, for a loss that is computed for one group after the other."""

    real: Tensor
    """Embeddings of the real images, (K, B, D)."""
    gradient: Tensor
    """Gradient of the weighted loss in the embeddings of the synthetic images, (K, V, D)."""
    share: Tensor
    """The weighted loss over the number of classes, ()."""

    @staticmethod
    def of(loss: Tensor, real: Tensor, made: Tensor) -> "Regression":
        """Return the regression with a loss, (), of embeddings real (K, B, D) and made (K, V, D), a leaf."""
        (gradient,) = torch.autograd.grad(loss, made, retain_graph=True)
        return Regression(real, gradient, loss.detach() / len(made))

    def share_of(self, made: Tensor, group: slice) -> Tensor:
        """Return a group's share of the loss, (), whose gradient in the group's embeddings (G, V, D) is that of all."""
        product = (made * self.gradient[group]).sum()
        return product - product.detach() + self.share * len(made)


def _solved(kernel: Tensor, right: Tensor, ridge: float | Tensor) -> Tensor:
    """Return (kernel + ridge I)^-1 right in float64; NaN where the sum is not positive definite or not finite."""
    kernel = kernel.double()
    kernel = kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    factor: Tensor
    failed: Tensor
    factor, failed = torch.linalg.cholesky_ex(kernel)
    return torch.where(failed > 0, torch.nan, torch.cholesky_solve(right, factor))


def _squared_length(embeddings: Tensor) -> Tensor:
    """Return the mean squared length of embeddings (n, D), (), without gradient."""
    return embeddings.detach().square().sum(1).mean().clamp_min(_SMALL)


def _precise(embeddings: Tensor, *, double: bool = False) -> Tensor:
    """Return embeddings in float64 where products of float32 are rounded to TF32, which the small ridge cannot bear.

    double: for a ridge that products of float32 cannot bear either.
    """
    precision: str = torch.get_float32_matmul_precision()
    return embeddings.double() if double or precision != "highest" else embeddings
