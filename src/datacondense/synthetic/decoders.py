"""Decoders: training images from stored tensors. All built-in decoders are affine in the tensors that are optimised.

A decoder sees n stored images of each of G classes, (G, n, ...), and makes V = n * views training images of each.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, final

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional as F

from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..utils.errors import DamagedFile, InputError
from ..utils.ranges import Tiles
from ..utils.registry import Entry, Registry
from ..utils.transfer import sent

Tensors = Mapping[str, Tensor]

_GREY = 0.5  # of padding, as in IDC
_MEASURED = 2000  # real images of each class whose variance chooses DCT coefficients
_FEWEST = 10  # real images of a class; of fewer the variance says little, and that over all classes is taken


@dataclass(frozen=True, kw_only=True)
class Decoder(ABC):
    """A way to store training images. Its fields are its config, JSON values written into the file of a set."""

    optimised: ClassVar[tuple[str, ...]] = ("images",)
    """Names of the tensors that are optimised, (K, n, ...); `--store` sets their number format."""
    ranges: ClassVar[Mapping[str, tuple[int, ...]]] = {"images": (-3,)}
    """Optimised tensor -> its axes along which each position has a range of its own when it is stored in 8 bits."""
    pixels: ClassVar[tuple[str, ...]] = ()
    """Names of the optimised tensors that are normalised pixels, (K, n, C, H, W), which `--clamp` keeps in range."""

    @abstractmethod
    def views(self, spec: Spec) -> int:
        """Return the number of training images that are decoded from one stored image.

        Raises:
            InputError: The decoder cannot store images like those of `spec`.
        """

    @abstractmethod
    def encode(self, images: Tensor, real: ImageSet) -> dict[str, Tensor]:
        """Return the tensors that decode to about these images.

        Args:
            images: Normalised images (K, V, C, H, W).
            real: The real images, from which a decoder may choose what it stores.

        Returns:
            Tensors whose first axis is the class: those in `optimised`, and others, which stay as they are.
        """

    @abstractmethod
    def decode(self, tensors: Tensors, spec: Spec) -> Tensor:
        """Return normalised images (G, V, C, H, W) of the tensors (G, n, ...) of some classes; differentiable."""

    def to_file(self, tensors: Tensors, spec: Spec) -> dict[str, Tensor]:
        """Return the tensors as a file holds them: by default all (K, n, ...) as (N, ...), class by class."""
        return {name: tensor.flatten(0, 1) for name, tensor in tensors.items()}

    def from_file(self, tensors: Tensors, spec: Spec) -> dict[str, Tensor]:
        """Return tensors that `decode` takes, of one or of several classes, from those in a file, after every check.

        Raises:
            InputError: A tensor is missing or has a shape that does not fit.
        """
        return {"images": _images(tensors, spec)[None]}

    def memory(self, spec: Spec) -> int:
        """Return the bytes that `decode` takes besides images, which bound what a file may ask for."""
        return 0

    def config(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


@final
@dataclass(frozen=True, kw_only=True)
class PixelDecoder(Decoder):
    """Store the pixels of each training image."""

    pixels: ClassVar[tuple[str, ...]] = ("images",)

    def views(self, spec: Spec) -> int:
        return 1

    def encode(self, images: Tensor, real: ImageSet) -> dict[str, Tensor]:
        return {"images": images}

    def decode(self, tensors: Tensors, spec: Spec) -> Tensor:
        return tensors["images"]


@final
@dataclass(frozen=True, kw_only=True)
class TileDecoder(Decoder):
    """Store F x F training images as the tiles of one image, each enlarged bilinearly (IDC, Kim et al., ICML 2022).

    An image whose sides F does not divide is padded with grey, 0.5, below and on the right. The views of a stored image
    follow one another, row by row.
    """

    pixels: ClassVar[tuple[str, ...]] = ("images",)

    factor: Tiles = 2
    """Tiles along each side, F."""

    def views(self, spec: Spec) -> int:
        if min(spec.shape[1:]) < self.factor:
            raise InputError(f"--factor {self.factor}: images of {spec.shape[1]} x {spec.shape[2]} have fewer pixels")
        return self.factor**2

    def encode(self, images: Tensor, real: ImageSet) -> dict[str, Tensor]:
        f, (h, w) = self.factor, images.shape[-2:]
        size = math.ceil(h / f), math.ceil(w / f)
        small = F.interpolate(images.flatten(0, 1), size, mode="bilinear", antialias=True) if f > 1 else images
        tiles = small.reshape(images.shape[0], -1, f, f, images.shape[2], *size)  # (K, n, row, column, C, h, w)
        whole = tiles.permute(0, 1, 4, 2, 5, 3, 6).flatten(-4, -3).flatten(-2, -1)
        return {"images": whole[..., :h, :w].contiguous()}

    def decode(self, tensors: Tensors, spec: Spec) -> Tensor:
        stored, f = tensors["images"], self.factor
        if f == 1:
            return stored
        groups, _, c, h, w = stored.shape
        padded = stored.flatten(0, 1)
        if h % f or w % f:
            statistics = sent(torch.tensor([spec.mean, spec.std]), stored.device)
            mean, std = statistics[:, :, None, None]
            grey = (_GREY - mean) / std  # (C, 1, 1)
            padded = F.pad(padded - grey, (0, -w % f, 0, -h % f)) + grey
        rows, columns = padded.shape[2] // f, padded.shape[3] // f
        tiles = padded.reshape(-1, c, f, rows, f, columns).permute(0, 2, 4, 1, 3, 5)  # (n, row, column, C, h, w)
        views = F.interpolate(tiles.flatten(0, 2), (h, w), mode="bilinear", align_corners=False)
        return views.unflatten(0, (groups, -1))


@final
@dataclass(frozen=True, kw_only=True)
class DctDecoder(Decoder):
    """Store m coefficients of the orthonormal DCT-II of each channel (FreD, Shin et al., NeurIPS 2023).

    They are those in which the real images of a class (of all classes, for a class of fewer than 10), averaged over
    their channels, vary most; the mean is always one of them, and of equal ones the lowest frequencies are. A set of n
    images per class stores n * (H W // m) images of each class, in the bytes of n images.
    """

    optimised: ClassVar[tuple[str, ...]] = ("coefficients",)
    ranges: ClassVar[Mapping[str, tuple[int, ...]]] = {"coefficients": (-2, -1)}

    coefficients: Annotated[int, Meta(ge=1, le=2**24)]
    """Coefficients of each channel of a training image, m."""

    def views(self, spec: Spec) -> int:
        pixels = spec.shape[1] * spec.shape[2]
        if self.coefficients > pixels:
            raise InputError(f"--coefficients {self.coefficients}: images of {pixels} pixels have {pixels}")
        return pixels // self.coefficients

    def encode(self, images: Tensor, real: ImageSet) -> dict[str, Tensor]:
        places = torch.stack([self._places(real, k) for k in range(len(images))]).to(images.device)  # (K, m)
        spectrum = dct(images).flatten(3)  # (K, V, C, H W)
        index = places[:, None, None].expand(*spectrum.shape[:3], -1)
        return {"coefficients": spectrum.gather(3, index), "places": places}

    def decode(self, tensors: Tensors, spec: Spec) -> Tensor:
        kept, places = tensors["coefficients"], tensors["places"]
        spectrum = kept.new_zeros(*kept.shape[:3], spec.shape[1] * spec.shape[2])
        index = places[:, None, None].expand(kept.shape)
        return inverse_dct(spectrum.scatter(3, index, kept).unflatten(3, spec.shape[1:]))

    def memory(self, spec: Spec) -> int:
        """Return the bytes of the matrices of the transform, and of what computes them."""
        return 4 * 8 * (spec.shape[1] ** 2 + spec.shape[2] ** 2)

    def to_file(self, tensors: Tensors, spec: Spec) -> dict[str, Tensor]:
        """Return `coefficients` (K, V, C, m) and `mask`, uint8 (K, ceil(H W / 8)): a bit for each coefficient."""
        places = tensors["places"]
        bits = torch.zeros(len(places), _bytes(spec) * 8, dtype=torch.uint8, device=places.device)
        bits.scatter_(1, places, 1)
        return {
            "coefficients": tensors["coefficients"],
            "mask": (bits.unflatten(1, (-1, 8)) * _weights(bits)).sum(2).byte(),
        }

    def from_file(self, tensors: Tensors, spec: Spec) -> dict[str, Tensor]:
        kept, mask = _named(tensors, "coefficients"), _named(tensors, "mask")
        expected = spec.shape[0], self.coefficients
        if kept.dim() != 4 or len(kept) != spec.classes or kept.shape[2:] != expected:
            raise InputError(f"coefficients have shape {tuple(kept.shape)}, expected (K, V, *{expected})")
        if mask.dtype != torch.uint8 or mask.shape != (spec.classes, _bytes(spec)):
            found, expected = f"{tuple(mask.shape)} of {mask.dtype}", f"{(spec.classes, _bytes(spec))} of torch.uint8"
            raise DamagedFile(f"its mask has shape {found}, expected {expected}")
        bits = (mask[:, :, None] & _weights(mask)).flatten(1).bool()
        pixels = spec.shape[1] * spec.shape[2]
        if bool(bits[:, pixels:].any()) or not bool((bits.sum(1) == self.coefficients).all()):
            raise DamagedFile(f"its mask does not name {self.coefficients} coefficients of each class")
        return {"coefficients": kept, "places": bits.nonzero()[:, 1].view(len(mask), -1)}

    def _places(self, real: ImageSet, k: int) -> Tensor:
        """Return the places of the coefficients of class k in the flat spectrum, in ascending order, (m,)."""
        members = real.members[k, : int(real.counts[k])]
        if len(members) < _FEWEST:
            members = torch.arange(len(real))
        chosen = torch.linspace(0, len(members) - 1, min(len(members), _MEASURED)).long()
        images, _ = real.batch(members[chosen])
        variance = dct(images.mean(1)).flatten(1).var(0, correction=0)
        variance[0] = torch.inf  # the mean
        rows, columns = (torch.arange(side) / side for side in real.spec.shape[1:])
        order = (rows[:, None] + columns).flatten().argsort(stable=True).to(variance.device)  # low frequencies first
        return order[variance[order].argsort(descending=True, stable=True)[: self.coefficients]].sort().values


DECODERS: Registry[type[Decoder]] = Registry(
    __name__,
    {
        "pixels": Entry("decoders:PixelDecoder"),
        "tiles": Entry("decoders:TileDecoder"),
        "dct": Entry("decoders:DctDecoder"),
    },
    kind="decoder",
    group="datacondense.decoders",
    check="plugins:checked",
)
"""Name -> class. Latents of a generator are decoded by `Generated`."""


def dct(images: Tensor) -> Tensor:
    """Return the orthonormal DCT-II of images (..., H, W) along both axes."""
    rows, columns = (_placed_matrix(size, images.dtype, images.device) for size in images.shape[-2:])
    return rows @ images @ columns.T


def inverse_dct(spectrum: Tensor) -> Tensor:
    """Return the inverse of `dct`, which is its transpose."""
    rows, columns = (_placed_matrix(size, spectrum.dtype, spectrum.device) for size in spectrum.shape[-2:])
    return rows.T @ spectrum @ columns


@lru_cache(maxsize=4)
def _placed_matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return `dct_matrix` on a device, kept there: `decode` runs in every iteration."""
    return dct_matrix(size).to(device, dtype)


def dct_matrix(size: int) -> Tensor:
    """Return the orthonormal DCT-II, float64 (size, size): row u is sqrt(2 / size) cos(pi (2 x + 1) u / (2 size))."""
    frequency, place = torch.arange(size).double()[:, None], torch.arange(size).double()
    matrix = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def _images(tensors: Tensors, spec: Spec) -> Tensor:
    """Return the tensor `images` (N, C, H, W). Raises InputError if it is missing or has another shape."""
    images = _named(tensors, "images")
    if images.dim() != 4 or images.shape[1:] != spec.shape:
        raise InputError(
            f"images have shape {tuple(images.shape)} (N, C, H, W), which does not fit {spec.name}: expected "
            f"{spec.shape} for each"
        )
    return images


def _named(tensors: Tensors, name: str) -> Tensor:
    if name not in tensors:
        raise InputError(f"there is no tensor {name!r}: it holds no synthetic set")
    return tensors[name]


def _bytes(spec: Spec) -> int:
    """Return the bytes of a mask of all pixels."""
    return math.ceil(spec.shape[1] * spec.shape[2] / 8)


def _weights(like: Tensor) -> Tensor:
    """Return the values of the bits of a byte, the highest first, (8,)."""
    return torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=like.device)
