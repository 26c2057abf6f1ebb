"""Find images and labels in the .pt files of DC, DSA, DM, MTT and IDC, which arrange them differently."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
from torch import Tensor

from ..data.readers.pickles import read_torch
from ..data.spec import Spec
from ..utils.errors import DataNotFound, InputError, naming
from .arrays import standard_shapes

LAYOUT = (
    "expected {'data': [[images, labels], ...], 'accs_all_exps': {...}} as DC, DSA and DM write it, images_best.pt "
    "beside labels_best.pt as MTT does, or [images, labels] as IDC does"
)
LATENTS = {"z_inverse_all": "inverted", "z_eff_all": "informative"}
"""Key of the latents in the authors' files -> the kind of the latents."""
Entry: TypeAlias = tuple[object, Tensor, Tensor]
"""Place for messages, images and labels."""
_IMAGES, _LABELS = ("images", "image", "x", "data"), ("labels", "label", "targets", "y")
_PAIR = re.compile(r"(.*?)(images|labels)(_zca)?(_best|_\d+)?\.pt")
"""Names of the two files of a set of MTT, and of methods built on its code: images_best.pt, labels_best.pt."""
_AUTHORS = re.compile(r"(?:cl_)?(?:res_)?(?:DC|DSA|DM|herding)_.+\.pt")


@final
@dataclass(frozen=True)
class PtFile:
    """Images, labels and everything else in a .pt file, or in the two of a set."""

    files: list[Path]
    entries: list[tuple[object, Any, Any]]
    """Place for messages, images and labels of each set, or of each step of class-incremental learning."""
    never_whitened: bool | None
    """As `normalise_pixels` takes it."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """The other entries of the file."""

    @staticmethod
    def read(path: Path) -> "PtFile":
        """Read a .pt file, and the one beside it where a set has two. Nothing in them is run.

        Raises InputError if they hold no images and labels.
        """
        content = read_torch(path)
        if _is_array(content):
            return _read_pair(path)
        if isinstance(content, dict) and content.keys() & LATENTS.keys():
            raise InputError(f"{path} holds latents: name the weights of their generator with --generator")
        if isinstance(content, dict) and isinstance(content.get("data"), list | tuple) and content["data"]:
            data = content["data"]
            several = [data] if len(data) == 2 and all(map(_is_array, data)) else data
            entries = [_entry(f"{path}, experiment {index}", one) for index, one in enumerate(several)]
            other = {key: value for key, value in content.items() if key != "data"}
            return PtFile([path], entries, True if _AUTHORS.fullmatch(path.name) else None, other)
        pair: Any = content
        if isinstance(content, dict):
            pair = [next((content[key] for key in keys if key in content), None) for keys in (_IMAGES, _LABELS)]
        if isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_is_array, pair)):
            return PtFile([path], [_entry(path, pair)], None)
        raise InputError(f"{path} is not a file of synthetic sets: {LAYOUT}")

    def standard_entries(self, spec: Spec) -> list[Entry]:
        """Return place, images (N, C, H, W) and labels of each entry. Raises InputError for anything but numbers."""
        found = []
        for place, images, labels in self.entries:
            with naming(place):
                found.append((place, *standard_shapes(images, labels, spec)))
        return found


def find_images_of_pair(directory: Path) -> Path | None:
    """Return MTT's images_best.pt in a directory, or the images of the last iteration; None if there are none."""
    found = [path for path in directory.glob("*images*.pt") if _PAIR.fullmatch(path.name) and _partner(path).is_file()]
    return max(found, key=_preference, default=None)


def _preference(path: Path) -> tuple[bool, bool, int]:
    """Return a key that puts the best first, then by iteration, and images whose whitening MTT has undone last."""
    _, _, zca, which = _groups(path)
    return which == "_best", not zca, int(which[1:]) if which[1:].isdecimal() else -1


def _groups(path: Path) -> tuple[str, str, str, str]:
    """Return the parts of the name of one file of a pair; empty if it is none."""
    found = _PAIR.fullmatch(path.name)
    return ("", "", "", "") if found is None else tuple(part or "" for part in found.groups())  # pyright: ignore


def _partner(path: Path) -> Path:
    """Return the other file of a pair. Images whose whitening MTT has undone share the labels of the whitened ones."""
    before, kind, _, which = _groups(path)
    return path.with_name(f"{before}{'labels' if kind == 'images' else 'images'}{which}.pt")


def _read_pair(path: Path) -> PtFile:
    """Read the set in two files."""
    if not _PAIR.fullmatch(path.name):
        raise InputError(
            f"{path} holds one tensor: rename it images_best.pt and put its labels beside it as labels_best.pt"
        )
    partner = _partner(path)
    if not partner.is_file():
        raise DataNotFound(f"{path} holds {_groups(path)[1]} alone, but {partner.name} is not beside it")
    both = [path, partner] if _groups(path)[1] == "images" else [partner, path]
    return PtFile(both, [_entry(path, [read_torch(file) for file in both])], False)


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _entry(place: object, entry: Any) -> tuple[object, Any, Any]:
    if not isinstance(entry, Sequence) or len(entry) != 2 or not all(map(_is_array, entry)):
        raise InputError(f"{place}: it is not [images, labels]: {LAYOUT}")
    return place, *entry
