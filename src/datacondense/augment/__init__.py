"""Augmentations, each in two steps: draw parameters, then apply them."""

from .base import Augmentation
from .dc import DCAugmentation
from .dsa import STRATEGIES, Siamese, View
from .naming import parse, parse_training

__all__ = ["STRATEGIES", "Augmentation", "DCAugmentation", "Siamese", "View", "parse", "parse_training"]
