"""AlexNet in the form used for images of 32x32 pixels."""

from typing import Literal, final

from torch import Tensor, nn

from ..data.spec import Spec
from .attention import with_maps
from .base import Network
from .layers import NORMS, first_padding, require_side
from .pooling import MaxPool

_CONVOLUTIONS = (  # kernel, channels, whether max pooling 2 follows
    (5, 128, True),
    (5, 192, True),
    (3, 256, False),
    (3, 192, False),
    (3, 192, True),
)


@final
class AlexNet(Network):
    """Five convolutions with ReLU, three of them followed by max pooling 2; then a linear head.

    Krizhevsky, Sutskever & Hinton 2012, in the form of Zhao, Mopuri & Bilen (2021), which takes 1x28x28 (padded to
    32x32 by the first convolution, here too) and 3x32x32. `norm` follows each convolution. Serves every image whose
    shorter side is at least 8 pixels.

    Raises InputError for a Spec with smaller images.
    """

    channels_last = True

    def __init__(self, spec: Spec, *, norm: Literal["none", "batch"] = "none") -> None:
        super().__init__()
        require_side(spec, 8, "AlexNet", instead="LeNet or MLP")  # three poolings leave one pixel
        channels, h, w = spec.shape
        layers: list[nn.Module] = []
        for kernel, width, pooled in _CONVOLUTIONS:
            padding = kernel // 2 if layers else first_padding(spec, kernel)
            layers += [nn.Conv2d(channels, width, kernel, padding=padding), NORMS[norm](width), nn.ReLU()]
            channels, h, w = width, h + 2 * padding - kernel + 1, w + 2 * padding - kernel + 1
            if pooled:
                layers.append(MaxPool())
                h, w = h // 2, w // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels * h * w, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images).flatten(1)  # (N, 192*H'*W')

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        last, maps = with_maps(self.features, images, nn.ReLU)
        return last.flatten(1), maps
