"""Undo ZCA whitening as trajectory matching applies it."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..utils.limits import affordable

EPSILON = 0.1
"""MTT adds this to the variances (Cazenavette et al. 2022, `--zca`)."""
_CHUNK = 2048  # images at a time
_SIMILAR = 0.6, 1.6
"""Range of the variance of whitened images over the variance that a whitening gives real ones, where it is this one."""

FittedTo = Literal["pixels in [0, 1]", "normalised pixels"]


class Whitening(NamedTuple):
    """x -> (x - mean) (C + 0.1)^(-1/2), with C the covariance of D = C*H*W pixels over the training images."""

    fitted_to: FittedTo
    mean: Tensor
    """(D), float64."""
    variances: Tensor
    """Eigenvalues of C, (D), float64."""
    vectors: Tensor
    """Eigenvectors of C as columns, (D, D)."""

    def undo(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) without the whitening, exact but for rounding: C + 0.1 has an inverse."""
        root = self.vectors * (self.variances + EPSILON).sqrt() @ self.vectors.T
        return (images.double().flatten(1) @ root + self.mean).reshape(images.shape)

    def fits(self, images: Tensor) -> bool:
        """Check that images (N, C, H, W) have the variances of real images after this whitening.

        The finest quarter of the components is left out: a few images may have its variances by chance.
        """
        found = (images.double().flatten(1) @ self.vectors).square().mean(0)
        expected = self.variances / (self.variances + EPSILON)
        known = self.variances > 1e-6 * self.variances[-1]
        ratios = (found[known] / expected[known]).tensor_split(4)
        return all(_SIMILAR[0] < float(part.mean()) < _SIMILAR[1] for part in ratios[1:] if len(part))


def undo_whitening(images: Tensor, real: ImageSet) -> tuple[Tensor, FittedTo]:
    """Return whitened images (N, C, H, W) as normalised ones, and the pixels that the whitening was fitted to.

    MTT fits it to training images in [0, 1]. A whitening fitted to normalised training images is undone instead if only
    this one fits the images.
    """
    first = fit_whitening(real, "pixels in [0, 1]")
    if not first.fits(images):
        other = fit_whitening(real, "normalised pixels")
        if other.fits(images):
            return other.undo(images).float(), other.fitted_to
    mean, std = torch.tensor([real.spec.mean, real.spec.std], dtype=torch.float64)[:, :, None, None]
    return ((first.undo(images) - mean) / std).float(), first.fitted_to


def fit_whitening(real: ImageSet, to: FittedTo) -> Whitening:
    """Fit the whitening of the training images as kornia's ZCAWhitening(eps=0.1) does: covariance over N - 1."""
    size = torch.Size(real.spec.shape).numel()
    affordable(6 * 8 * size**2, f"the ZCA matrix of {size} x {size}")
    total, square = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    for part in torch.arange(len(real)).split(_CHUNK):
        x = _flat_pixels(real, part, to)
        total += x.sum(0)
    mean = total / len(real)
    for part in torch.arange(len(real)).split(_CHUNK):
        x = _flat_pixels(real, part, to) - mean
        square += x.T @ x
    variances, vectors = torch.linalg.eigh(square / max(1, len(real) - 1))
    return Whitening(to, mean, variances.clamp_min(0), vectors)


def _flat_pixels(real: ImageSet, index: Tensor, to: FittedTo) -> Tensor:
    """Return the pixels of some images, (n, D), float64."""
    images = real.images.index_select(0, index.to(real.images.device)).cpu()
    x = real.spec.normalise(images).double() if to == "normalised pixels" else images.double() / 255
    return x.flatten(1)
