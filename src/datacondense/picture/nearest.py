"""The real image that a synthetic one is nearest to: what tells a copy from a synthesis."""

import torch
from torch import Tensor

from ..types import ImageSet

_CHUNK_BYTES = 2**26  # of real images, as float64


def nearest(real: ImageSet, images: Tensor, label: int) -> Tensor:
    """The images of class `label` in `real` that are nearest to `images`, one each; uint8 (n, C, H, W) both.

    Nearest by the sum of squared differences of uint8 pixels, exactly; of several that are as near, the first.
    """
    ours = images.flatten(1).double()  # (n, C*H*W); whole numbers far below 2**53, so that sums are exact
    lengths = ours.square().sum(1, keepdim=True)
    least = torch.full((len(images),), torch.inf, dtype=torch.float64)
    best = torch.zeros(len(images), dtype=torch.long)
    members = real.members[label, : int(real.counts[label])]
    for positions in members.split(max(_CHUNK_BYTES // (8 * ours.shape[1]), 1)):
        theirs = real.images[positions].flatten(1).double()
        distances = lengths - 2 * ours @ theirs.T + theirs.square().sum(1)  # (n, chunk)
        near, index = distances.min(1)
        best = torch.where(near < least, positions[index], best)
        least = torch.minimum(near, least)
    return real.images[best]
