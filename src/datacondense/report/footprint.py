"""The bytes of a stored set, and of the same images as pixels."""

from dataclasses import dataclass
from typing import final

from ..pictures import to_png
from ..synthetic.set import SyntheticSet


@final
@dataclass(frozen=True)
class Footprint:
    """Bytes of a set of N images."""

    count: int
    """N."""
    form: str
    """Stored tensors, pixels or latents, and their number format."""
    images: int
    """Of the pixels or latents of all images."""
    shared: int
    """Of the parts that are stored once: the generator with all its weights, and the scales of int8 latents; 0 for
    pixels."""
    labels: int
    uint8: int
    """Of all images as 8-bit pixels, for comparison."""
    png: int
    """Of all images as a PNG file each, for comparison; 0 if that was not measured."""

    @property
    def total(self) -> int:
        """All stored bytes except the header."""
        return self.images + self.shared + self.labels

    @property
    def pays_from(self) -> int | None:
        """The number of images from which a generator and latents are smaller than PNG files; None if never."""
        saved = (self.png - self.images) / self.count
        return int(self.shared / saved) + 1 if saved > 0 else None


def measure(synthetic: SyntheticSet, *, png: bool = True) -> Footprint:
    """Return the bytes of a set as `save` stores it. png: also measure PNG files, which encodes every image."""
    tensors = synthetic.tensors()
    own = tensors["latents" if synthetic.stored else "images"]
    labels = tensors["labels"]
    kind = "latents" if synthetic.stored else "pixels"
    return Footprint(
        count=len(synthetic),
        form=f"{kind}, {str(own.dtype).removeprefix('torch.')}",
        images=own.nbytes,
        shared=sum(tensor.nbytes for tensor in tensors.values()) - own.nbytes - labels.nbytes,
        labels=labels.nbytes,
        uint8=synthetic.images.numel(),
        png=sum(len(to_png(image)) for image in synthetic.spec.pixels(synthetic.images).cpu()) if png else 0,
    )
