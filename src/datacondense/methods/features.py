"""Features of all real images under one network."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..networks import Network
from .problem import Problem

_AT_ONCE = 1024  # images read and embedded at a time


def feature_parts(problem: Problem, network: Network) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield embeddings float32 (m, D) and classes int64 (m,) of all real images, part by part, without augmentation.

    Args:
        problem: The real images and the engine.
        network: A prepared network in evaluation mode.
    """
    count = len(problem.real)
    for index in torch.split(torch.arange(count), _AT_ONCE):
        images, labels = problem.real.batch(index)
        yield problem.engine.embed(network, images), labels
        problem.report((int(index[-1]) + 1) / count, "embedding the real images")


def real_features(problem: Problem, network: Network) -> Tensor:
    """Return the embeddings of all real images, float16 (N, D), on the device."""
    return torch.cat([embeddings.half() for embeddings, _ in feature_parts(problem, network)])
