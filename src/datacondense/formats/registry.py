"""Every format that `export` writes and `import_sets` reads: one entry of a dict each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from ..data.spec import Spec
from . import authors_pt, hf_dataset, npz, png_folder
from .export_item import ExportItem
from .export_marker import has_marker
from .file_options import FileOptions
from .read_result import ReadResult

Format = Literal["folder", "npz", "hf", "pt"]
"""The keys of FORMATS, in the same order, for annotations and the command line."""


@final
@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """Writer, reader and kind of file of one format."""

    write: Callable[[Sequence[ExportItem], Path], None]
    """Writes a new file, or fills an empty directory; with one item unless the format holds several sets."""
    read: Callable[[Path, Spec | None, FileOptions], ReadResult]
    recognises: Callable[[Path], bool]
    """Returns whether a file, or a directory, has this format and no other one."""
    is_export: Callable[[Path], bool]
    """Returns whether `export` wrote a file, so that --overwrite may replace it; directories have a marker."""
    suffix: str = ""
    """Suffix of the file; empty for a format that is a directory."""
    holds_several: bool = False
    """One file holds any number of sets. In another format several become exp0, exp1, ... in a directory."""


FORMATS: dict[Format, ExportFormat] = {
    "folder": ExportFormat(
        write=lambda items, directory: png_folder.write(items[0].synthetic, directory),
        read=png_folder.read,
        recognises=lambda path: not hf_dataset.is_hf_dataset(path),
        is_export=has_marker,
    ),
    "npz": ExportFormat(
        write=lambda items, path: npz.write(items[0].synthetic, path),
        read=npz.read,
        recognises=npz.is_npz,
        is_export=npz.is_export,
        suffix=".npz",
    ),
    "hf": ExportFormat(
        write=lambda items, directory: hf_dataset.write(items[0], directory),
        read=hf_dataset.read,
        recognises=hf_dataset.is_hf_dataset,
        is_export=has_marker,
    ),
    "pt": ExportFormat(
        write=lambda items, path: authors_pt.write(
            [item.synthetic for item in items], [item.accuracies for item in items], path
        ),
        read=authors_pt.read,
        recognises=lambda path: not npz.is_npz(path),
        is_export=authors_pt.is_export,
        suffix=".pt",
        holds_several=True,
    ),
}
