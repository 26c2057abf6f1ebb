"""Real and synthetic images with their labels, read by index.

Shape legend of all trailing comments:
K classes, n stored images per class (ipc), B real images per class, N images, C H W channels and pixels, D embedding
width, S networks trained side by side, G groups that share one augmentation draw.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, final

import torch
from torch import Tensor

from ..drawing.shown import ShownSet, size_text, spec_facts
from ..utils.transfer import sent
from .spec import Spec

if TYPE_CHECKING:
    from PIL.Image import Image


class Examples(Protocol):
    """Labelled images, read by index, on which a network is trained or tested."""

    @property
    def spec(self) -> Spec: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised images (n, C, H, W) and labels, int64 (n,) or float (n, K), at `index` (n,)."""
        ...


@final
@dataclass(frozen=True)
class LabelledImages:
    """Normalised images (N, C, H, W) and labels, int64 (N,) or float (N, K), in memory."""

    images: Tensor
    labels: Tensor
    spec: Spec

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised images (n, C, H, W) and labels, (n,) or (n, K), at `index` (n,)."""
        index = sent(index, self.labels.device)
        return self.images[index], self.labels[index]


@final
class ImageSet(ShownSet):
    """Real labelled images, kept as uint8 and normalised when read.

    `image_set` builds one from arrays with every check; this constructor only stores.

    Args:
        images: uint8 (N, C, H, W), in memory or mapped from a file.
        labels: int64 (N,) in [0, K).
        spec: Properties of the dataset.
        sha256: The fingerprint, when it is known.
        prefetch: Called with the positions (n,) of images before they are read; for mapped images only.
        decisions: What was decided when they were read, such as how test images were set aside, one line each.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        spec: Spec,
        *,
        sha256: str | None = None,
        prefetch: Callable[[Tensor], None] | None = None,
        decisions: tuple[str, ...] = (),
    ) -> None:
        self.images = images
        self.labels = labels
        self.spec = spec
        self.decisions = decisions
        self._sha256 = sha256
        self._prefetch = prefetch

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def _line(self) -> str:
        return f"{self.spec.name!r}, {len(self)} images, {self.spec.classes} classes, {size_text(self.spec.shape)}"

    def _repr_html_(self) -> str:
        return self._as_html(self.spec.classes)

    def _facts(self) -> dict[str, str]:
        """Return what the set is, as name -> text."""
        low, high = self.counts.aminmax()
        each = f"{low}" if low == high else f"{low} to {high}"
        return {
            "data": self.spec.name,
            "images": f"{len(self)}, {each} of each class",
            **spec_facts(self.spec.class_names, self.spec.shape),
            "memory": f"{self.images.nbytes / 1e6:.1f} MB, {'resident' if self.resident else 'mapped from a file'}",
        }

    def show(self, *, classes: Sequence[int] | None = None, per_class: int | None = None) -> "Image":
        """Draw the first images of each class, as a picture of Pillow. See `SyntheticSet.show`."""
        from ..drawing.grid import draw_classes

        chosen = range(self.spec.classes) if classes is None else classes
        members = [(self.labels == k).nonzero()[:, 0] for k in chosen]

        def pixels(_: int, index: Tensor) -> Tensor:
            if self._prefetch:
                self._prefetch(index)
            return self.images[sent(index, self.images.device)]

        return draw_classes(self.spec, chosen, members, [pixels], per_class=per_class)

    @cached_property
    def targets(self) -> list[int]:
        """The label of each image, as in torchvision's datasets."""
        return self.labels.tolist()

    @property
    def classes(self) -> list[str]:
        """The name of each class, as in torchvision's datasets."""
        return list(self.spec.class_names)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Class name -> label, as in torchvision's datasets."""
        return {name: label for label, name in enumerate(self.spec.class_names)}

    @property
    def resident(self) -> bool:
        """True when the images are in memory, False when they are mapped from a file."""
        return self._prefetch is None

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the same set with its labels, and thus its batches, on `device`.

        The images move there too, unless they take more than half of the free memory of a GPU.

        Args:
            device: Where batches are wanted.
        """
        images = self.images.to(device) if _fits(self.images, torch.device(device)) else self.images
        prefetch = self._prefetch if images is self.images else None
        return ImageSet(images, self.labels.to(device), self.spec, sha256=self._sha256, prefetch=prefetch)

    def renamed(self, name: str) -> "ImageSet":
        """Return the same images under another name of the dataset."""
        spec = replace(self.spec, name=name)
        return ImageSet(self.images, self.labels, spec, sha256=self._sha256, prefetch=self._prefetch)

    def unmirrored(self) -> "ImageSet":
        """Return the same images as those of classes that mirroring would change."""
        spec = replace(self.spec, flip=False)
        return ImageSet(self.images, self.labels, spec, prefetch=self._prefetch, decisions=self.decisions)

    def under(self, spec: Spec) -> "ImageSet":
        """Return the same images as images of another training set, which has their classes.

        Args:
            spec: Spec of that set. The labels become those of the classes of equal names.

        Raises:
            KeyError: It lacks a class.
        """
        place = {name: k for k, name in enumerate(spec.class_names)}
        numbers = torch.tensor([place[name] for name in self.spec.class_names], device=self.labels.device)
        return ImageSet(self.images, numbers[self.labels], spec, prefetch=self._prefetch, decisions=self.decisions)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return normalised images and labels.

        Args:
            index: int64 (n,), positions in the set.

        Returns:
            Images float32 (n, C, H, W) and labels int64 (n,), on the device of the labels.
        """
        if self._prefetch:
            self._prefetch(index)
        device = self.labels.device
        images = self.images.index_select(0, sent(index, self.images.device))
        return self.spec.normalise(sent(images, device)), self.labels[sent(index, device)]

    @cached_property
    def counts(self) -> Tensor:
        """Number of images of each class, int64 (K,), on the CPU."""
        return torch.bincount(self.labels.cpu(), minlength=self.spec.classes)

    @cached_property
    def members(self) -> Tensor:
        """Positions of the images of class k in row k, padded with 0: int64 (K, max count), on the CPU."""
        order = self.labels.cpu().argsort(stable=True)
        rows = order.split(self.counts.tolist())
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)

    def fingerprint(self) -> str:
        """Return the sha256 of all pixels, labels and the Spec without its name and encoding: equal for equal data."""
        if self._sha256 is None:
            fields = {key: value for key, value in self.spec.to_json().items() if key not in ("name", "encoding")}
            digest = hashlib.sha256(json.dumps(fields).encode())
            for tensor in (self.images, self.labels):
                digest.update(tensor.cpu().contiguous().numpy().data)
            self._sha256 = digest.hexdigest()
        return self._sha256

    def draw(self, batch: int, generator: torch.Generator, *, note: bool = True) -> Tensor:
        """Draw positions of images of every class, without replacement within a class.

        A class with fewer than `batch` images is taken whole first, then filled up by drawing from it again.

        Args:
            batch: Images per class.
            generator: CPU generator of the draw.
            note: Warn of classes with fewer than `batch` images.

        Returns:
            int64 (K, batch), on the CPU.
        """
        counts, members = self.counts[:, None], self.members
        keys = torch.rand(members.shape, generator=generator)
        keys = keys.masked_fill(torch.arange(members.shape[1]) >= counts, -1)  # padding is never among the largest
        picks = keys.topk(min(batch, members.shape[1]), dim=1).indices
        if int(counts.min()) < batch:
            if note:
                _warn_resampling(self, batch)
            again = torch.rand(len(counts), batch, generator=generator, dtype=torch.float64).mul(counts).long()
            picks = torch.nn.functional.pad(picks, (0, batch - picks.shape[1]))
            picks = torch.where(torch.arange(batch) < counts, picks, again)
        return members.gather(1, picks)

    def sample(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw normalised images of every class.

        Args:
            batch: Images per class.
            generator: CPU generator of the draw.

        Returns:
            float32 (K, batch, C, H, W).
        """
        return self.at(self.draw(batch, generator))

    def at(self, index: Tensor) -> Tensor:
        """Return normalised images.

        Args:
            index: int64 (K, B), positions in the set.

        Returns:
            float32 (K, B, C, H, W).
        """
        images, _ = self.batch(index.flatten())
        return images.unflatten(0, index.shape)


def _fits(images: Tensor, device: torch.device) -> bool:
    """Return True when a copy of images leaves half of the free memory of a GPU."""
    return device.type != "cuda" or images.nbytes <= torch.cuda.mem_get_info(device)[0] / 2


def _warn_resampling(real: ImageSet, batch: int) -> None:
    smallest = int(real.counts.argmin())
    warnings.warn(
        f"a batch of {batch} images per class is larger than class {real.spec.class_names[smallest]!r} "
        f"({int(real.counts[smallest])} images): small classes are used whole and filled up by drawing images again",
        stacklevel=3,
    )
