"""The distances after DM, literally: the oracle of the tests.

M3D (Zhang et al., AAAI 2024), NCFM (Wang et al., CVPR 2025), DataDAM (Sajedi et al., ICCV 2023) and the calibration of
TGDD (AAAI 2026), written from the formulas with plain loops over classes, pairs of images and frequencies.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Embed = Callable[[Tensor], Tensor]


def relative_distance(real: Tensor, made: Tensor) -> Tensor:
    """|mean real - mean made|^2 / |mean real|^2 of one class, embeddings (m, D) and (n, D)."""
    return (real.mean(0) - made.mean(0)).pow(2).sum() / real.mean(0).pow(2).sum()


def mmd(real: Tensor, made: Tensor) -> Tensor:
    """Mean K(S, S) - 2 mean K(S, T) + mean K(T, T) of one class, five Gaussians around the mean squared distance."""
    joint = torch.cat([real, made])
    squares = torch.stack([torch.stack([((a - b) ** 2).sum() for b in joint]) for a in joint])
    bandwidth = squares.detach().sum() / (len(joint) * (len(joint) - 1))
    kernel = torch.zeros_like(squares)
    for k in (-2, -1, 0, 1, 2):
        kernel = kernel + torch.exp(-squares / (bandwidth * 2**k))
    m = len(real)
    return kernel[m:, m:].mean() - 2 * kernel[m:, :m].mean() + kernel[:m, :m].mean()


def characteristic_function(embeddings: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the mean of exp(i t.f) over unit embeddings f (n, D), at one frequency t (D,)."""
    phases = torch.stack([(f / f.norm()) @ frequency for f in embeddings])
    return phases.cos().mean(), phases.sin().mean()


def amplitude_and_phase(real: Tensor, made: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """(|a| - |b|)^2 and 2 (|a| |b| - Re a Re b - Im a Im b), a and b the characteristic functions at one frequency."""
    (re_a, im_a), (re_b, im_b) = (characteristic_function(one, frequency) for one in (real, made))
    a, b = (re_a**2 + im_a**2).sqrt(), (re_b**2 + im_b**2).sqrt()
    return (a - b) ** 2, 2 * (a * b - re_a * re_b - im_a * im_b)


def characteristic(real: Tensor, made: Tensor, frequencies: Tensor) -> Tensor:
    """300 mean_t sqrt(amplitude^2 / 2 + phase / 2 + 1e-12) of one class, frequencies (F, D)."""
    total = real.new_zeros(())
    for frequency in frequencies:
        amplitude, phase = amplitude_and_phase(real, made, frequency)
        total = total + (0.5 * amplitude + 0.5 * phase + 1e-12).sqrt()
    return 300 * total / len(frequencies)


def attention_distance(layers: nn.Sequential, real: Tensor, made: Tensor) -> Tensor:
    """DataDAM's loss of one class over its factor 100, images (m, C, H, W) and (n, C, H, W).

    sum_l | mean a_l(T) - mean a_l(S) |^2 + 0.01 | mean psi(T) - mean psi(S) |^2: l over all ReLU layers but the last,
    a_l(x) the sum over channels of the map to the power of 4, as a vector of length 1.
    """
    stages = [number for number, layer in enumerate(layers) if isinstance(layer, nn.ReLU)]
    loss = real.new_zeros(())
    for stage in stages[:-1]:
        means: list[Tensor] = []
        for images in (real, made):
            maps = layers[: stage + 1](images)
            vectors = [(one.abs() ** 4).sum(0).reshape(-1) for one in maps]
            means.append(torch.stack([vector / vector.norm() for vector in vectors]).mean(0))
        loss = loss + (means[0] - means[1]).pow(2).sum()
    last = [layers(images).flatten(1).mean(0) for images in (real, made)]
    return loss + 0.01 * (last[0] - last[1]).pow(2).sum()


def calibrated(
    matching: Sequence[Tensor], made: Sequence[Tensor], classifier: nn.Linear, weight: float, *, by_gradient: bool
) -> Tensor:
    """sum_k (matching_k + s_k CE_k), CE_k the mean cross-entropy of class k's embeddings made_k (n, D).

    s_k is the weight itself, or the weight times |d matching_k / d made_k| / |d CE_k / d made_k|.
    """
    loss = matching[0].new_zeros(())
    for k, (of_class, embeddings) in enumerate(zip(matching, made, strict=True)):
        labels = torch.full((len(embeddings),), k)
        cross_entropy = F.cross_entropy(classifier(embeddings), labels)
        scale = torch.tensor(weight, dtype=embeddings.dtype)
        if by_gradient:
            (one,) = torch.autograd.grad(of_class, embeddings, retain_graph=True)
            (other,) = torch.autograd.grad(cross_entropy, embeddings, retain_graph=True)
            scale = scale * one.norm() / other.norm()
        loss = loss + of_class + scale * cross_entropy
    return loss


def ridge_cross_entropy(real: Sequence[Tensor], made: Sequence[Tensor], sharpness: float, ridge: float) -> Tensor:
    """Mean cross-entropy of real embeddings under ridge regression on synthetic ones, class k's being (n, D).

    The weights W (D, K) are least squares of the rows [f; sqrt(r) I] W = [e_k - 1/K; 0], r = ridge mean |f|^2 a
    constant; the logits of an image are sharpness W'f.
    """
    classes, width = len(made), made[0].shape[1]
    rows, wanted = [], []
    for k, embeddings in enumerate(made):
        for f in embeddings:
            rows.append(f)
            wanted.append(torch.tensor([float(k == j) - 1 / classes for j in range(classes)], dtype=f.dtype))
    scale = torch.stack([f.detach().pow(2).sum() for f in rows]).mean()
    damped = torch.cat([torch.stack(rows), (ridge * scale).sqrt() * torch.eye(width, dtype=rows[0].dtype)])
    targets = torch.cat([torch.stack(wanted), rows[0].new_zeros(width, classes)])
    weights = torch.linalg.lstsq(damped, targets).solution
    losses = []
    for k, embeddings in enumerate(real):
        for f in embeddings:
            logits = sharpness * (weights.T @ f)
            losses.append(logits.exp().sum().log() - logits[k])
    return torch.stack(losses).mean()
