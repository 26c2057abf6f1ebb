"""Files that are either whole or not there: atomic writes, and tensors under a checksum."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from .errors import InputError

_HEADER = "datacondense"
_DIGEST = "sha256"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step. After a crash or on a full disk the old content is still there.

    Raises OSError, with nothing left behind, when the file cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented, in one step."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """The JSON value in `path`. Raises InputError when it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged: not JSON ({error})") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file whose metadata holds `header` as JSON and a checksum over header and tensors."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header, sort_keys=True)
    write_bytes(path, safetensors.torch.save(plain, {_HEADER: text, _DIGEST: _digest(text, plain)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write_tensors` wrote.

    Raises InputError when the file is not one, is truncated, or does not match its checksum.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
