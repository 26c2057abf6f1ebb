"""A directory that `datasets.load_dataset` reads: a Parquet file and a card."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..artifact import SyntheticSet, checked, read_header
from ..data.build import naming
from ..errors import InputError
from ..files import checksum, header_text, write_json
from ..types import Spec
from .card import card
from .folder import MARKER, read_marker
from .limits import affordable
from .pictures import from_png, to_png
from .scores import Accuracies

_FILE = "data/train-00000-of-00001.parquet"


def write(synthetic: SyntheticSet, directory: Path, *, accuracies: Mapping[str, Accuracies], licence: str) -> None:
    """Fill `directory` with data/train-*.parquet (image, label, pixels), the card README.md and the header."""
    pa, parquet = _arrow()
    spec = synthetic.spec
    names = [f"{index:06}.png" for index in range(len(synthetic))]
    pictures = [to_png(image) for image in spec.pixels(synthetic.images)]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(spec.class_names), "_type": "ClassLabel"},
        "pixels": {"shape": list(spec.shape), "dtype": "float32", "_type": "Array3D"},
    }
    table = pa.table(
        {
            "image": pa.array(
                [{"bytes": data, "path": name} for data, name in zip(pictures, names, strict=True)],
                pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            ),
            "label": pa.array(synthetic.labels.tolist(), pa.int64()),
            "pixels": _nested(pa, synthetic.images),
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (directory / _FILE).parent.mkdir()
    parquet.write_table(table, directory / _FILE, write_page_checksum=True)
    (directory / "README.md").write_text(card(synthetic, accuracies, licence), encoding="utf-8")
    header = synthetic.header()
    tensors = {"images": synthetic.images.cpu(), "labels": synthetic.labels.cpu()}
    digest = checksum(header_text(header), tensors)
    write_json(directory / MARKER, {"layout": "hf", "header": header, "sha256": digest})


def is_hub(path: Path) -> bool:
    """Whether a directory is laid out as `write` leaves it."""
    return any(path.glob("data/*.parquet"))


def read(path: Path, spec: Spec | None) -> tuple[list[SyntheticSet], list[Path]]:
    """The training split in data/, and the files it was read from.

    With a header of ours the images are those of the column `pixels`, bit for bit; else the PNG images of the column
    `image`, and `spec` says what the data are. Raises InputError for anything that does not fit.
    """
    record = read_marker(path)
    provenance: dict[str, Any] = {}
    if record is not None:
        with naming(path / MARKER):
            spec, provenance = read_header(record.get("header"))
    if spec is None:
        raise InputError(f"{path} has no {MARKER} that says what its images are: name the data by --data")
    files = sorted(path.glob("data/train*.parquet"))
    if not files:
        raise InputError(f"{path} has no data/train*.parquet")
    parts = [_read_file(file, spec, exact=record is not None) for file in files]
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    if record is not None:
        digest = checksum(header_text(record["header"]), {"images": images, "labels": labels})
        if digest != record.get("sha256"):
            raise InputError(f"{path} is damaged or was changed: its content does not match its checksum")
        files.append(path / MARKER)
    with naming(path):
        return [checked(images, labels, spec, provenance)], files


def _read_file(file: Path, spec: Spec, *, exact: bool) -> tuple[Tensor, Tensor]:
    """Normalised images and labels of one Parquet file."""
    pa, parquet = _arrow()
    column = "pixels" if exact else "image"
    c, h, w = spec.shape
    with naming(file):
        try:
            with parquet.ParquetFile(file, page_checksum_verification=True) as opened:
                rows, columns = opened.metadata.num_rows, opened.schema_arrow.names
                affordable(rows * c * h * w * 4, "its images")
                if not {column, "label"} <= set(columns):
                    raise InputError(f"it has the columns {', '.join(columns)}; needed are {column} and label")
                table = opened.read(columns=[column, "label"])
                labels = _labels(pa, table.column("label"))
                if exact:
                    return _exact(pa, table.column(column), spec), labels
                data = [value["bytes"] for value in table.column(column).to_pylist()]
        except (InputError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # Arrow raises errors of many types on wrong bytes
            raise InputError(f"it is damaged or no table of images ({' '.join(str(error).split())})") from None
        if not data:
            raise InputError("there is no image in it")
        if not all(isinstance(one, bytes) for one in data):
            raise InputError("its images are not stored in the file")
        pixels = []
        for index, one in enumerate(data):
            with naming(f"image {index}"):
                pixels.append(from_png(one, spec))
        return spec.normalise(torch.stack(pixels)), labels


def _labels(pa: ModuleType, column: Any) -> Tensor:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise InputError(f"labels are {column.type} with {column.null_count} missing, expected integers")
    return torch.from_numpy(column.to_numpy().astype(np.int64))


def _exact(pa: ModuleType, column: Any, spec: Spec) -> Tensor:
    """The tensor (N, C, H, W) in a column of nested lists."""
    rows, values = len(column), column.combine_chunks()
    for _ in spec.shape:
        values = values.flatten()
    if not pa.types.is_float32(values.type) or len(values) != rows * torch.Size(spec.shape).numel():
        raise InputError(f"pixels are {len(values)} values of {values.type} for {rows} images of shape {spec.shape}")
    return torch.from_numpy(values.to_numpy().copy()).reshape(rows, *spec.shape)


def _nested(pa: ModuleType, images: Tensor) -> Any:
    """(N, C, H, W) as a column of lists of lists of lists."""
    values = pa.array(images.cpu().contiguous().numpy().reshape(-1), pa.float32())
    count = len(values)
    for length in reversed(images.shape[1:]):
        count //= length
        values = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * length), values)
    return values


def _arrow() -> tuple[ModuleType, ModuleType]:
    """pyarrow and its reader of Parquet, which take a while to import."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("this needs pyarrow: pip install pyarrow") from None
    return pyarrow, pyarrow.parquet
