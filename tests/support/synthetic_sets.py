"""Synthetic sets that no run has made."""

import torch

from datacondense import ImageSet, Spec, SyntheticSet
from datacondense.synthetic.decoders import Decoder
from datacondense.synthetic.parameters import Decoded
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.stored import Store


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


def decoded(decoder: Decoder, store: Store, real: ImageSet, *, ipc: int = 2, soft: bool = False) -> SyntheticSet:
    """Return a set in the room of `ipc` images of each class."""
    images = real.sample(ipc * decoder.views(real.spec), torch.Generator().manual_seed(0))
    live = Decoded(decoder, decoder.encode(images, real), real.spec, store)
    stored, labels = live.stored(), live.listed(live.labels())
    if soft:
        labels = torch.rand(len(labels), real.spec.classes, generator=torch.Generator().manual_seed(1)).half().float()
    provenance = Provenance(method="dm", real_images=len(real))
    return SyntheticSet(stored.images(labels), labels, real.spec, provenance, stored)
