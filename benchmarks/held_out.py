"""FashionMNIST's training images in two parts, so that settings are chosen without the test images."""

import torch

from datacondense import ImageSet, load
from datacondense.utils.streams import Streams

_VALIDATION = 10_000


def fashion_mnist() -> tuple[ImageSet, ImageSet, ImageSet]:
    """50 000 images to condense, 10 000 others to choose by, and the test images."""
    whole, test = load("fashion-mnist")
    order = torch.randperm(len(whole), generator=Streams(0).at("validation")("order"))
    parts = order[_VALIDATION:], order[:_VALIDATION]
    train, validation = (ImageSet(whole.images[part], whole.labels[part], whole.spec) for part in parts)
    return train, validation, test
