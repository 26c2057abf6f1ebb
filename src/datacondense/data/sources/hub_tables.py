"""Files of a table, each with its own features.

The library `datasets` gives all files of all splits the features of the first. When another file numbers its classes
differently, only its own features identify the class of a number.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ...utils.errors import DamagedFile, InputError, reason
from ...utils.paths import open_file

_SAVED = ("state.json", "dataset_info.json")
"""Files in which `save_to_disk` records the names and the columns of the files of a split."""


@final
@dataclass(frozen=True)
class Piece:
    """Rows of a table that come from one file."""

    name: str
    """Name of the file in errors."""
    features: Mapping[str, Any]
    """Column -> feature of `datasets`, as declared in this file."""
    rows: int
    column: Callable[[str], list[Any]]
    """Returns the values of a column in this file, one per row."""


@final
@dataclass(frozen=True)
class Tables:
    """Every split of a dataset, and its files."""

    splits: Mapping[str, Any]
    """Name -> `datasets.Dataset`."""
    pieces: Mapping[str, Sequence[Piece]]
    """Name of a split -> its files, in the order of the rows."""
    declared: Mapping[str, Any]
    """Column -> feature that a README or the like declares for all files; empty without one."""

    def check(self) -> None:
        """Raise InputError when the files and the splits differ in their number of rows."""
        for name, table in self.splits.items():
            rows = sum(piece.rows for piece in self.pieces[name])
            if rows != len(table):
                raise InputError(f"the files of split {name!r} have {rows} rows, but {len(table)} were read: try again")


def whole(name: str, table: Any) -> Piece:
    """Return a split as one piece, for formats without features per file, such as a folder of images."""
    return Piece(f"split {name!r}", table.features, len(table), lambda column: table.data.column(column).to_pylist())


def pieces_of(builder: Any) -> dict[str, list[Piece]]:
    """Return split -> files that a builder of `datasets` reads; empty for formats without features per file.

    Files of the hub are downloaded to the folder that the builder uses. Raise the errors of the format's readers.
    """
    from datasets import DownloadConfig, DownloadManager
    from datasets.packaged_modules.arrow.arrow import Arrow
    from datasets.packaged_modules.parquet.parquet import Parquet

    read = _parquet if isinstance(builder, Parquet) else _arrow if isinstance(builder, Arrow) else None
    if read is None or not builder.config.data_files:
        return {}
    # private, as no public name leads to the builder's own downloads, which would be fetched twice otherwise
    settings = DownloadConfig(cache_dir=builder._cache_downloaded_dir, token=builder.token)
    manager = DownloadManager(dataset_name=builder.dataset_name, download_config=settings)
    found: Any = manager.download(builder.config.data_files)
    return {str(split): [read(Path(path)) for path in paths] for split, paths in found.items()}


def saved(folder: Path, config: str | None, inside: Collection[str]) -> Tables | None:
    """Return the splits in a folder of `save_to_disk`; None for another folder.

    Read only the files that it lists, not cached files of the library beside them. inside: real paths of all files of
    the folder. Raise InputError when it lists a file outside of the folder.
    """
    from datasets import DatasetDict, load_from_disk

    several = (folder / "dataset_dict.json").is_file()
    if not several and not all((folder / name).is_file() for name in _SAVED):
        return None
    if config is not None:
        raise InputError(f"it was written by save_to_disk and has no configurations, such as {config}: leave that out")
    names = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"] if several else ["train"]
    pieces = {name: _listed(folder / name if several else folder, inside) for name in names}
    found = load_from_disk(str(folder))
    splits = dict(found) if isinstance(found, DatasetDict) else {"train": found}
    return Tables({str(name): splits[name] for name in names}, pieces, {})


def _listed(folder: Path, inside: Collection[str]) -> list[Piece]:
    """Return the files of one split of `save_to_disk`."""
    from datasets import Features

    state, info = (json.loads((folder / name).read_text(encoding="utf-8")) for name in _SAVED)
    paths = [folder / str(file["filename"]) for file in state["_data_files"]]
    for path in paths:
        if os.path.realpath(path) not in inside:
            raise InputError(f"its {folder.name}/{_SAVED[0]} names {path}, which is not in the folder: save it again")
    pieces = [_arrow(path) for path in paths]
    declared = Features.from_dict(info["features"]) if info.get("features") else {}
    for piece in pieces:
        _check_names(folder / _SAVED[1], declared, piece)
    return pieces


def _check_names(where: Path, declared: Mapping[str, Any], piece: Piece) -> None:
    """Raise InputError when a file orders class names differently from the description of the split."""
    for column, feature in declared.items():
        names, own = (getattr(one, "names", None) for one in (feature, piece.features.get(column)))
        if names is not None and own is not None and list(names) != list(own):
            raise InputError(
                f"column {column!r} has other class names in {where.parent.name}/{where.name} than in {piece.name}: "
                "save the set again"
            )


def _parquet(path: Path) -> Piece:
    import datasets
    import pyarrow.parquet as parquet

    with open_file(path) as file:
        found = parquet.ParquetFile(file)
        features = datasets.Features.from_arrow_schema(found.schema_arrow)
        rows = found.metadata.num_rows

    def column(name: str) -> list[Any]:
        with open_file(path) as file:
            return parquet.ParquetFile(file).read(columns=[name]).column(name).to_pylist()

    return Piece(path.name, features, rows, _checked(path, column))


def _arrow(path: Path) -> Piece:
    import datasets
    import pyarrow as pa

    def table() -> Any:
        memory = pa.memory_map(str(path))
        try:
            return pa.ipc.open_stream(memory).read_all()
        except pa.ArrowInvalid:
            return pa.ipc.open_file(memory).read_all()

    found = table()
    features = datasets.Features.from_arrow_schema(found.schema)
    return Piece(path.name, features, found.num_rows, _checked(path, lambda name: table().column(name).to_pylist()))


def _checked(path: Path, column: Callable[[str], list[Any]]) -> Callable[[str], list[Any]]:
    import pyarrow as pa

    def read(name: str) -> list[Any]:
        try:
            return column(name)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DamagedFile(f"{path.name}: column {name!r} cannot be read ({reason(error)})") from None

    return read
