"""Handle classes that have fewer images than requested."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..data.image_set import ImageSet
from ..synthetic.parameters import Pixels
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError

JITTER = 0.05
"""Standard deviation of the noise on a copy of an image, in normalised units, and on a copy of a latent."""
_NAMED = 5  # classes in a message


def image_classes(made: SyntheticSet) -> Tensor:
    """Return the class of each training image of a set, that of its stored image, (N,), on the CPU.

    A soft label may be largest for another class.
    """
    if len(made) % made.views:  # some views are missing
        return made.classes.cpu()
    return made.stored_classes.repeat_interleave(made.views).cpu()


def jitter_copies(images: Tensor, counts: Tensor, generator: torch.Generator) -> Tensor:
    """Return initial images in which copies of one image differ: equal images would stay equal forever.

    Args:
        images: images (K, M, C, H, W) or latents (K, M, d), on any device.
        counts: number of images of each class that are not copies, (K,), on the CPU: the first ones. Noise of standard
            deviation JITTER is added to the others.
        generator: draws that noise; nothing is drawn if there is no copy.
    """
    copies = torch.arange(images.shape[1]) >= counts[:, None]  # (K, M)
    if not bool(copies.any()):
        return images
    jitter = JITTER * torch.randn(int(copies.sum()), *images.shape[2:], generator=generator)
    images, copies = images.clone(), copies.to(images.device)
    images[copies] += jitter.to(images)
    return images


def selected_images(real: ImageSet, index: Tensor | Sequence[Tensor], ipc: int) -> Pixels:
    """Return the selected real images; all images of a class with fewer than `ipc`.

    Args:
        real: the real images.
        index: their positions (K, M), of which the first `ipc` of a class count, or as many as it has; or positions
            (n,) of each class, where n may differ.
        ipc: number of requested images of each class.

    Raises:
        InputError: a class has no positions, or more than `ipc`.
    """
    most = [min(int(count), ipc) for count in real.counts]
    if len(index) != len(most):
        raise InputError(f"the method has chosen images of {len(index)} classes, but there are {len(most)}")
    if isinstance(index, Tensor):
        if index.shape[1] == ipc == min(most):
            return Pixels(real.at(index))
        index = [row[:count] for row, count in zip(index, most, strict=True)]
    counts = tuple(map(len, index))
    if max(counts) > ipc or not any(counts):
        raise InputError(f"the method has chosen {min(counts)} to {max(counts)} images of each class for --ipc {ipc}")
    padded = pad_sequence([row.cpu() for row in index], batch_first=True)
    return Pixels(real.at(padded), counts if min(counts) < ipc else None)


def images_from(images: Tensor, labels: Tensor, real: ImageSet, each: int, generator: torch.Generator) -> Tensor:
    """Return the images of a finished set, at most `each` of each class, as the initial images of a run, (K, V, ...).

    A class with fewer images in the set is filled up with jittered copies, and a class without any with real images.

    Args:
        images: normalised images (N, C, H, W).
        labels: their classes (N,), on the CPU.
        real: the real images.
        each: images of each class to start from, V.
        generator: draws real images and the noise on copies.
    """
    counts = labels.bincount(minlength=real.spec.classes)
    first = counts.cumsum(0) - counts
    places = first[:, None] + torch.arange(each) % counts.clamp(min=1)[:, None]  # (K, V)
    order = labels.argsort(stable=True)
    initial = images[order[places.clamp(max=len(order) - 1)].to(images.device)]
    absent = counts == 0
    if bool(absent.any()):
        drawn = real.at(real.draw(each, generator, note=False))
        initial[absent.to(initial.device)] = drawn[absent.to(drawn.device)].to(initial)
        counts = torch.where(absent, real.counts, counts)
    return jitter_copies(initial, counts, generator)


def counts_text(class_names: Sequence[str], counts: Sequence[int]) -> str:
    """Return the first five of some classes, each with its number of images, as text."""
    each = [f"{name!r} ({count})" for name, count in zip(class_names, counts, strict=True)]
    return ", ".join(each[:_NAMED]) + ", ..." * (len(each) > _NAMED)
