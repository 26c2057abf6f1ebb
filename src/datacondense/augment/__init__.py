"""Augmentations, each in two steps: draw parameters, then apply them."""

from .siamese import STRATEGIES, Siamese, View, parse

__all__ = ["STRATEGIES", "Siamese", "View", "parse"]
