"""VGG11 in the form used for images of 32x32 pixels."""

from typing import Literal, final

from torch import Tensor, nn

from ..data.spec import Spec
from .attention import with_maps
from .base import Network
from .layers import NORMS, first_padding, require_side
from .pooling import MaxPool

_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


@final
class VGG11(Network):
    """Eight convolutions 3x3, each with norm and ReLU, in five stages that end in max pooling 2; then a linear head.

    Simonyan & Zisserman 2015, in the form of Zhao, Mopuri & Bilen (2021): no hidden linear layers, an InstanceNorm or
    BatchNorm after each convolution, 1x28x28 images padded to 32x32 by the first one. The published one takes 1x28x28
    and 3x32x32. Serves every image whose shorter side is at least 2 pixels; for other sizes than the published:

    1. A pooling before the last is left out where it would leave less than 2 pixels: a norm needs more than one.
    2. The mean over pixels follows the last pooling; at the published size one pixel is left there.

    Raises InputError for a Spec with smaller images.
    """

    channels_last = True

    def __init__(self, spec: Spec, *, norm: Literal["instance", "batch"] = "instance") -> None:
        super().__init__()
        require_side(spec, 2, "VGG11", instead="LeNet or MLP")
        channels, h, w = spec.shape
        padding = first_padding(spec, kernel=3)
        side = min(h, w) + 2 * padding - 2
        layers: list[nn.Module] = []
        for stage, widths in enumerate(_STAGES, start=1):
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=padding), NORMS[norm](width), nn.ReLU()]
                channels, padding = width, 1
            if side >= 4 or stage == len(_STAGES):
                layers.append(MaxPool())
                side //= 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images).mean((2, 3))  # (N, 512)

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        last, maps = with_maps(self.features, images, nn.ReLU)
        return last.mean((2, 3)), maps
