"""The files of a table, each with what it says itself of its columns.

The library `datasets` gives all files of all splits the features of the first. Where another file numbers its classes
differently, only its own features tell which class a number is.
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
"""What `save_to_disk` writes beside the files of a split: their names, and their columns."""


@final
@dataclass(frozen=True)
class Piece:
    """Rows of a table that come from one file."""

    name: str
    """The file, as an error calls it."""
    features: Mapping[str, Any]
    """Column -> feature of `datasets`, as this file has it."""
    rows: int
    column: Callable[[str], list[Any]]
    """Values of a column as they are in this file, one for each row."""


@final
@dataclass(frozen=True)
class Tables:
    """Every split of a set, and the files that each is made of."""

    splits: Mapping[str, Any]
    """Name -> `datasets.Dataset`."""
    pieces: Mapping[str, Sequence[Piece]]
    """Name -> its files, in the order of the rows."""
    declared: Mapping[str, Any]
    """Column -> feature that a README or the like declares for all files; empty where nothing does."""

    def check(self) -> None:
        """Raises InputError where the files do not have the rows of the splits."""
        for name, table in self.splits.items():
            rows = sum(piece.rows for piece in self.pieces[name])
            if rows != len(table):
                raise InputError(f"the files of split {name!r} have {rows} rows, but {len(table)} were read: try again")


def whole(name: str, table: Any) -> Piece:
    """A split whose format has no features of a file of its own, such as a folder of images."""
    return Piece(f"split {name!r}", table.features, len(table), lambda column: table.data.column(column).to_pylist())


def of_builder(builder: Any) -> dict[str, list[Piece]]:
    """Split -> the files that a builder of `datasets` reads it from; empty of formats without features of their own.

    Files of the hub are downloaded, to where the builder takes them from. Raises what the readers of the format raise.
    """
    from datasets import DownloadConfig, DownloadManager
    from datasets.packaged_modules.arrow.arrow import Arrow
    from datasets.packaged_modules.parquet.parquet import Parquet

    read = _parquet if isinstance(builder, Parquet) else _arrow if isinstance(builder, Arrow) else None
    if read is None or not builder.config.data_files:
        return {}
    settings = DownloadConfig(cache_dir=builder._cache_downloaded_dir, token=builder.token)
    manager = DownloadManager(dataset_name=builder.dataset_name, download_config=settings)
    found: Any = manager.download(builder.config.data_files)
    return {str(split): [read(Path(path)) for path in paths] for split, paths in found.items()}


def saved(folder: Path, config: str | None, inside: Collection[str]) -> Tables | None:
    """The splits in a folder of `save_to_disk`; None where it is none.

    Only the files that it lists are read, and not those that the library keeps beside them of earlier work.
    inside: real paths of all files of the folder. Raises InputError where it lists a file that is not in the folder.
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
    """The files of one split of `save_to_disk`."""
    from datasets import Features

    state, info = (json.loads((folder / name).read_text(encoding="utf-8")) for name in _SAVED)
    paths = [folder / str(file["filename"]) for file in state["_data_files"]]
    for path in paths:
        if os.path.realpath(path) not in inside:
            raise InputError(f"its {folder.name}/{_SAVED[0]} names {path}, which is not in the folder: save it again")
    pieces = [_arrow(path) for path in paths]
    declared = Features.from_dict(info["features"]) if info.get("features") else {}
    for piece in pieces:
        _agree(folder / _SAVED[1], declared, piece)
    return pieces


def _agree(where: Path, declared: Mapping[str, Any], piece: Piece) -> None:
    """Raises InputError where a file of a split names classes in another order than what describes the split."""
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
