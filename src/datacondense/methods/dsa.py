"""Gradient matching under Siamese augmentation (DSA)."""

from dataclasses import dataclass
from typing import final

from .gradient_matching import GradientMatching


@final
@dataclass(frozen=True, kw_only=True)
class DSA(GradientMatching):
    """Match gradients as DC does, with real and synthetic images of a class under one augmentation draw A.

    loss = sum_k D(grad_theta L(A(S_k)), grad_theta L(A(T_k))), images from real ones (Zhao & Bilen, ICML 2021, eq. 4).
    """
