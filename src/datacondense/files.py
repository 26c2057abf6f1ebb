"""Files that are either whole or not there: atomic writes, and tensors under a checksum."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from .errors import InputError

_HEADER = "datacondense"
_DIGEST = "sha256"


def write_bytes(path: Path, data: bytes, *, keep: Path | None = None) -> None:
    """Replace `path` by `data` in one step. After a crash or on a full disk the old content is still there.

    keep: where the old content goes; at any moment at least one of the two files is whole.
    Raises OSError, with nothing left behind, when the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented, in one step."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def append_line(path: Path, text: str) -> None:
    """Append one line in a single write: two processes at once both keep theirs. The file ends whole after a crash."""
    with path.open("a") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """The JSON value in `path`. Raises InputError when it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged: not JSON ({error})") from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, keep: Path | None = None
) -> None:
    """Write a safetensors file whose metadata holds `header` as JSON and a checksum over header and tensors.

    keep: as for `write_bytes`.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header, sort_keys=True)
    data = safetensors.torch.save(plain, {_HEADER: text, _DIGEST: _digest(text, plain)})
    write_bytes(path, data, keep=keep)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write_tensors` wrote.

    Raises InputError when the file is not one, is truncated, or does not match its checksum.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is damaged or not a safetensors file ({error})") from None
    if _HEADER not in metadata or _DIGEST not in metadata:
        raise InputError(f"{path} was not written by datacondense: its header has no {_HEADER!r} entry")
    if _digest(metadata[_HEADER], tensors) != metadata[_DIGEST]:
        raise InputError(f"{path} is damaged: its content does not match its checksum")
    return tensors, json.loads(metadata[_HEADER])


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    """sha256 over the header and, by name, each tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
