"""Synthetic sets that no run has made."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from datacondense import ImageSet, Spec, SyntheticSet
from datacondense.networks.generators import build
from datacondense.synthetic.decoders import DctDecoder, Decoder, PixelDecoder, TileDecoder
from datacondense.synthetic.generated import Generated
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.stored import Encoded, Store, rounded_labels


def make(*, channels: int = 3, names: tuple[str, ...] = ("cat", "T-shirt/top", "dog"), seed: int = 0) -> SyntheticSet:
    """Two images of each class, of 5x7 pixels, some of whose values no picture can show."""
    generator = torch.Generator().manual_seed(seed)
    k = len(names)
    spec = Spec("pets", names, (channels, 5, 7), (0.4914, 0.4822, 0.4465)[:channels], (0.2, 0.19, 0.21)[:channels])
    images = torch.randn(2 * k, *spec.shape, generator=generator) * 3  # beyond what a picture can show
    made = {"method": "dm", "settings": {"arch": "ConvNet"}, "seed": seed, "ipc": 2, "data_sha256": "0" * 64}
    return SyntheticSet(
        images,
        torch.arange(k).repeat_interleave(2),
        spec,
        Provenance.from_json({**made, "source": {"source": "digits"}}),
    )


def soft_labels(classes: Tensor, k: int, seed: int = 0) -> Tensor:
    """Return numbers for each class (N, K) of which that of the image's class is the largest; some are negative."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(len(classes), k, generator=generator) / 3
    values[torch.arange(len(classes)), classes] = values.amax(1) + torch.rand(len(classes), generator=generator) + 0.01
    values[0, int(classes[0]) - 1] = -0.0
    return values


def encoded(decoder: Decoder, real: ImageSet, *, store: Store = "f32", soft: bool = False, n: int = 2) -> SyntheticSet:
    """Return a set of n stored images of each class in the form of a decoder, made from real images."""
    views, spec = n * decoder.views(real.spec), real.spec
    images = real.sample(views, torch.Generator().manual_seed(0))
    stored = Encoded.round_trip(decoder, decoder.encode(images, real), spec, store)
    classes = torch.arange(spec.classes).repeat_interleave(views)
    labels = rounded_labels(soft_labels(classes, spec.classes), store) if soft else classes
    provenance = Provenance.from_json(
        {"method": "dm", "settings": {"arch": "MLP"}, "seed": 0, "ipc": n, "real_images": len(real)}
    )
    return SyntheticSet(stored.images(classes), labels, spec, provenance, stored)


def generated(real: ImageSet) -> SyntheticSet:
    """Return a set of latents of a generator."""
    spec = real.spec
    z = torch.randn(2 * spec.classes, 4, generator=torch.Generator().manual_seed(0))
    stored = Generated.round_trip(build("conv", spec, latent=4, width=8), z, "int8")
    classes = torch.arange(spec.classes).repeat_interleave(2)
    return SyntheticSet(stored.images(classes), classes, spec, Provenance.from_json({"method": "it-gan"}), stored)


FORMS: dict[str, Callable[[ImageSet], SyntheticSet]] = {
    "pixels": lambda real: replace(encoded(PixelDecoder(), real), stored=None),
    "soft": lambda real: replace(encoded(PixelDecoder(), real, soft=True), stored=None),
    "f16": lambda real: encoded(PixelDecoder(), real, store="f16", soft=True),
    "u8": lambda real: encoded(PixelDecoder(), real, store="u8"),
    "tiles": lambda real: encoded(TileDecoder(factor=2), real, soft=True),
    "tiles-u8": lambda real: encoded(TileDecoder(factor=3), real, store="u8"),
    "dct": lambda real: encoded(DctDecoder(coefficients=13), real, soft=True),
    "dct-u8": lambda real: encoded(DctDecoder(coefficients=9), real, store="u8", soft=True),
    "latents": generated,
}
"""A set of each form that a file may have: number formats, decoders, labels of either kind."""
