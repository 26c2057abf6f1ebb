"""Gradient matching (DC)."""

from dataclasses import dataclass
from typing import final

from .gradient_matching import GradientMatching
from .matching import InitialImages


@final
@dataclass(frozen=True, kw_only=True)
class DC(GradientMatching):
    """Match the gradients of networks while they train on the synthetic images.

    loss = sum_k D(grad_theta L(S_k), grad_theta L(T_k)) without augmentation, images from noise (Zhao, Mopuri & Bilen,
    ICLR 2021, algorithm 1).
    """

    augment: str = "none"
    """Augmentation that images pass while condensing: none, auto (DSA's for the dataset), or strategies joined by "_".
    With none, evaluation follows DC's rule: none, but crop_scale_rotate on MNIST and crop_noise for ConvNetBN."""
    init: InitialImages = "noise"
    """Initial images: random real images, the real images nearest to the centres of k-means, or N(0, 1) noise."""
