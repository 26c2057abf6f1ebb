"""Normalise the pixels of a file of any scale."""

import math

import torch
from torch import Tensor

from ..data.spec import Spec
from ..utils.errors import InputError
from .pixel_scale import DOUBTFUL, DetectedScale, PixelOptions, to_normalised
from .scale_detection import HELP, detect_scale, has_normalised_moments, is_plausible
from .zca_whitening import undo_whitening


def normalise_pixels(
    images: Tensor, spec: Spec, options: PixelOptions, *, never_whitened: bool | None
) -> tuple[Tensor, DetectedScale]:
    """Return images (N, C, H, W) as normalised float32, and the scale in which they were read.

    Args:
        images: Numbers of any type.
        spec: Describes the data that the images were made from.
        options: The scale of the pixels, and the training images.
        never_whitened: True for a file of the authors of DC, DSA and DM, who never whiten; False for one of authors who
            do; None if this is unknown.

    Raises:
        InputError: The scale is ambiguous or unknown, or the training images are needed.
    """
    if not images.numel() or (images.dtype.is_floating_point and not bool(torch.isfinite(images).all())):
        return images.float(), DetectedScale("normalised", math.nan, math.nan, "")  # checks of the set reject it
    scale, because = options.scale, "as --pixels says"
    x = images.double()
    low, high, mean, std = float(x.min()), float(x.max()), float(x.mean()), float(x.std(correction=0))
    if scale == "auto":
        scale, because = detect_scale(images, spec, options, never_whitened)
    detected, doubtful = DetectedScale(scale, mean, std, because), DetectedScale(scale, mean, std, DOUBTFUL)
    if scale == "normalised":
        return images.float(), detected if options.scale == "auto" or has_normalised_moments(x) else doubtful
    if scale == "zca":
        real = options.training_images()
        if real is None:
            raise InputError("undoing the whitening needs the training images: name them with real= or --data")
        normalised, fitted_to = undo_whitening(x, real)
        if low < -0.05 and is_plausible(normalised):  # whitening subtracts the mean image
            return normalised, DetectedScale(scale, mean, std, f"{because}; undone for a whitening of {fitted_to}")
        return normalised, doubtful
    if (scale == "unit" and (high > 4 or low < -3)) or (scale == "bytes" and (high > 1024 or low < -768)):
        raise InputError(f"--pixels {scale} does not match pixels from {low:.4g} to {high:.4g}: {HELP}")
    normalised = to_normalised(x, scale, spec)
    return normalised.float(), detected if is_plausible(normalised) else doubtful
