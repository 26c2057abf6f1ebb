"""The ConvNet of the papers, with every published width, depth, activation, norm and pooling."""

from collections.abc import Callable
from typing import Annotated, Literal, final

import torch
from msgspec import Meta
from torch import Tensor, nn

from ..data.spec import Spec
from ..utils.ranges import check_arguments
from .attention import with_maps
from .base import Network
from .fused_block import first_block, serves
from .layers import NORMS, InstanceNorm, Norm, apply_head, first_padding, require_side
from .pooling import AveragePool, MaxPool

Activation = Literal["relu", "sigmoid", "leaky_relu", "swish"]
Pooling = Literal["average", "max", "none"]
Width = Annotated[int, Meta(ge=1, le=4096)]
Depth = Annotated[int, Meta(ge=1, le=12)]

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "swish": nn.SiLU,
}
_POOLINGS: dict[Pooling, Callable[[], nn.Module]] = {
    "average": AveragePool,
    "max": MaxPool,
    "none": nn.Identity,
}


@final
class ConvNet(Network):
    """`depth` blocks of convolution 3x3, norm, activation, pooling by 2; then a linear head.

    Gidaris & Komodakis 2018, in the form of Zhao, Mopuri & Bilen (2021). 1x28x28 images are padded to 32x32 by the
    first convolution, as published. Serves every image whose shorter side is at least 2^depth pixels (2 pixels without
    pooling). With `doubling`, each block has twice the channels of the one before, as in FRePo (Zhou, Nezhadarya & Ba,
    NeurIPS 2022).

    Raises InputError for a Spec with smaller images.
    """

    channels_last = True

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 128,
        depth: Depth = 3,
        activation: Activation = "relu",
        norm: Norm | Literal["layer"] = "instance",
        pooling: Pooling = "average",
        doubling: bool = False,
    ) -> None:
        super().__init__()
        check_arguments(ConvNet.__init__, width=width, depth=depth)
        channels, h, w = spec.shape
        smallest = 2**depth if pooling != "none" else 2  # a norm needs more than one pixel
        depths = min(h, w).bit_length() - 1
        instead = f"a shallower one, such as ConvNetD{depths}" if depths else "an MLP"
        require_side(spec, smallest, f"a ConvNet of depth {depth}", instead=instead)
        padding = first_padding(spec, kernel=3)
        h, w = h + 2 * padding - 2, w + 2 * padding - 2
        layers: list[nn.Module] = []
        for block in range(depth):
            if doubling and block:
                width *= 2
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, padding=padding),
                nn.LayerNorm([width, h, w]) if norm == "layer" else NORMS[norm](width),
                _ACTIVATIONS[activation](),
                _POOLINGS[pooling](),
            ]
            channels, padding = width, 1
            if pooling != "none":
                h, w = h // 2, w // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width * h * w, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images).flatten(1)  # (N, width*H'*W')

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        activations = nn.ReLU, nn.Sigmoid, nn.LeakyReLU, nn.SiLU
        embedding, maps = with_maps(self.features, images, activations)
        return embedding.flatten(1), maps

    def fused_embed(self, images: Tensor) -> Tensor:
        convolution, norm, activation, pooling = list(self.features)[:4]
        if (
            isinstance(convolution, nn.Conv2d)
            and isinstance(norm, InstanceNorm)
            and isinstance(activation, nn.ReLU)
            and isinstance(pooling, AveragePool)
            and serves(images, convolution.weight)
        ):
            weights, constants = (convolution.weight, norm.weight, norm.bias), (int(convolution.padding[0]), norm.eps)
            half = torch.is_autocast_enabled("cpu")  # what follows computes in its type
            dtype = torch.get_autocast_dtype("cpu") if half else images.dtype
            block = first_block(images, *weights, *constants, dtype)
            return self.features[4:](block).flatten(1)
        return self.embed(images)

    def fused_forward(self, images: Tensor) -> Tensor:
        return apply_head(self.head, self.fused_embed(images))
