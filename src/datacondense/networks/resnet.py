"""ResNet18 in the form used for images of 32x32 pixels, and its variant with average pooling."""

from typing import Literal, final

from torch import Tensor, nn
from torch.nn import functional as F

from ..data.spec import Spec
from .attention import with_maps
from .base import Network
from .layers import NORMS, require_side
from .pooling import AveragePool

ResNetNorm = Literal["instance", "batch"]
Halving = Literal["none", "stride", "pooling"]

_WIDTHS = (64, 128, 256, 512)


@final
class _Block(nn.Module):
    """Two convolutions 3x3, the first of which may halve the map, added to a shortcut.

    The shortcut is a convolution 1x1 where the block changes the width, which includes every halving.
    """

    def __init__(self, channels: int, width: int, norm: ResNetNorm, halving: Halving) -> None:
        super().__init__()
        stride = 2 if halving == "stride" else 1
        pooling = AveragePool() if halving == "pooling" else nn.Identity()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            NORMS[norm](width),
            nn.ReLU(),
            pooling,
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            NORMS[norm](width),
        )
        self.shortcut = nn.Sequential()
        if channels != width:
            self.shortcut.extend([nn.Conv2d(channels, width, 1, stride, bias=False), pooling, NORMS[norm](width)])

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.residual(maps) + self.shortcut(maps))


@final
class ResNet18(Network):
    """A convolution 3x3, eight blocks of two more in stages of width 64, 128, 256, 512; mean over pixels; linear head.

    He et al. 2016, in the form of Zhao, Mopuri & Bilen (2021) for 1x28x28 and 3x32x32: the first convolution neither
    strides nor pools. With `halving` "pooling" (ResNet18_AP) each stride of 2 becomes an average pooling 2 after a
    stride of 1, and the head sees all pixels of the last map instead of their mean. Serves every image whose shorter
    side is at least 2 pixels; a stage halves only where 2 pixels are left, since a norm needs more than one.

    Raises InputError for a Spec with smaller images.
    """

    channels_last = True

    def __init__(
        self, spec: Spec, *, norm: ResNetNorm = "instance", halving: Literal["stride", "pooling"] = "stride"
    ) -> None:
        super().__init__()
        require_side(spec, 2, "ResNet18", instead="LeNet or MLP")
        channels, h, w = spec.shape
        layers: list[nn.Module] = [
            nn.Conv2d(channels, _WIDTHS[0], 3, padding=1, bias=False),
            NORMS[norm](_WIDTHS[0]),
            nn.ReLU(),
        ]
        channels = _WIDTHS[0]
        for width in _WIDTHS:
            half = (h // 2, w // 2) if halving == "pooling" else ((h + 1) // 2, (w + 1) // 2)
            halves = width != channels and min(half) >= 2
            layers += [
                _Block(channels, width, norm, halving if halves else "none"),
                _Block(width, width, norm, "none"),
            ]
            channels = width
            h, w = half if halves else (h, w)
        self.features = nn.Sequential(*layers)
        self._flat = halving == "pooling"
        self.head = nn.Linear(channels * h * w if self._flat else channels, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        maps = self.features(images)
        return maps.flatten(1) if self._flat else maps.mean((2, 3))  # (N, 512*H'*W') or (N, 512)

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        last, maps = with_maps(self.features, images, (nn.ReLU, _Block))
        return last.flatten(1) if self._flat else last.mean((2, 3)), maps
