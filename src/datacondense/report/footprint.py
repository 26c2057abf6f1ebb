"""The bytes from which a receiver rebuilds a set, beside those of images."""

import math
from dataclasses import dataclass
from typing import final

from ..pictures import to_png
from ..synthetic.generated import LATENTS
from ..synthetic.set import SyntheticSet

__all__ = ["LATENTS", "Footprint", "measure"]

_FLOAT32 = 4  # bytes


@final
@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes of a set of N training images in the room of n images."""

    decoder: str
    """Name of the decoder; pixels for a set without one."""
    form: str
    """The decoder, its config, and the number format of what it decodes."""
    training_images: int
    """Images that networks are trained on, N."""
    stored_images: int
    """N divided by the training images that the decoder makes of a stored image, n: N for pixels and latents."""
    numbers: int
    """Pixels of an image, C H W."""
    images: int
    """Of the pixels, coefficients or latents of all images."""
    shared: int
    """Of what does not grow with n: weights of a generator, masks of coefficients, ranges of 8-bit numbers."""
    labels: int
    statistics: int
    """Of mean and standard deviation, float32, for each channel."""
    real_images: int | None
    """Images of the real training set; None if that is not known."""
    png: int
    """Of all N images as a PNG file each, for comparison; 0 if that was not measured."""

    @property
    def total(self) -> int:
        """All bytes but those of the rest of the header: names, provenance, recipe."""
        return self.images + self.shared + self.labels + self.statistics

    @property
    def to_uint8(self) -> float:
        """Ratio to n images of uint8."""
        return self.total / (self.stored_images * self.numbers)

    @property
    def to_float32(self) -> float:
        """Ratio to n images of float32."""
        return self.to_uint8 / _FLOAT32

    @property
    def to_whole(self) -> float | None:
        """Ratio to all real training images of uint8; None if their number is not known."""
        return self.total / (self.real_images * self.numbers) if self.real_images else None

    @property
    def pays_from(self) -> int | None:
        """The number of images from which a generator and latents are smaller than PNG files; None if never."""
        saved = (self.png - self.images) / self.training_images
        return int(self.shared / saved) + 1 if saved > 0 else None


def measure(synthetic: SyntheticSet, *, png: bool = True) -> Footprint:
    """Return the bytes of a set as `save` stores it.

    Args:
        synthetic: The set.
        png: Also measure PNG files, which encodes every image.
    """
    spec, stored, tensors = synthetic.spec, synthetic.stored, synthetic.tensors()
    labels = [tensors.pop(name) for name in [*tensors] if name.split(".")[0] == "labels"]
    once = stored.shared if stored else frozenset()
    own = [tensor for name, tensor in tensors.items() if name not in once]
    header = stored.header() if stored else {"name": "pixels", "config": {}}
    config = {} if header["name"] == LATENTS else header["config"]
    config = {name: value for name, value in config.items() if not isinstance(value, dict)}
    words = [
        header["name"],
        *([f"({', '.join(f'{name} {value}' for name, value in config.items())})"] if config else []),
    ]
    views = synthetic.views
    return Footprint(
        decoder=header["name"],
        form=f"{' '.join(words)}, {str(max(own, key=lambda one: one.nbytes).dtype).removeprefix('torch.')}",
        training_images=len(synthetic),
        stored_images=math.ceil(len(synthetic) / views),
        numbers=math.prod(spec.shape),
        images=sum(tensor.nbytes for tensor in own),
        shared=sum(tensor.nbytes for name, tensor in tensors.items() if name in once),
        labels=sum(tensor.nbytes for tensor in labels),
        statistics=_FLOAT32 * (len(spec.mean) + len(spec.std)),
        real_images=synthetic.provenance.real_images,
        png=sum(len(to_png(image)) for image in spec.pixels(synthetic.images).cpu()) if png else 0,
    )
