"""The interface of a network: an embedding, a linear head, and a reset in place."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..utils.errors import InputError
from .attention import attention_features
from .layers import apply_head

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Network(nn.Module, ABC):
    """A classifier of images in two parts: `embed` and a linear `head`.

    Built for one Spec; a builder raises InputError for images of a size that it cannot take.
    """

    head: nn.Linear
    channels_last = False
    """True if images and weights may lie in memory with their channels last, in which compiled convolutions are
    fastest: `embed` calls `flatten` or `reshape`, not `view`."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Return the input of the last layer, (N, D), for normalised images (N, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) for normalised images (N, C, H, W)."""
        return apply_head(self.head, self.embed(images))

    def fused_embed(self, images: Tensor) -> Tensor:
        """Return the result of `embed`, up to rounding; differentiable once.

        A network overrides this if it can compute such a pass faster.
        """
        return self.embed(images)

    def fused_forward(self, images: Tensor) -> Tensor:
        """Return the result of `forward`, up to rounding; differentiable once.

        A network that overrides `fused_embed` overrides this too.
        """
        return self(images)

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the embedding (N, D), and the maps after each stage of the network, (N, C, H, W) each.

        Raises:
            InputError: The network has no such maps.
        """
        raise InputError(
            f"{type(self).__name__} has no maps for --features attention: use a ConvNet, AlexNet, VGG11, ResNet18 or "
            "LeNet, or override embed_with_maps"
        )

    def embed_attention(self, images: Tensor) -> Tensor:
        """Return the features of DataDAM, (N, D'), for normalised images (N, C, H, W): see `attention_features`."""
        return attention_features(*self.embed_with_maps(images))

    @property
    def batch_statistics(self) -> bool:
        """True if, in training mode, an image's embedding depends on the other images of its batch."""
        return any(isinstance(module, _BATCH_NORMS) for module in self.modules())

    @property
    def side_by_side(self) -> bool:
        """True if several networks of this kind can train in one batched computation."""
        return True

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """Draw all weights anew, in place, so that compiled code stays valid.

        PyTorch's defaults, which the published code uses: weights and biases of convolutions and linear layers
        uniform in ±1/sqrt(fan_in), norms at 1 and 0. The draw does not depend on device or memory layout.

        Raises:
            InputError: A layer of another kind has weights; a network with such a layer overrides this.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = 1 / math.sqrt(module.weight[0].numel())
                for parameter in module.parameters(recurse=False):
                    drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                    parameter.copy_(drawn, non_blocking=True)
            elif isinstance(module, (nn.GroupNorm, nn.LayerNorm, *_BATCH_NORMS)):
                module.reset_parameters()
            elif any(True for _ in module.parameters(recurse=False)):
                kind = f"{type(self).__name__} has weights in a {type(module).__name__}"
                raise InputError(f"{kind}, which Network.reset does not draw: override reset")
