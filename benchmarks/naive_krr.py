"""Kernel ridge regression of FRePo, RCIG and KIP's label solve, literally: the oracle of the tests.

Written from the formulas (Zhou, Nezhadarya & Ba, NeurIPS 2022; Loo et al., ICML 2023; Nguyen, Chen & Lee, ICLR 2021)
with plain loops over pairs of images.
"""

import torch
from torch import Tensor


def kernel(one: Tensor, other: Tensor, support: Tensor) -> Tensor:
    """Products of embeddings (m, D) and (n, D) over the mean squared length of the support (n, D), a constant."""
    scale = sum(float(f @ f) for f in support.detach()) / len(support)
    return torch.stack([torch.stack([(a @ b) / scale for b in other]) for a in one])


def predictions(real: Tensor, made: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """K_TS (K_SS + ridge I)^-1 Y, for embeddings real (N, D), made (n, D) and targets (n, K)."""
    k_ss, k_ts = kernel(made, made, made), kernel(real, made, made)
    return k_ts @ torch.linalg.inv(k_ss + ridge * torch.eye(len(made), dtype=made.dtype)) @ targets


def squared_error(predicted: Tensor, labels: list[int]) -> Tensor:
    """Mean of 1/2 |y - prediction|^2, y the centred one-hot row of a label."""
    losses = []
    for row, label in zip(predicted, labels, strict=True):
        wanted = torch.tensor([float(k == label) - 1 / len(row) for k in range(len(row))], dtype=row.dtype)
        losses.append(0.5 * (wanted - row).pow(2).sum())
    return torch.stack(losses).mean()


def cross_entropy(predicted: Tensor, labels: list[int], sharpness: float) -> Tensor:
    """Mean of log sum exp(tau p) - tau p_label."""
    losses = [
        (sharpness * row).exp().sum().log() - sharpness * row[label]
        for row, label in zip(predicted, labels, strict=True)
    ]
    return torch.stack(losses).mean()


def margin(labels: Tensor) -> Tensor:
    """Mean over labels (n, K) of the largest number less the second, at most 1/K."""
    total = labels.new_zeros(())
    for row in labels:
        ordered = row.sort(descending=True).values
        total = total + torch.minimum(ordered[0] - ordered[1], torch.tensor(1 / len(row), dtype=row.dtype))
    return total / len(labels)


def label_solve(real: Tensor, labels: list[int], made: Tensor, classes: int, ridge: float) -> Tensor:
    """Least squares of A Y = Y_T, A = K_TS (K_SS + ridge I)^-1."""
    k_ss, k_ts = kernel(made, made, made), kernel(real, made, made)
    a = k_ts @ torch.linalg.inv(k_ss + ridge * torch.eye(len(made), dtype=made.dtype))
    wanted = torch.stack(
        [torch.tensor([float(k == label) - 1 / classes for k in range(classes)], dtype=real.dtype) for label in labels]
    )
    return torch.linalg.lstsq(a, wanted).solution
