"""Images and labels in the files of others, however these arrange them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ..data.readers.pickles import read_torch
from ..data.spec import Spec
from ..utils.errors import DataNotFound, InputError, naming

LAYOUT = (
    "expected {'data': [[images, labels], ...], 'accs_all_exps': {...}} as DC, DSA and DM write it, images_best.pt "
    "beside labels_best.pt as MTT does, or [images, labels] as IDC does"
)
LATENTS = {"z_inverse_all": "inverted", "z_eff_all": "informative"}
"""The entries of the authors' files of latents, and what these are."""
_IMAGES, _LABELS = ("images", "image", "x", "data"), ("labels", "label", "targets", "y")
_PAIR = re.compile(r"(.*?)(images|labels)(_zca)?(_best|_\d+)?\.pt")
"""What MTT and those that began from its code call the two files of a set: images_best.pt, labels_best.pt."""
_AUTHORS = re.compile(r"(?:cl_)?(?:res_)?(?:DC|DSA|DM|herding)_.+\.pt")
_TILES = re.compile(r"factor(\d+)")


@final
@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    files: list[Path]
    entries: list[tuple[object, Any, Any]]
    """Where it stands, images and labels, of each set or of each step of class-incremental learning."""
    authors: bool | None
    """As `pixels.normalised` takes it."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """What the file has besides."""

    @staticmethod
    def of(path: Path) -> "Contents":
        """Images and labels in a .pt file, and in the one beside it where they are two. Nothing in them is run.

        Raises InputError where there are none.
        """
        content = read_torch(path)
        if _is_array(content):
            return _pair(path)
        if isinstance(content, dict) and content.keys() & LATENTS.keys():
            raise InputError(f"{path} holds latents: name the weights of their generator by --generator")
        if isinstance(content, dict) and isinstance(content.get("data"), list | tuple) and content["data"]:
            data = content["data"]
            several = [data] if len(data) == 2 and all(map(_is_array, data)) else data
            entries = [_entry(f"{path}, experiment {index}", one) for index, one in enumerate(several)]
            other = {key: value for key, value in content.items() if key != "data"}
            return Contents([path], entries, True if _AUTHORS.fullmatch(path.name) else None, other)
        pair: Any = content
        if isinstance(content, dict):
            pair = [next((content[key] for key in keys if key in content), None) for keys in (_IMAGES, _LABELS)]
        if isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_is_array, pair)):
            return Contents([path], [_entry(path, pair)], None)
        raise InputError(f"{path} is not a file of synthetic sets: {LAYOUT}")

    def in_shape(self, spec: Spec) -> list[tuple[object, Tensor, Tensor]]:
        """Where each entry stands, its images as (N, C, H, W) and its labels as int64 (N,). Raises InputError."""
        found = []
        for place, images, labels in self.entries:
            with naming(place):
                found.append((place, *in_shape(images, labels, spec)))
        return found


def pair_in(directory: Path) -> Path | None:
    """images_best.pt of MTT in a directory, or the images of the last iteration; None where there are none."""
    found = [path for path in directory.glob("*images*.pt") if _PAIR.fullmatch(path.name) and _partner(path).is_file()]
    return max(found, key=_newest, default=None)


def _newest(path: Path) -> tuple[bool, bool, int]:
    """The best first, then by iteration; before images whose whitening MTT has undone."""
    _, _, zca, which = _groups(path)
    return which == "_best", not zca, int(which[1:]) if which[1:].isdecimal() else -1


def _groups(path: Path) -> tuple[str, str, str, str]:
    found = _PAIR.fullmatch(path.name)
    return ("", "", "", "") if found is None else tuple(part or "" for part in found.groups())  # pyright: ignore


def _partner(path: Path) -> Path:
    """The other file of a pair. MTT writes no labels of their own beside images whose whitening is undone."""
    before, kind, _, which = _groups(path)
    return path.with_name(f"{before}{'labels' if kind == 'images' else 'images'}{which}.pt")


def _pair(path: Path) -> Contents:
    """The set in two files."""
    if not _PAIR.fullmatch(path.name):
        raise InputError(f"{path} holds one tensor: call it images_best.pt and its labels, beside it, labels_best.pt")
    partner = _partner(path)
    if not partner.is_file():
        raise DataNotFound(f"{path} holds {_groups(path)[1]} alone, and {partner.name} is not beside it")
    both = [path, partner] if _groups(path)[1] == "images" else [partner, path]
    return Contents(both, [_entry(path, [read_torch(file) for file in both])], False)


def tiles(path: Path) -> int:
    """Tiles along each side of an image, as the names of IDC's directories say (..._factor2_...); 1 where none does."""
    found = _TILES.findall(path.absolute().parent.name) if path.name == "data.pt" else []
    return int(found[-1]) if found else 1


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _entry(place: object, entry: Any) -> tuple[object, Any, Any]:
    if not isinstance(entry, Sequence) or len(entry) != 2 or not all(map(_is_array, entry)):
        raise InputError(f"{place}: it is not [images, labels]: {LAYOUT}")
    return place, *entry


def in_shape(images: Any, labels: Any, spec: Spec) -> tuple[Tensor, Tensor]:
    """Images as (N, C, H, W), where they had the channel last or none, and labels as int64 (N,).

    Labels may be whole numbers of any type, of shape (N,) or (N, 1), or one-hot (N, K). Raises InputError for others.
    """
    images, labels = (torch.from_numpy(_native(x)) if isinstance(x, np.ndarray) else x for x in (images, labels))
    if images.is_complex():
        raise InputError(f"images have dtype {images.dtype}, expected numbers of pixels")
    c, h, w = spec.shape
    if images.dim() == 3 and c == 1 and images.shape[1:] == (h, w):
        images = images[:, None]
    elif images.dim() == 4 and images.shape[1:] == (h, w, c) != spec.shape:
        images = images.permute(0, 3, 1, 2)
    return images.contiguous(), _labels(labels)


def _native(array: np.ndarray) -> np.ndarray:
    """A copy that PyTorch takes, in the byte order of this machine. Raises InputError for other than numbers."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"an array has dtype {array.dtype}, expected numbers")
    wider = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(array.dtype.name)
    return array.astype(wider or array.dtype.newbyteorder("="), order="C", copy=True)


def _labels(labels: Tensor) -> Tensor:
    if labels.dtype == torch.bool or labels.is_complex():
        raise InputError(f"labels have dtype {labels.dtype}, expected integers")
    if labels.dim() == 2 and labels.shape[1] > 1:
        if bool(((labels == 0) | (labels == 1)).all() & (labels.sum(1) == 1).all()):
            return labels.argmax(1)
        raise InputError(
            f"labels of shape {tuple(labels.shape)} are soft, a number for each class, and only hard ones are read: "
            "give the number of one class for each image"
        )
    labels = labels.flatten() if labels.dim() == 2 else labels
    if labels.dtype.is_floating_point and not bool((labels == labels.round()).all()):  # NaN is not either
        raise InputError(f"labels have dtype {labels.dtype} and are no whole numbers")
    return labels.long().contiguous()


def disjoint(all_labels: Iterable[Tensor]) -> bool:
    """Whether no class is in two of them."""
    seen: set[int] = set()
    for labels in all_labels:
        classes = set(labels.tolist())
        if classes & seen:
            return False
        seen |= classes
    return True
