"""Synthetic images and their labels as functions of the parameters that are optimised."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import final

import torch
from torch import Tensor, nn

from ..data.spec import Spec
from ..networks.generators import AT_ONCE, Generator
from ..utils.transfer import sent
from .averages import MovingAverage
from .decoders import Decoder
from .generated import Generated, Storage, unstorable
from .stored import Encoded, Store, Stored
from .targets import HardLabels, Targets

_LARGEST = {"f16": torch.finfo(torch.float16).max, "u8": torch.finfo(torch.float32).max / 4}
"""Number format -> largest value that it holds: float16's own, and half of what the range of 8 bits can span."""


class Synthetic(nn.Module, ABC):
    """V training images of each of K classes, and their labels, computed from the parameters that are optimised.

    Args:
        targets: The labels.
    """

    counts: tuple[int, ...] | None = None
    """Images of each class, (K,), if some have fewer than V and the rest is padding; None if all have V."""
    store: Store = "f32"
    """Number format in which tensors and soft labels are stored."""

    def __init__(self, targets: Targets) -> None:
        super().__init__()
        self.targets = targets
        self.average: MovingAverage | None = None
        self._range: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def forward(self, classes: slice = slice(None)) -> Tensor:
        """Return normalised images of some classes, (G, V, C, H, W), differentiable in the parameters."""

    def labels(self, classes: slice = slice(None)) -> Tensor:
        """Return the labels of some classes, int64 (G, V) or float (G, V, K), differentiable if they are learned."""
        return self.targets(classes)

    def at(self, index: Tensor, classes: slice = slice(None)) -> Tensor:
        """Return the images at places `index` (K, B) of each class, for some classes, (G, B, C, H, W)."""
        return take(self(classes), index[classes])

    def listed(self, values: Tensor) -> Tensor:
        """Return images or labels (K, V, ...) class by class (N, ...), without the padding."""
        if self.counts is None:
            return values.flatten(0, 1)
        return torch.cat([row[:count] for row, count in zip(values, self.counts, strict=True)])

    def image_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the images, without those of learned labels."""
        of_labels = {id(parameter) for parameter in self.targets.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in of_labels]

    def pixel_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are normalised pixels, (..., C, H, W)."""
        return []

    def keep_in_range(self, spec: Spec) -> None:
        """Clamp parameters that are pixels to the range of pixels, [0, 1] before they are normalised.

        They are clamped now, and after each update from now on.
        """
        device = self.pixel_parameters()[0].device
        mean, std = (sent(torch.tensor(one), device)[:, None, None] for one in (spec.mean, spec.std))  # each (C, 1, 1)
        self._range = -mean / std, (1 - mean) / std
        self._clamp()

    def keep_average(self, decay: float) -> None:
        """Keep a moving average of images and learned labels from now on; see `MovingAverage`."""
        self.average = MovingAverage(dict(self.named_parameters()), decay)

    def averaged(self) -> AbstractContextManager[None]:
        """Let the parameters hold their moving averages, if those are kept, until the end of a `with`."""
        return nullcontext() if self.average is None else self.average.in_place()

    def after_update(self) -> None:
        """Clamp pixels and move the average, each if it was asked for. The run calls this after each update."""
        self._clamp()
        if self.average is not None:
            self.average.update()

    @torch.no_grad()
    def _clamp(self) -> None:
        if self._range is not None:
            for parameter in self.pixel_parameters():
                parameter.clamp_(*self._range)

    def stored(self) -> Stored | None:
        """Return the tensors that a file holds in place of float32 pixels; None if it holds these."""
        return None

    def storable(self) -> Tensor:
        """Return, as a bool () that no device has to be waited for, whether `fault` is empty."""
        return torch.stack([torch.isfinite(parameter).all() for parameter in self.parameters()]).all()

    def fault(self) -> str:
        """Return the reason why the parameters cannot be stored; empty if they can."""
        return "" if bool(Synthetic.storable(self)) else "the images are no longer finite"


@final
class Pixels(Synthetic):
    """Images whose pixels are the parameters.

    Args:
        images: Normalised images (K, V, C, H, W).
        counts: Images of each class, if some have fewer than V.
        targets: The labels; by default the classes.
    """

    def __init__(
        self, images: Tensor, counts: tuple[int, ...] | None = None, *, targets: Targets | None = None
    ) -> None:
        super().__init__(targets or HardLabels(*images.shape[:2]).to(images.device))
        self.counts = counts
        self.images = nn.Parameter(images)

    def forward(self, classes: slice = slice(None)) -> Tensor:
        return self.images[classes]

    def pixel_parameters(self) -> list[nn.Parameter]:
        return [self.images]


@final
class Decoded(Synthetic):
    """Images that a decoder makes from tensors, of which those that it optimises are the parameters.

    Args:
        decoder: The decoder.
        tensors: Its tensors, (K, n, ...).
        spec: Of the images.
        store: Number format in which the tensors are stored.
        counts: Images of each class, if some have fewer than V; for the decoder of pixels only.
        targets: The labels; by default the classes.
    """

    def __init__(
        self,
        decoder: Decoder,
        tensors: Mapping[str, Tensor],
        spec: Spec,
        store: Store = "f32",
        *,
        counts: tuple[int, ...] | None = None,
        targets: Targets | None = None,
    ) -> None:
        with torch.no_grad():
            views = decoder.decode({name: tensor[:1] for name, tensor in tensors.items()}, spec).shape[1]
        first = tensors[decoder.optimised[0]]
        super().__init__(targets or HardLabels(len(first), views).to(first.device))
        self.decoder, self.spec, self.store, self.counts = decoder, spec, store, counts
        self._names = tuple(tensors)
        for name, tensor in tensors.items():
            if name in decoder.optimised:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return the decoder's tensors, (K, n, ...)."""
        return {name: getattr(self, name) for name in self._names}

    def forward(self, classes: slice = slice(None)) -> Tensor:
        return self.decoder.decode({name: tensor[classes] for name, tensor in self.tensors.items()}, self.spec)

    def pixel_parameters(self) -> list[nn.Parameter]:
        return [self.get_parameter(name) for name in self.decoder.pixels]

    def stored(self) -> Encoded:
        tensors = self.tensors
        if self.counts is not None:  # stored images without the padding, as those of one class
            tensors = {name: self.listed(tensor)[None] for name, tensor in tensors.items()}
        return Encoded.round_trip(self.decoder, tensors, self.spec, self.store)

    def storable(self) -> Tensor:
        fits = super().storable()
        if self.store in _LARGEST:
            largest = torch.stack([parameter.detach().abs().amax() for parameter in self.image_parameters()])
            fits = fits & (largest <= _LARGEST[self.store]).all()
        return fits

    def fault(self) -> str:
        largest = max(float(parameter.detach().abs().amax()) for parameter in self.image_parameters())
        most = _LARGEST.get(self.store, torch.inf)
        if largest > most:
            return f"values up to {largest:.3g} do not fit {self.store}, which ends at {most:.5g}"
        return super().fault()


@final
class Latents(Synthetic):
    """Images that a frozen generator makes from latent vectors, which are the parameters.

    Args:
        generator: The generator; it is not part of the parameters.
        z: Latents (K, M, d).
        pairs: Positions (K, M) of the real images that the latents started from.
        storage: Format in which latents are stored.
    """

    pairs: Tensor

    def __init__(self, generator: Generator, z: Tensor, pairs: Tensor, storage: Storage) -> None:
        super().__init__(HardLabels(*pairs.shape).to(z.device))
        self.z = nn.Parameter(z)
        self.register_buffer("pairs", pairs)
        self.storage: Storage = storage
        self._generator = (generator,)  # in a tuple, so that it is no submodule

    @property
    def generator(self) -> Generator:
        return self._generator[0]

    def forward(self, classes: slice = slice(None)) -> Tensor:
        return self.at(torch.arange(self.z.shape[1]).expand(self.z.shape[0], -1), classes)

    def at(self, index: Tensor, classes: slice = slice(None)) -> Tensor:
        index = sent(index, self.z.device)[classes]
        z = self.z[classes].gather(1, index[:, :, None].expand(-1, -1, self.z.shape[2]))
        labels = torch.arange(len(self.z), device=z.device)[classes, None].expand(index.shape)
        parts = zip(torch.split(z.flatten(0, 1), AT_ONCE), torch.split(labels.flatten(), AT_ONCE), strict=True)
        return torch.cat([self.generator(*part) for part in parts]).unflatten(0, index.shape)

    def storable(self) -> Tensor:
        return torch.isfinite(self.z.half() if self.storage == "fp16" else self.z).all()

    def fault(self) -> str:
        if not bool(torch.isfinite(self.z).all()):
            return "the latents are no longer finite"
        return unstorable(self.z, self.storage)

    def stored(self) -> Generated:
        return Generated.round_trip(self.generator, self.z.flatten(0, 1), self.storage)


def take(values: Tensor, index: Tensor) -> Tensor:
    """Return the values (G, V, ...) at places `index` (G, B) of each class, (G, B, ...)."""
    index = sent(index, values.device).reshape(*index.shape, *[1] * (values.dim() - 2))
    return torch.take_along_dim(values, index, 1)


def noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Draw standard normal images, the published start of gradient matching."""
    return torch.randn(shape, generator=generator).to(device)
