"""Export one set as an .npz file of NumPy arrays."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.readers.npy import array_header
from ..data.spec import Spec
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet, checked, read_header
from ..utils.atomic import write_bytes
from ..utils.errors import DamagedFile, InputError, naming, reason
from ..utils.files import checksum, header_text, parse_json
from ..utils.limits import affordable
from .arrays import standard_shapes
from .file_options import FileOptions
from .label_kinds import read_labels
from .pixel_normalisation import normalise_pixels
from .read_result import ReadResult

_NEEDED = ("images", "labels", "header", "sha256")


def write(synthetic: SyntheticSet, path: Path) -> None:
    """Write the arrays images (normalised float32), pixels (uint8), labels, class_names, mean, std, header, sha256."""
    text = header_text(synthetic.header())
    tensors = {"images": synthetic.images.cpu(), "labels": synthetic.labels.cpu()}
    spec = synthetic.spec
    arrays: dict[str, Any] = {
        **{name: tensor.numpy() for name, tensor in tensors.items()},
        "pixels": spec.pixels(synthetic.images).cpu().numpy(),
        "class_names": np.array(spec.class_names),
        "mean": np.array(spec.mean),
        "std": np.array(spec.std),
        "header": np.array(text),
        "sha256": np.array(checksum(text, tensors)),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def is_npz(path: Path) -> bool:
    """Return whether a file is a NumPy archive, by its members, or by its name where these do not decide."""
    names = _members(path)
    if any(name.split("/")[-1] == "data.pkl" for name in names):  # of torch.save
        return False
    return "images.npy" in names or path.suffix.lower() == ".npz"


def is_export(path: Path) -> bool:
    """Return whether `write` wrote a file."""
    return {"header.npy", "sha256.npy"} <= _members(path)


def _members(path: Path) -> set[str]:
    """Return the names of the members of an archive; none if it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except Exception:  # zipfile raises errors of many types on wrong bytes; the reader of the file reports them
        return set()


def read(path: Path, spec: Spec | None, options: FileOptions) -> ReadResult:
    """Read the set in a file of `write`, or in one with the arrays `images` and `labels` alone.

    Nothing pickled is read, nothing outside the file is touched, and no more is allocated than the file can hold.
    `spec` and `options` describe the data and the pixels of files that do not do it themselves. Raises InputError for
    a file that is damaged, does not match its checksum, or is no set.
    """
    exported = bool(_members(path) & {"header.npy", "sha256.npy"})
    arrays = _arrays(path, _NEEDED if exported else _NEEDED[:2])
    with naming(path):
        if not exported:
            if spec is None:
                raise InputError("it does not describe its images: name the data with --data")
            images, labels = standard_shapes(arrays["images"], arrays["labels"], spec)
            labels, kind = read_labels(labels, options.labels, spec.classes)
            images, scale = normalise_pixels(images, spec, options.pixels, never_whitened=None)
            return ReadResult([checked(images, labels, spec, Provenance())], [path], scale, kind, foreign=True)
        options.reject_all("it")
        text, digest = (_text(arrays, name) for name in ("header", "sha256"))
        try:
            header = parse_json(text)
        except ValueError as error:
            raise InputError(f"its header is not JSON ({error})") from None
        spec, provenance, recipe = read_header(header)
        soft = arrays["labels"].ndim == 2
        images, labels = (
            _tensor(arrays, "images", np.float32),
            _tensor(arrays, "labels", np.float32 if soft else np.int64),
        )
        if checksum(text, {"images": images, "labels": labels}) != digest:
            raise DamagedFile("it is damaged: its content does not match its checksum")
        return ReadResult([checked(images, labels, spec, provenance, recipe=recipe)], [path])


def _arrays(path: Path, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the needed arrays of an archive, each checked before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            with naming(path):
                for member in members:
                    _check_name(member.filename)
                found = {member.filename for member in members}
                if len(found) < len(members):
                    raise InputError("two of its arrays have the same name")
                missing = [name for name in needed if f"{name}.npy" not in found]
                if missing:
                    raise InputError(
                        f"it has no array {missing[0]!r}: only what `datacondense export --to npz` writes is read, "
                        "and an archive of the arrays images and labels"
                    )
                size = sum(array_header(archive, name).size for name in needed)
                affordable(size, "its arrays", held=path.stat().st_size)
                read = (io.BytesIO(archive.read(f"{name}.npy")) for name in needed)
                return {
                    name: np.lib.format.read_array(data, allow_pickle=False)
                    for name, data in zip(needed, read, strict=True)
                }
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise errors of many types on wrong bytes
        raise DamagedFile(f"{path} is damaged or not an .npz file ({reason(error)})") from None


def _check_name(name: str) -> None:
    """Raise InputError for a member whose path leaves the archive."""
    if len(PurePosixPath(name).parts) != 1 or "\\" in name or ":" in name or name in (".", ".."):
        raise InputError(f"it has a member {name!r}, a path that leaves the archive: it was not written by NumPy")


def _tensor(arrays: dict[str, np.ndarray], name: str, dtype: type[np.generic]) -> Tensor:
    """Return an array as a tensor. Raises InputError for another dtype."""
    array = arrays[name]
    if array.dtype != np.dtype(dtype):
        raise InputError(f"array {name!r} has dtype {array.dtype}, expected {np.dtype(dtype)}")
    return torch.from_numpy(np.ascontiguousarray(array))


def _text(arrays: dict[str, np.ndarray], name: str) -> str:
    """Return the string in an array. Raises InputError for anything else."""
    array = arrays[name]
    if array.dtype.kind != "U" or array.ndim:
        raise InputError(f"array {name!r} has dtype {array.dtype} and shape {array.shape}, expected one string")
    return str(array)
