"""Export the layout of the files of DC, DSA and DM, torch.save of sets and accuracies, and read all .pt layouts."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.readers.pickles import read_torch
from ..data.spec import Spec
from ..networks import NETWORKS
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet, checked, read_header
from ..synthetic.targets import class_numbers, joined
from ..training.recipe import Recipe
from ..utils.atomic import write_bytes
from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import header_text, parse_json
from ..utils.schema import Fraction, Network, check
from .accuracies import PUBLISHED, Accuracies, check_fractions
from .arrays import disjoint
from .file_options import FileOptions
from .label_kinds import HELP, DetectedLabels, LabelKind, read_labels
from .pixel_normalisation import normalise_pixels
from .pixel_scale import DetectedScale, PixelOptions
from .pt_layouts import Entry, PtFile
from .read_result import ReadResult

HEADERS = "datacondense"
"""The key that `write` adds to the authors' layout: the JSON of each set's header."""


def write(sets: Sequence[SyntheticSet], accuracies: Sequence[Mapping[str, Accuracies]], path: Path) -> None:
    """Write {'data': [[images, labels] of each set], 'accs_all_exps': {network: accuracies of all sets}}.

    Images are normalised float32, labels int64 or float32 (N, K), accuracies (given by set) fractions. A third entry,
    which the authors' code ignores, has the header of each set. A set that was imported from a file of
    class-incremental learning is written with an entry for each step, as in that file.
    """
    steps = len(sets) == 1 and _steps(sets[0])
    entries = steps or [(one.images, one.labels) for one in sets]
    content: dict[str, Any] = {"data": [[images.cpu().clone(), labels.cpu().clone()] for images, labels in entries]}
    joined = _join_accuracies(accuracies)
    if joined or not steps:
        content["accs_all_exps"] = joined
    content[HEADERS] = [header_text(one.header()) for one in sets]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def is_export(path: Path) -> bool:
    """Return whether `write` wrote a file."""
    try:
        content = read_torch(path)
    except InputError:
        return False
    return isinstance(content, dict) and {"data", HEADERS} <= content.keys()


def read(path: Path, spec: Spec | None, options: FileOptions) -> ReadResult:
    """Read the sets in a file of `write` or of other programs.

    No code in a file is run. Several entries without a common class are the steps of class-incremental learning: one
    set, in the order of the steps. Otherwise each entry is a set. The authors append the same number of accuracies for
    each set, so each set gets its share; those of a network that do not divide evenly are left out with a warning.
    `spec` and `options` describe the data and the pixels of files without headers. Raises InputError, naming the
    experiment, for anything that does not fit.
    """
    found = PtFile.read(path)
    with naming(path):
        headers = _headers(found.other[HEADERS]) if HEADERS in found.other else None
        accuracies = _accuracies(found.other.get("accs_all_exps", {}))
    if headers:
        spec = headers[0][0]
        options.reject_all(path)
    if spec is None:
        raise InputError(f"{path} does not describe its images: name the data with --data")
    described = found.standard_entries(spec)
    standard, kind = (described, None) if headers else _read_labels(described, options.labels, spec.classes)
    pixels = PixelOptions("normalised") if headers else options.pixels
    entries, scale = _normalised_entries(found, standard, spec, pixels)
    settings = {"settings": _settings_by_name(path, accuracies)}
    are_steps = disjoint(labels for _, labels in entries) if headers is None else len(headers) == 1
    if len(entries) > 1 and are_steps:
        steps = [[spec.class_names[label] for label in _class_order(labels)] for _, labels in entries]
        images, labels = zip(*entries, strict=True)
        entries, made = (
            [(torch.cat(images), joined(labels, spec.classes))],
            [Provenance.from_json({**settings, "steps": steps})],
        )
    else:
        made = [Provenance.from_json({**settings, "experiment": index}) for index in range(len(entries))]
    if headers is not None:
        if len(headers) != len(entries):
            raise DamagedFile(f"{path} is damaged: it has {len(headers)} headers for {len(entries)} sets")
        made = [provenance for _, provenance, _ in headers]
    accuracies = _divisible(path, accuracies, len(entries))
    sets = []
    recipes = [recipe for *_, recipe in headers] if headers else [None] * len(entries)
    for index, ((images, labels), provenance, recipe) in enumerate(zip(entries, made, recipes, strict=True)):
        own = {PUBLISHED: _share(accuracies, index, len(entries))} if accuracies else {}
        sets.append(checked(images, labels, spec, provenance.changed(**own), recipe=recipe))
    return ReadResult(sets, found.files) if headers else ReadResult(sets, found.files, scale, kind, foreign=True)


def _headers(value: object) -> list[tuple[Spec, Provenance, Recipe | None]]:
    """Return the Spec, the same for all, the provenance and the recipe of each set."""
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise DamagedFile(f"it is damaged: {HEADERS!r} is not a list of headers")
    found = []
    for text in value:
        try:
            header = parse_json(text)
        except ValueError as error:
            raise DamagedFile(f"it is damaged: one of its headers is not JSON ({error})") from None
        found.append(read_header(header))
    if any(spec != found[0][0] for spec, *_ in found):
        raise DamagedFile("it is damaged: its headers describe different data")
    return found


def _read_labels(entries: Sequence[Entry], kind: LabelKind, classes: int) -> tuple[list[Entry], DetectedLabels | None]:
    """Return the entries with labels as sets hold them, and their kind. Raises InputError if entries differ in it."""
    read, kinds = [], {}
    for place, images, labels in entries:
        with naming(place):
            labels, found = read_labels(labels, kind, classes)
            kinds.setdefault("hard" if found is None else found.kind, found)
            if len(kinds) > 1:
                names = " and ".join(kinds)
                raise InputError(f"labels look like {names} in one file: {HELP}")
        read.append((place, images, labels))
    return read, next(iter(kinds.values()))


def _normalised_entries(
    found: PtFile, entries: Sequence[Entry], spec: Spec, options: PixelOptions
) -> tuple[list[tuple[Tensor, Tensor]], DetectedScale]:
    """Return each entry's normalised images and labels, checked, and the scale, the same for all images of a file.

    Shapes and labels are checked first, then the pixels of all at once.
    """
    for place, images, labels in entries:
        with naming(place):
            if images.dtype != entries[0][1].dtype:
                raise InputError(f"images have dtype {images.dtype}, and those before {entries[0][1].dtype}")
            checked(torch.zeros(()).expand(images.shape), labels, spec, Provenance())
    with naming(found.files[0]):
        images, scale = normalise_pixels(
            torch.cat([images for _, images, _ in entries]), spec, options, never_whitened=found.never_whitened
        )
    parts = images.split([len(labels) for _, _, labels in entries])
    for (place, _, labels), part in zip(entries, parts, strict=True):
        with naming(place):
            checked(part, labels, spec, Provenance())
    return [(part.contiguous(), labels) for (_, _, labels), part in zip(entries, parts, strict=True)], scale


def _accuracies(value: object) -> dict[str, list[float]]:
    """Return network -> accuracies, stored as any kind of number."""
    if not isinstance(value, dict):
        raise InputError(f"its accuracies are of type {type(value).__name__}, expected a dict by network")
    found = {}
    for arch, accuracies in value.items():
        if isinstance(accuracies, Tensor | np.ndarray):
            accuracies = accuracies.flatten().tolist()
        if not isinstance(arch, str) or not isinstance(accuracies, list | tuple):
            raise InputError(f"its accuracies of {arch!r} are not a list, one for each network")
        numbers = [one.item() if isinstance(one, Tensor) and one.numel() == 1 else one for one in accuracies]
        check_fractions(numbers, f"its accuracies of {arch!r}")
        if numbers:
            found[arch] = [float(one) for one in numbers]
    check(found, dict[Network, list[Fraction]], "its accuracies")
    return found


def _divisible(path: Path, accuracies: Mapping[str, list[float]], entries: int) -> dict[str, list[float]]:
    """Return the accuracies that divide evenly among the experiments. Warns of the others."""
    for arch, values in accuracies.items():
        if len(values) % entries:
            warnings.warn(
                f"{path}: its {len(values)} accuracies of {arch} do not divide among {entries} experiments, and are "
                "left out",
                stacklevel=2,
            )
    return {arch: values for arch, values in accuracies.items() if not len(values) % entries}


def _share(accuracies: Mapping[str, list[float]], index: int, entries: int) -> dict[str, list[float]]:
    """Return the accuracies of one experiment."""
    sizes = {arch: len(values) // entries for arch, values in accuracies.items()}
    return {arch: values[index * sizes[arch] : (index + 1) * sizes[arch]] for arch, values in accuracies.items()}


def _settings_by_name(path: Path, accuracies: Mapping[str, object]) -> dict[str, str]:
    """Return the settings in the authors' name of a file, res_METHOD_DATA_NETWORK_Nipc.pt, cl_res_METHOD_... or cl_....

    They are the network, and DC's lack of augmentation, under which its sets are to be evaluated; without such a name
    the only network that was tested.
    """
    named = re.match(r"(?:cl_(?:res_)?|res_)([^_]+)_[^_]+_(.+?)_\d+ipc", path.name)
    arch = named[2] if named else next(iter(accuracies)) if len(accuracies) == 1 else ""
    settings = {"arch": arch} if arch in NETWORKS else {}
    return {**settings, "augment": "none"} if named and named[1] == "DC" else settings


def _class_order(labels: Tensor) -> list[int]:
    """Return the classes in the order of their first images."""
    return list(dict.fromkeys(class_numbers(labels).tolist()))


def _steps(synthetic: SyntheticSet) -> list[tuple[Tensor, Tensor]]:
    """Return the parts of a set that was joined from steps; none when it was not, or when they do not fit."""
    steps = synthetic.provenance.steps
    if not steps:
        return []
    order = [synthetic.spec.class_names[label] for label in _class_order(synthetic.classes)]
    if order != [name for step in steps for name in step]:
        return []
    position = {label: index for index, label in enumerate(_class_order(synthetic.classes))}
    ends = torch.tensor([len(step) for step in steps]).cumsum(0)
    step = torch.bucketize(torch.tensor([position[label] for label in synthetic.classes.tolist()]), ends, right=True)
    return [(synthetic.images[step == index], synthetic.labels[step == index]) for index in range(len(steps))]


def _join_accuracies(accuracies: Sequence[Mapping[str, Accuracies]]) -> dict[str, list[float]]:
    """Return network -> accuracies of one set after another; readers divide them evenly among the sets.

    Warns of networks that have not as many accuracies for each set, and leaves them out.
    """
    joined = {}
    for arch in dict.fromkeys(arch for one in accuracies for arch in one):
        values = [one[arch].values if arch in one else [] for one in accuracies]
        counts = [len(part) for part in values]
        if len(set(counts)) == 1:
            joined[arch] = [value for part in values for value in part]
        else:
            warnings.warn(
                f"the sets have {', '.join(map(str, counts))} accuracies of {arch}: they are left out, as the file "
                "cannot assign them to the sets",
                stacklevel=6,  # the caller of `export`
            )
    return joined
