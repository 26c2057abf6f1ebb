"""Export a directory that `datasets.load_dataset` reads: a Parquet file and a card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.spec import Spec
from ..pictures import from_png, to_png
from ..synthetic.provenance import Provenance
from ..synthetic.set import checked, read_header
from ..utils.errors import DamagedFile, InputError, naming, reason
from ..utils.files import checksum, header_text, parse_json, write_json
from ..utils.limits import affordable
from .card import render_card
from .export_item import ExportItem
from .export_marker import MARKER, read_marker
from .file_options import FileOptions
from .label_kinds import read_labels
from .read_result import ReadResult

_FILE = "data/train-00000-of-00001.parquet"
_SOFT = "soft_label"
"""Column of labels with a number for each class."""
_FLOAT = {"dtype": "float32", "_type": "Value"}
_ROWS = 16
"""Images read at a time: a small file may unpack to many, and only those that fit are stored."""
_SCANNED = 1024
"""Values scanned at a time before any is stored. Here Arrow reports a malformed description of a column as an error;
later the description alone would end the process."""
_OVERHEAD = 2**24
"""Bytes that a table may have besides its images."""


def write(item: ExportItem, directory: Path) -> None:
    """Fill `directory` with data/train-*.parquet, the card README.md and the marker.

    The columns are image, label, pixels and, if labels are soft, soft_label.
    """
    pa, parquet = _arrow()
    synthetic, spec = item.synthetic, item.synthetic.spec
    soft = synthetic.labels if synthetic.soft else None
    names = [f"{index:06}.png" for index in range(len(synthetic))]
    pictures = [to_png(image) for image in spec.pixels(synthetic.images)]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": _unique(spec.class_names), "_type": "ClassLabel"},
        "pixels": _lists(_lists(_lists(_FLOAT))),
        **({} if soft is None else {_SOFT: _lists(_FLOAT)}),
    }
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": data, "path": name} for data, name in zip(pictures, names, strict=True)],
                pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            ),
            "label": pa.array(synthetic.classes.tolist(), pa.int64()),
            "pixels": _nested(pa, synthetic.images),
            **({} if soft is None else {_SOFT: _nested(pa, soft)}),
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (directory / _FILE).parent.mkdir()
    with (directory / _FILE).open("xb") as file:  # Arrow takes no name that is not UTF-8
        parquet.write_table(table, file, write_page_checksum=True)
    (directory / "README.md").write_text(render_card(item), encoding="utf-8")
    header = synthetic.header()
    tensors = {"images": synthetic.images.cpu(), "labels": synthetic.labels.cpu()}
    digest = checksum(header_text(header), tensors)
    write_json(directory / MARKER, {"layout": "hf", "header": header, "sha256": digest})


def _unique(names: Sequence[str]) -> list[str]:
    """Return names that `datasets` accepts, all different: the label is appended to equal ones."""
    numbered = [f"{name} ({label})" for label, name in enumerate(names)]
    unique = [name if names.count(name) == 1 else other for name, other in zip(names, numbered, strict=True)]
    return unique if len(set(unique)) == len(unique) else numbered


def _lists(feature: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feature of lists, spelled as every version of `datasets` since 3 reads it."""
    return {"_type": "Sequence", "feature": feature}


def is_hf_dataset(path: Path) -> bool:
    """Return whether a directory holds Parquet files as `write` writes them."""
    return any(path.glob("data/*.parquet"))


def read(path: Path, spec: Spec | None, options: FileOptions) -> ReadResult:
    """Read the training split in data/.

    An export of this package is read from the column `pixels`, bit for bit; other datasets from the PNG images of the
    column `image`, and `spec` describes the data. A column `soft_label` has the labels; without one, `label` has them.
    Where a file names its classes, its labels become those of the classes of the same name. Raises InputError for
    anything that does not fit.
    """
    record = read_marker(path)
    provenance, recipe = Provenance(), None
    if record is not None:
        options.reject_all(path)
        with naming(path / MARKER):
            spec, provenance, recipe = read_header(record.get("header"))
    if spec is None:
        raise InputError(f"{path} has no {MARKER} to describe its images: name the data with --data")
    files = sorted(path.glob("data/train*.parquet"))
    if not files:
        raise InputError(f"{path} has no data/train*.parquet")
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is not a file: nothing is read from it")
    parts = [_read_file(file, spec, exact=record is not None) for file in files]
    named = [part.names for part in parts]
    if any(named) and not all(named):
        file = files[named.index(False)]
        raise InputError(f"{file} only numbers its classes, and other files name them: name them in all or in none")
    if len({part.labels.dim() for part in parts}) > 1:
        raise InputError(f"{path}: only some of its files have a column {_SOFT}: give all of them one, or none")
    images, labels = torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts])
    kind = None
    if record is not None:
        digest = checksum(header_text(record["header"]), {"images": images, "labels": labels})
        if digest != record.get("sha256"):
            raise DamagedFile(f"{path} is damaged or was changed: its content does not match its checksum")
        files.append(path / MARKER)
    with naming(path):
        if record is None:
            labels, kind = read_labels(labels, options.labels, spec.classes)
        made = checked(images, labels, spec, provenance, recipe=recipe)
    return ReadResult([made], files, labels=kind, foreign=record is None)


class _Part(NamedTuple):
    """The content of one Parquet file."""

    images: Tensor
    """Normalised, (n, C, H, W)."""
    labels: Tensor
    """Classes (n,), or the column `soft_label` (n, K)."""
    names: bool
    """The file names its classes."""


def _read_file(file: Path, spec: Spec, *, exact: bool) -> _Part:
    """Read one Parquet file."""
    pa, parquet = _arrow()
    column = "pixels" if exact else "image"
    c, h, w = spec.shape
    parts = []
    with naming(file):
        try:
            with file.open("rb") as binary, parquet.ParquetFile(binary, page_checksum_verification=True) as opened:
                columns = opened.schema_arrow.names
                affordable(opened.metadata.num_rows * c * h * w * 4, "its images", held=file.stat().st_size)
                if not {column, "label"} <= set(columns):
                    raise InputError(f"it has the columns {', '.join(columns)}; needed are {column} and label")
                opened.scan_contents(batch_size=_SCANNED)
                wanted = _SOFT if _SOFT in columns else "label"
                _check_size(opened.metadata, column, torch.Size(spec.shape).numel())
                _check_size(opened.metadata, _SOFT, spec.classes)
                names = None if exact else _class_names(opened.schema_arrow.metadata)
                mapping = None if names is None else _label_mapping(names, spec)
                for batch in opened.iter_batches(_ROWS, columns=[column, wanted]):
                    labels = (_soft_labels if wanted == _SOFT else _labels)(pa, batch.column(wanted), spec)
                    labels = labels if mapping is None else _map_labels(labels, mapping)
                    images = (_exact_pixels if exact else _decode_pictures)(pa, batch.column(column), spec)
                    parts.append((images, labels))
        except (InputError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # Arrow raises errors of many types on wrong bytes
            raise DamagedFile(f"it is damaged or not a table of images ({reason(error)})") from None
        if not parts:
            raise InputError("there is no image in it")
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return _Part(images, labels, names is not None)


def _check_size(metadata: Any, column: str, numbers: int) -> None:
    """Raise DamagedFile for a column whose rows unpack to far more than `numbers`: few bytes may encode many values."""
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        for chunk in (group.column(index) for index in range(group.num_columns)):
            values, size, rows = chunk.num_values, chunk.total_uncompressed_size, group.num_rows
            is_it = chunk.path_in_schema.split(".")[0] == column
            if is_it and (values > rows * numbers or size > 8 * rows * numbers + _OVERHEAD):
                raise DamagedFile(
                    f"its column {column!r} holds {values:,} values in {size:,} bytes for {rows:,} images of "
                    f"{numbers:,} numbers"
                )


def _labels(pa: ModuleType, column: Any, spec: Spec) -> Tensor:
    """Return a column of integers as int64 (N,)."""
    if not pa.types.is_integer(column.type) or column.null_count:
        raise InputError(f"labels are {column.type} with {column.null_count} missing, expected integers")
    return torch.from_numpy(column.to_numpy().astype(np.int64))


def _soft_labels(pa: ModuleType, column: Any, spec: Spec) -> Tensor:
    """Return a column of lists of K floats as float32 (N, K)."""
    found = _numbers(pa, column, (spec.classes,), "soft labels")
    if any(len(row or ()) != spec.classes for row in column.to_pylist()):
        raise InputError(f"soft labels are lists of different lengths, expected {spec.classes} numbers each")
    return found


def _class_names(metadata: Mapping[bytes, bytes] | None) -> Any:
    """Return the class names in a file, in the order of its labels; None if it has none."""
    value: Any = parse_json((metadata or {}).get(b"huggingface", b"null"))
    for key in ("info", "features", "label", "names"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _label_mapping(names: Any, spec: Spec) -> Tensor | None:
    """Return the label of each class of a file, int64 (K,); None if it has the order of `spec`.

    Raises InputError when the names are not those of `spec`.
    """
    if names in ([*spec.class_names], _unique(spec.class_names)):
        return None
    if not isinstance(names, list) or sorted(map(str, names)) != sorted(spec.class_names):
        raise InputError(
            f"its classes are not those of {spec.name}: {_first_ten(names)} there, {_first_ten(spec.class_names)} here"
        )
    if len(set(names)) < len(names):
        raise InputError(f"two classes of {spec.name} have the same name, and the file has them in another order")
    return torch.tensor([spec.class_names.index(name) for name in names])


def _map_labels(labels: Tensor, mapping: Tensor) -> Tensor:
    """Return labels in the order of the Spec. Raises InputError for labels out of range."""
    if labels.dim() == 2:
        return labels[:, mapping.argsort()]
    if int(labels.min()) < 0 or int(labels.max()) >= len(mapping):
        raise InputError(f"labels go from {int(labels.min())} to {int(labels.max())} for {len(mapping)} classes")
    return mapping[labels]


def _first_ten(names: Any) -> str:
    return ", ".join(map(str, names[:10])) if isinstance(names, list | tuple) else str(names)[:60]


def _exact_pixels(pa: ModuleType, column: Any, spec: Spec) -> Tensor:
    """Return a column of nested lists as (N, C, H, W)."""
    return _numbers(pa, column, spec.shape, "pixels")


def _numbers(pa: ModuleType, column: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """Return a column of nested lists of floats as float32 (N, *shape)."""
    rows, values = len(column), column
    for _ in shape:
        values = values.flatten()
        if len(values) > rows * torch.Size(shape).numel():
            raise InputError(f"{what} are more than {rows} images of shape {shape} have")
    if not pa.types.is_floating(values.type) or len(values) != rows * torch.Size(shape).numel():
        raise InputError(f"{what} are {len(values)} values of {values.type} for {rows} images of shape {shape}")
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).astype(np.float32)).reshape(rows, *shape)


def _decode_pictures(pa: ModuleType, column: Any, spec: Spec) -> Tensor:
    """Return a column of PNG images, which the hub stores as {bytes, path}, as normalised (N, C, H, W)."""
    if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
        raise InputError(f"images are {column.type}, expected the bytes of pictures")
    pixels = []
    for data in (value.as_py() for value in column.field("bytes")):
        if not isinstance(data, bytes):
            raise InputError("its images are not stored in the file")
        pixels.append(from_png(data, spec))
    return spec.normalise(torch.stack(pixels))


def _nested(pa: ModuleType, images: Tensor) -> Any:
    """Return (N, ...) as a column of nested lists."""
    values = pa.array(images.cpu().contiguous().numpy().reshape(-1), pa.float32())
    count = len(values)
    for length in reversed(images.shape[1:]):
        count //= length
        values = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * length), values)
    return values


def _arrow() -> tuple[ModuleType, ModuleType]:
    """Import pyarrow and its Parquet reader, which take a while to load."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("this needs pyarrow: pip install pyarrow") from None
    return pyarrow, pyarrow.parquet
