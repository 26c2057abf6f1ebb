"""Find the real image nearest to each synthetic one: this distinguishes copied from synthesised images."""

from pathlib import Path

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..synthetic.set import SyntheticSet
from ..utils.errors import DamagedFile
from ..utils.files import read_tensors, write_tensors

NEIGHBOURS = 10
"""Images of each class whose nearest real images are stored with a run."""

SEARCHED = 2**31
"""Bytes of real images up to which every run searches when it ends, within seconds; beyond, `show --real` searches."""
_CHUNK_BYTES = 2**26  # of real images, as float64


def nearest_real(real: ImageSet, images: Tensor, label: int) -> Tensor:
    """Return the nearest image of class `label` in `real` for each of `images`; both uint8 (n, C, H, W).

    The distance is the sum of squared differences of uint8 pixels, computed exactly; the first of several equally near
    ones is taken.
    """
    flat = images.flatten(1).double()  # (n, C*H*W); whole numbers far below 2**53, so that sums are exact
    squares = flat.square().sum(1, keepdim=True)
    least = torch.full((len(images),), torch.inf, dtype=torch.float64)
    best = torch.zeros(len(images), dtype=torch.long)
    members = real.members[label, : int(real.counts[label])]
    for positions in members.split(max(_CHUNK_BYTES // (8 * flat.shape[1]), 1)):
        others = real.images[positions.to(real.images.device)].to(images.device).flatten(1).double()
        distances = squares - 2 * flat @ others.T + others.square().sum(1)  # (n, chunk)
        near, index = distances.min(1)
        best = torch.where(near < least, positions[index], best)
        least = torch.minimum(near, least)
    return real.images[best.to(real.images.device)].to(images.device)


def save_neighbours(synthetic: SyntheticSet, real: ImageSet, path: Path) -> None:
    """Write the real image nearest to each of the first 10 images of every class, for readers without the data."""
    index = first_per_class(synthetic.classes, NEIGHBOURS)
    pixels, labels = synthetic.spec.pixels(synthetic.images[index]).cpu(), synthetic.classes[index].cpu()
    found = torch.empty_like(pixels)
    for label in labels.unique().tolist():
        found[labels == label] = nearest_real(real, pixels[labels == label], label)
    tensors = {"images": found, "index": index.cpu()}
    write_tensors(path, tensors, {"set_sha256": synthetic.fingerprint()})


def load_neighbours(synthetic: SyntheticSet, path: Path) -> tuple[Tensor, Tensor] | None:
    """Return positions (n,) in the set, and the real images uint8 (n, C, H, W) nearest to the images there.

    Returns None if the file is missing or belongs to another set. Raises DamagedFile for tensors of other types or
    shapes.
    """
    if not path.is_file():
        return None
    tensors, header = read_tensors(path)
    if header != {"set_sha256": synthetic.fingerprint()}:
        return None
    index, images = tensors.get("index"), tensors.get("images")
    if (
        index is None
        or images is None
        or (index.dtype, images.dtype, index.dim()) != (torch.int64, torch.uint8, 1)
        or images.shape != (len(index), *synthetic.spec.shape)
    ):
        raise DamagedFile(f"{path} is damaged: its tensors are not int64 (n,) and uint8 (n, C, H, W); delete it")
    return index, images


def first_per_class(labels: Tensor, count: int) -> Tensor:
    """Return the positions of the first `count` images of each class, class by class."""
    return torch.cat([(labels == k).nonzero()[:count, 0] for k in labels.unique()])
