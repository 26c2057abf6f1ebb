"""The ConvNet of the field, with every published width, depth, activation, norm and pooling."""

from collections.abc import Callable
from typing import Literal, final

from torch import Tensor, nn

from ..errors import InputError
from ..types import Spec
from .base import Network
from .norms import InstanceNorm

Activation = Literal["relu", "sigmoid", "leaky_relu", "swish"]
Norm = Literal["instance", "batch", "layer", "group", "none"]
Pooling = Literal["average", "max", "none"]

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "swish": nn.SiLU,
}
_NORMS: dict[Norm, Callable[[int, int, int], nn.Module]] = {  # of (width, height, width in pixels)
    "instance": lambda width, _h, _w: InstanceNorm(width),
    "batch": lambda width, _h, _w: nn.BatchNorm2d(width),
    "layer": lambda width, h, w: nn.LayerNorm([width, h, w]),
    "group": lambda width, _h, _w: nn.GroupNorm(4, width),
    "none": lambda _width, _h, _w: nn.Identity(),
}
_POOLINGS: dict[Pooling, Callable[[], nn.Module]] = {
    "average": lambda: nn.AvgPool2d(2),
    "max": lambda: nn.MaxPool2d(2),
    "none": nn.Identity,
}


@final
class ConvNet(Network):
    """`depth` blocks of convolution 3x3, norm, activation, pooling by 2; then a linear head.

    Gidaris & Komodakis 2018, in the form of Zhao, Mopuri & Bilen (2021). 1x28x28 images are padded to 32x32 by the
    first convolution, as published. Serves every image whose shorter side is at least 2^depth pixels (2 pixels without
    pooling).

    Raises InputError for a Spec with smaller images.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: int = 128,
        depth: int = 3,
        activation: Activation = "relu",
        norm: Norm = "instance",
        pooling: Pooling = "average",
    ) -> None:
        super().__init__()
        channels, h, w = spec.shape
        smallest = 2**depth if pooling != "none" else 2  # a norm needs more than one pixel
        if min(h, w) < smallest:
            raise InputError(
                f"a ConvNet of depth {depth} serves images of at least {smallest}x{smallest} pixels, "
                f"{spec.name} has {h}x{w}: take a shallower one, such as ConvNetD{min(h, w).bit_length() - 1 or 1}"
            )
        first_padding = 3 if spec.shape == (1, 28, 28) else 1
        h, w = h + 2 * first_padding - 2, w + 2 * first_padding - 2
        layers: list[nn.Module] = []
        for block in range(depth):
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, padding=first_padding if block == 0 else 1),
                _NORMS[norm](width, h, w),
                _ACTIVATIONS[activation](),
                _POOLINGS[pooling](),
            ]
            channels = width
            if pooling != "none":
                h, w = h // 2, w // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width * h * w, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images).flatten(1)  # (N, width*H'*W')
