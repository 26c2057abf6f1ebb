"""What a set takes to store: every byte of it, beside what its images would take as pixels."""

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
    """What is stored: pixels or latents, and as which numbers."""
    images: int
    """Of the pixels or latents of all images."""
    shared: int
    """Of what is stored once: the generator with all its weights, and the scales of int8 latents; 0 for pixels."""
    labels: int
    uint8: int
    """Of all images as 8-bit pixels, for comparison."""
    png: int
    """Of all images as a PNG file each, for comparison; 0 where that was not asked for."""

    @property
    def total(self) -> int:
        """Everything that is stored but the header."""
        return self.images + self.shared + self.labels

    @property
    def pays_from(self) -> int | None:
        """Images from which on a generator and latents take less than PNG files of them; None if never."""
        saved = (self.png - self.images) / self.count
        return int(self.shared / saved) + 1 if saved > 0 else None


def of_set(synthetic: SyntheticSet, *, png: bool = True) -> Footprint:
    """What a set takes as `save` stores it. png: find out what PNG files would take, which encodes every image."""
    tensors = synthetic.tensors()
    own = tensors["latents" if synthetic.generated else "images"]
    labels = tensors["labels"]
    kind = "latents" if synthetic.generated else "pixels"
    return Footprint(
        count=len(synthetic),
        form=f"{kind}, {str(own.dtype).removeprefix('torch.')}",
        images=own.nbytes,
        shared=sum(tensor.nbytes for tensor in tensors.values()) - own.nbytes - labels.nbytes,
        labels=labels.nbytes,
        uint8=synthetic.images.numel(),
        png=sum(len(to_png(image)) for image in synthetic.spec.pixels(synthetic.images).cpu()) if png else 0,
    )
