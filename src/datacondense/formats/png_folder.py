"""Export PNG images in a folder for each class, as every ImageFolder reader takes them: DEST/CLASS/0000.png.

Soft labels are in a table beside the folders.
"""

import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from ..data.spec import Spec
from ..pictures import from_png, to_png
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet, checked, read_header
from ..utils.errors import InputError, naming
from ..utils.files import checksum, header_text, write_json
from ..utils.limits import affordable
from ..utils.text import cut, plain
from .export_marker import MARKER, read_marker
from .file_options import FileOptions
from .label_kinds import read_labels
from .label_table import FILE, read_label_table, write_label_table
from .read_result import ReadResult
from .run_folders import by_number


def write(synthetic: SyntheticSet, directory: Path) -> None:
    """Fill `directory` with a folder for each class, labels.csv if labels are soft, and the marker.

    Pixels are rounded to 8 bits.

    Raises InputError when a class has no image: readers would give the classes after it other labels.
    """
    spec = synthetic.spec
    names = class_folder_names(spec.class_names)
    for label, name in enumerate(spec.class_names):
        if not int(synthetic.counts[label]):
            raise InputError(
                f"class {name!r} has no image, and readers of folders would number the classes after it wrongly: "
                "export to npz, hf or pt"
            )
    order = synthetic.classes.sort(stable=True).indices
    pixels, labels = spec.pixels(synthetic.images[order]), synthetic.labels[order]
    digits = max(4, len(str(int(synthetic.counts.max()) - 1)))
    files = [
        f"{name}/{index:0{digits}}.png"
        for name, count in zip(names, synthetic.counts.tolist(), strict=True)
        for index in range(count)
    ]
    for name in names:
        (directory / name).mkdir()
    for file, image in zip(files, pixels, strict=True):
        (directory / file).write_bytes(to_png(image))
    if synthetic.soft:
        write_label_table(directory, files, labels, spec.class_names)
    header = synthetic.header()
    digest = checksum(header_text(header), {"pixels": pixels, "labels": labels})
    write_json(directory / MARKER, {"layout": "folder", "header": header, "folders": names, "sha256": digest})


def read(path: Path, spec: Spec | None, options: FileOptions) -> ReadResult:
    """Read the set in a folder of PNG images, class by class, and its labels.csv if it has one.

    An export of this package describes itself; for other folders `spec` describes the data, and folders are named as
    its classes or as `write` names them. Raises InputError for anything that does not fit.
    """
    marker = path / MARKER
    record = read_marker(path)
    provenance, recipe = Provenance(), None
    if record is not None:
        options.reject_all(path)
        with naming(marker):
            spec, provenance, recipe = read_header(record.get("header"))
            if record.get("folders") != class_folder_names(spec.class_names):
                raise InputError("its folders are not those of its classes")
    if spec is None:
        raise InputError(f"{path} has no {MARKER} to describe its images: name the data with --data")
    folders = _folders(path, spec)
    files = [file for label in range(spec.classes) for file in folders.get(label, [])]
    if not files:
        raise InputError(f"{path} holds no PNG image in a folder of a class")
    labels = torch.tensor([k for k in range(spec.classes) for _ in folders.get(k, [])], dtype=torch.int64)
    table = read_label_table(path, files, [spec.class_names, class_folder_names(spec.class_names)])
    c, h, w = spec.shape
    size = sum(file.stat().st_size for file in files)
    affordable(len(files) * c * h * w * 4, f"{path}: its images", held=size)
    pixels = []
    for file in files:
        with naming(file):
            pixels.append(from_png(file.read_bytes(), spec))
    stacked, kind = torch.stack(pixels), None
    labels, tables = (labels, []) if table is None else (table, [path / FILE])
    if record is not None:
        digest = checksum(header_text(record["header"]), {"pixels": stacked, "labels": labels})
        if digest != record.get("sha256"):
            raise InputError(
                f"{path} was changed after it was exported: its content does not match its checksum; to read it as it "
                f"is, delete {MARKER} and name the data with --data"
            )
        tables.append(marker)
    else:
        with naming(path):
            labels, kind = read_labels(labels, options.labels, spec.classes)
    with naming(path):
        made = checked(spec.normalise(stacked), labels, spec, provenance, recipe=recipe)
    return ReadResult([made], [*files, *tables], labels=kind, foreign=record is None)


def class_folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a folder name for each class, safe on every file system, such as "03_Dress" or "00_T-shirt_top".

    The label in front makes names unique and keeps them from being ".." or a device of Windows. It also sorts them in
    the order of the labels, by which ImageFolder numbers classes.
    """
    digits = max(2, len(str(len(class_names) - 1)))
    return [f"{label:0{digits}}_{cut(plain(name))}".rstrip("_. ") for label, name in enumerate(class_names)]


def _folders(path: Path, spec: Spec) -> dict[int, list[Path]]:
    """Return label -> its image files, in the order of their numbers. Warns of classes without a folder.

    Raises InputError for files other than PNG images, so that nothing is left out silently; hidden files are skipped.
    """
    labels = {
        _composed(name): label
        for names in (spec.class_names, class_folder_names(spec.class_names))
        for label, name in enumerate(names)
    }
    found: dict[int, list[Path]] = {}
    for child in sorted(path.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            label = labels.get(_composed(child.name))
            if label is None:
                raise InputError(f"{child} is not a class of {spec.name}: {', '.join(spec.class_names[:10])}")
            if label in found:
                raise InputError(f"{path} has two folders for class {spec.class_names[label]!r}: keep one")
            found[label] = sorted(_images(child), key=by_number)
    absent = [name for label, name in enumerate(spec.class_names) if label not in found]
    if found and absent:
        names = f"{', '.join(absent[:10])}{', ...' if len(absent) > 10 else ''}"
        warnings.warn(f"{path} has no folder for {len(absent)} classes of {spec.name}: {names}", stacklevel=2)
    return found


def _images(folder: Path) -> list[Path]:
    """Return the PNG files in a folder. Raises InputError for other files."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    for file in sorted(files):
        if file.suffix.lower() != ".png" or not file.is_file():
            raise InputError(f"{file} is not a .png file, and only PNG images are read: move it out of the folder")
    return files


def _composed(name: str) -> str:
    """Return a name with composed letters: some file systems return letters apart from their accents."""
    return unicodedata.normalize("NFC", name)
