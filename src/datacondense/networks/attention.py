# pyright: reportUnknownMemberType=false
"""The maps of a network's layers, and where on them it is active: spatial attention (DataDAM)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import at_least_float32

_POWER = 4
_LAST = 0.1  # its square weighs the embedding's squared distance


def with_maps(
    layers: nn.Sequential, images: Tensor, kinds: type[nn.Module] | tuple[type[nn.Module], ...]
) -> tuple[Tensor, list[Tensor]]:
    """Pass images (N, C, H, W) through layers. Return the result, and the maps after each layer of some kinds."""
    maps: list[Tensor] = []
    for layer in layers:
        images = layer(images)
        if isinstance(layer, kinds) and images.dim() == 4:
            maps.append(images)
    return images, maps


def attention(maps: Tensor) -> Tensor:
    """Return the spatial attention of each map: the sum over channels of its 4th power, of length 1.

    Args:
        maps: (N, C, H, W).

    Returns:
        Vectors (N, H*W).
    """
    return F.normalize(at_least_float32(maps).abs().pow(_POWER).sum(1).flatten(1), dim=1)


def attention_features(embedding: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """Return the features of DataDAM (Sajedi et al., ICCV 2023), joined.

    The squared distance of their means is that of the attention of each stage but the last, and 0.01 times that of the
    embeddings.

    Args:
        embedding: Embeddings (N, D).
        maps: The maps after each stage, (N, C, H, W) each.

    Returns:
        Features (N, D').
    """
    return torch.cat([*map(attention, maps[:-1]), _LAST * at_least_float32(embedding)], 1)
