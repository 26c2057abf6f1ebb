"""Augmentations, each in two steps: draw parameters, then apply them."""

from .base import Augmentation
from .naming import parse
from .siamese import STRATEGIES, Siamese, View

__all__ = ["STRATEGIES", "Augmentation", "Siamese", "View", "parse"]
