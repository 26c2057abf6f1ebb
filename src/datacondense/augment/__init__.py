"""Augmentations, each in two steps: draw parameters, then apply them."""

from .base import Augmentation
from .classic import Classic
from .naming import parse, parse_training
from .siamese import STRATEGIES, Siamese, View

__all__ = ["STRATEGIES", "Augmentation", "Classic", "Siamese", "View", "parse", "parse_training"]
