"""A folder of PNG images that every ImageFolder reader takes: DEST/CLASS/0000.png."""

import unicodedata
import warnings
from pathlib import Path

import torch
from torch import Tensor

from ..data.spec import Spec
from ..pictures import to_png
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet, checked, read_header
from ..utils.errors import InputError, naming
from ..utils.files import checksum, header_text, write_json
from ..utils.limits import affordable
from .folder_names import folder_names
from .marker import MARKER, read_marker
from .png import from_png
from .runs import natural


def write(synthetic: SyntheticSet, directory: Path) -> None:
    """Fill `directory` with a folder for each class and the header. Pixels are rounded to 8 bits.

    Raises InputError when a class has no image, as readers would then give the classes after it other labels.
    """
    spec = synthetic.spec
    names = folder_names(spec.class_names)
    for label, name in enumerate(spec.class_names):
        if not bool((synthetic.labels == label).any()):
            raise InputError(
                f"class {name!r} has no image, and readers of folders would number the classes after it wrongly: "
                "export to npz, hf or pt"
            )
    pixels = _by_class(spec.pixels(synthetic.images), synthetic.labels, spec)
    digits = max(4, len(str(max(map(len, pixels)) - 1)))
    for name, images in zip(names, pixels, strict=True):
        (directory / name).mkdir()
        for index, image in enumerate(images):
            (directory / name / f"{index:0{digits}}.png").write_bytes(to_png(image))
    header = synthetic.header()
    labels = synthetic.labels.sort().values
    digest = checksum(header_text(header), {"pixels": torch.cat(pixels), "labels": labels})
    write_json(directory / MARKER, {"layout": "folder", "header": header, "folders": names, "sha256": digest})


def read(path: Path, spec: Spec | None) -> tuple[list[SyntheticSet], list[Path]]:
    """The set in a folder of PNG images, class by class, and the files it was read from.

    With a header of ours all comes from it; else `spec` says what the data are, and the folders are named as its
    classes are, or as we name folders. Raises InputError for anything that does not fit.
    """
    marker = path / MARKER
    record = read_marker(path)
    provenance = Provenance()
    if record is not None:
        with naming(marker):
            spec, provenance = read_header(record.get("header"))
            if record.get("folders") != folder_names(spec.class_names):
                raise InputError("its folders are not those of its classes")
    if spec is None:
        raise InputError(f"{path} has no {MARKER} that says what its images are: name the data by --data")
    folders = _folders(path, spec)
    files = [file for label in range(spec.classes) for file in folders.get(label, [])]
    labels = torch.tensor([k for k in range(spec.classes) for _ in folders.get(k, [])], dtype=torch.int64)
    if not files:
        raise InputError(f"{path} holds no PNG image in a folder of a class")
    c, h, w = spec.shape
    held = sum(file.stat().st_size for file in files)
    affordable(len(files) * c * h * w * 4, f"{path}: its images", held=held)
    pixels = []
    for file in files:
        with naming(file):
            pixels.append(from_png(file.read_bytes(), spec))
    stacked = torch.stack(pixels)
    if record is not None:
        digest = checksum(header_text(record["header"]), {"pixels": stacked, "labels": labels})
        if digest != record.get("sha256"):
            raise InputError(
                f"{path} was changed after it was exported: its images do not match their checksum; to read it as it "
                f"is, delete {MARKER} and name the data by --data"
            )
        files.append(marker)
    with naming(path):
        return [checked(spec.normalise(stacked), labels, spec, provenance)], files


def _by_class(images: Tensor, labels: Tensor, spec: Spec) -> list[Tensor]:
    return [images[labels == label] for label in range(spec.classes)]


def _folders(path: Path, spec: Spec) -> dict[int, list[Path]]:
    """Label -> its image files, in the order of their numbers. A warning names the classes without a folder.

    Raises InputError, so that nothing is left out unnoticed, for what is no PNG image; hidden files are passed over.
    """
    labels = {
        _composed(name): label
        for names in (spec.class_names, folder_names(spec.class_names))
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
            found[label] = sorted(_images(child), key=natural)
    absent = [name for label, name in enumerate(spec.class_names) if label not in found]
    if found and absent:
        names = f"{', '.join(absent[:10])}{', ...' if len(absent) > 10 else ''}"
        warnings.warn(f"{path} has no folder for {len(absent)} classes of {spec.name}: {names}", stacklevel=2)
    return found


def _images(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    for file in sorted(files):
        if file.suffix.lower() != ".png" or not file.is_file():
            raise InputError(f"{file} is no .png file: only PNG images are read, take it out of the folder")
    return files


def _composed(name: str) -> str:
    """A name as we write it; some file systems hand out letters apart from their accents."""
    return unicodedata.normalize("NFC", name)
