"""ZCA whitening as trajectory matching uses it, undone."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..utils.limits import affordable

EPSILON = 0.1
"""What MTT adds to the variances (Cazenavette et al. 2022, `--zca`)."""
_AT_ONCE = 2048
_ALIKE = 0.6, 1.6
"""The variance of whitened real images, over the one that whitening gives them: within this, it is that whitening."""

Fitted = Literal["pixels in [0, 1]", "normalised pixels"]


class Whitening(NamedTuple):
    """x -> (x - mean) (C + 0.1)^(-1/2), for C the covariance of D = C*H*W pixels over the training images."""

    fitted: Fitted
    mean: Tensor
    """(D), float64."""
    variances: Tensor
    """Eigenvalues of C, (D), float64."""
    vectors: Tensor
    """Its eigenvectors as columns, (D, D)."""

    def undo(self, images: Tensor) -> Tensor:
        """Whitened images (N, C, H, W) as they were before. Exact but for rounding, as C + 0.1 has an inverse."""
        root = self.vectors * (self.variances + EPSILON).sqrt() @ self.vectors.T
        return (images.double().flatten(1) @ root + self.mean).reshape(images.shape)

    def fits(self, images: Tensor) -> bool:
        """Whether images (N, C, H, W) have the variances of real images after this whitening.

        Those of the finest quarter do not count, which a few images may have by chance.
        """
        found = (images.double().flatten(1) @ self.vectors).square().mean(0)
        expected = self.variances / (self.variances + EPSILON)
        known = self.variances > 1e-6 * self.variances[-1]
        ratios = (found[known] / expected[known]).tensor_split(4)
        return all(_ALIKE[0] < float(part.mean()) < _ALIKE[1] for part in ratios[1:] if len(part))


def unwhitened(images: Tensor, real: ImageSet) -> tuple[Tensor, Fitted]:
    """Normalised images of whitened ones (N, C, H, W), and what pixels the whitening was fitted to.

    MTT fits it to training images in [0, 1]. Where the images fit that badly, and one that was fitted to normalised
    training images well, it was that one.
    """
    first = fitted(real, "pixels in [0, 1]")
    if not first.fits(images):
        other = fitted(real, "normalised pixels")
        if other.fits(images):
            return other.undo(images).float(), other.fitted
    mean, std = torch.tensor([real.spec.mean, real.spec.std], dtype=torch.float64)[:, :, None, None]
    return ((first.undo(images) - mean) / std).float(), first.fitted


def fitted(real: ImageSet, to: Fitted) -> Whitening:
    """The whitening of the training images, as kornia's ZCAWhitening(eps=0.1) fits it: covariance over N - 1."""
    size = torch.Size(real.spec.shape).numel()
    affordable(6 * 8 * size**2, f"the ZCA matrix of {size} x {size}")
    total, square = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    for part in torch.arange(len(real)).split(_AT_ONCE):
        x = _pixels(real, part, to)
        total += x.sum(0)
    mean = total / len(real)
    for part in torch.arange(len(real)).split(_AT_ONCE):
        x = _pixels(real, part, to) - mean
        square += x.T @ x
    variances, vectors = torch.linalg.eigh(square / max(1, len(real) - 1))
    return Whitening(to, mean, variances.clamp_min(0), vectors)


def _pixels(real: ImageSet, index: Tensor, to: Fitted) -> Tensor:
    """(n, D), float64."""
    images = real.images.index_select(0, index.to(real.images.device)).cpu()
    x = real.spec.normalise(images).double() if to == "normalised pixels" else images.double() / 255
    return x.flatten(1)
