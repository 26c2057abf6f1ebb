"""Read and write JSON and tensors: atomic writes, checked content."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .atomic import write_bytes
from .errors import DamagedFile, InputError, reason
from .paths import regular
from .schema import check

T = TypeVar("T")
_HEADER = "datacondense"
_DIGEST = "sha256"
_DEEPEST = 100  # levels of a JSON value


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented, in one step."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def append_line(path: Path, text: str) -> None:
    """Append one line in a single write, so that the lines of concurrent processes and of a crash stay whole."""
    if path.exists():
        regular(path)
    with path.open("a+b") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            text = "\n" + text  # a crash cut the last line short: only that line is lost
        file.write(f"{text}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`. Raise DamagedFile when it is not JSON."""
    data = regular(path).read_bytes()
    try:
        return parse_json(data)
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: not JSON ({error})") from None


def read_as(path: Path, kind: type[T]) -> T:
    """Read a JSON file whose fields are declared by a type.

    Raises:
        DamagedFile: When it is not JSON, or a field is not as declared; the message names file and field.
    """
    return check(read_json(path), kind, f"{path} is damaged")


def parse_json(data: bytes | str) -> Any:
    """Return the JSON value in `data`.

    Raise ValueError for invalid JSON and for values that cannot be written again, which Python's parser accepts: NaN,
    infinities, text that is not Unicode, and more than 100 levels.
    """
    try:
        value = json.loads(data)
        if not _is_flat(value):
            raise ValueError("nested too deeply")
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _is_flat(value: Any) -> bool:
    """Return True when a JSON value has at most 100 levels, so that recursive code does not run out of stack."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, keep: Path | None = None
) -> None:
    """Write a safetensors file whose metadata holds `header` as JSON and a checksum over header and tensors.

    keep: as of `write_bytes`.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = header_text(header)
    data = safetensors.torch.save(plain, {_HEADER: text, _DIGEST: checksum(text, plain)})
    write_bytes(path, data, keep=keep)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the header of a file that `write_tensors` wrote.

    Raise InputError when the file is of another kind, truncated, or does not match its checksum.
    """
    try:
        opened: Any = safetensors.safe_open(regular(path), framework="pt")  # it has no types
        with opened as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, InputError):
        raise
    except Exception as error:  # safetensors raises errors of other types for a dtype that PyTorch lacks
        raise DamagedFile(f"{path} is damaged or not a safetensors file ({reason(error)})") from None
    if _HEADER not in metadata or _DIGEST not in metadata:
        raise InputError(f"{path} was not written by datacondense: its header has no {_HEADER!r} entry")
    if checksum(metadata[_HEADER], tensors) != metadata[_DIGEST]:
        raise DamagedFile(f"{path} is damaged: its content does not match its checksum")
    try:
        header: dict[str, Any] | None = parse_json(metadata[_HEADER])
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise DamagedFile(f"{path} is damaged: its header is not a JSON object")
    return tensors, header


def read_cached_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the result of `read_tensors` for a file that can be made again; None if it is missing or unreadable.

    A damaged file is deleted if that is permitted.
    """
    try:
        return read_tensors(path) if path.exists() else None
    except InputError:
        with suppress(OSError):  # another process may delete it, too
            path.unlink()
        return None
    except OSError:
        return None


def header_text(header: Mapping[str, Any]) -> str:
    """Return the JSON of a header with sorted keys, as it is written and checksummed."""
    return json.dumps(header, sort_keys=True)


def checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of a header's JSON and, by name, each tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return digest.hexdigest()
