"""The files that the authors of DC, DSA and DM released: torch.save of sets and of their accuracies."""

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
from ..utils.atomic import write_bytes
from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import header_text, parse_json
from ..utils.schema import Fraction, Network, check
from .accuracies import PUBLISHED, check_fractions
from .contents import Contents, disjoint
from .pixels import Reading, Taken, normalised

HEADERS = "datacondense"
"""The key of what `write` adds to the authors' layout: the JSON of each set's header."""


def write(sets: Sequence[SyntheticSet], accuracies: Mapping[str, Sequence[float]], path: Path) -> None:
    """Write {'data': [[images, labels] of each set], 'accs_all_exps': {network: accuracies of all sets}}.

    Images normalised float32, labels int64, accuracies fractions. A third entry, which the authors' code passes over,
    has the header of each set. A set that was imported from a file of class-incremental learning is written as it
    came: an entry for each step.
    """
    steps = len(sets) == 1 and _steps(sets[0])
    entries = steps or [(one.images, one.labels) for one in sets]
    content: dict[str, Any] = {"data": [[images.cpu().clone(), labels.cpu().clone()] for images, labels in entries]}
    if accuracies or not steps:
        content["accs_all_exps"] = {arch: list(values) for arch, values in accuracies.items()}
    content[HEADERS] = [header_text(one.header()) for one in sets]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def is_ours(path: Path) -> bool:
    """Whether `write` wrote a file."""
    try:
        content = read_torch(path)
    except InputError:
        return False
    return isinstance(content, dict) and {"data", HEADERS} <= content.keys()


def read(path: Path, spec: Spec | None, reading: Reading) -> tuple[list[SyntheticSet], list[Path], Taken | None]:
    """The sets in a file of others or of `write`, the files they were read from, and what its pixels were taken for.

    No code in a file is run. Several entries without a class in common are the steps of class-incremental learning: one
    set, in the order of the steps. Otherwise each entry is a set. Accuracies are kept with the set they belong to, as
    the authors append the same number for each; those of a network that do not divide evenly are left out, and a
    warning says so.
    spec: what the data are, needed where the file has no headers; else what these say is taken.
    reading: what its pixels are. Raises InputError, naming the experiment, for anything that does not fit `spec`.
    """
    found = Contents.of(path)
    with naming(path):
        headers = _headers(found.other[HEADERS]) if HEADERS in found.other else None
        accuracies = _accuracies(found.other.get("accs_all_exps", {}))
    if headers:
        spec = headers[0][0]
        reading.refuse(path)
    if spec is None:
        raise InputError(f"{path} does not say what its images are: name the data by --data")
    entries, taken = _in_pixels(found, spec, Reading("normalised") if headers else reading)
    settings = {"settings": _settings(path, accuracies)}
    are_steps = disjoint(labels for _, labels in entries) if headers is None else len(headers) == 1
    if len(entries) > 1 and are_steps:
        steps = [[spec.class_names[label] for label in _order(labels)] for _, labels in entries]
        images, labels = (torch.cat(tensors) for tensors in zip(*entries, strict=True))
        entries, made = [(images, labels)], [Provenance.from_json({**settings, "steps": steps})]
    else:
        made = [Provenance.from_json({**settings, "experiment": index}) for index in range(len(entries))]
    if headers is not None:
        if len(headers) != len(entries):
            raise DamagedFile(f"{path} is damaged: it has {len(headers)} headers for {len(entries)} sets")
        made = [provenance for _, provenance in headers]
    accuracies = _dividing(path, accuracies, len(entries))
    sets = []
    for index, ((images, labels), provenance) in enumerate(zip(entries, made, strict=True)):
        own = {PUBLISHED: _share(accuracies, index, len(entries))} if accuracies else {}
        sets.append(checked(images, labels, spec, provenance.changed(**own)))
    return sets, found.files, None if headers else taken


def _headers(value: object) -> list[tuple[Spec, Provenance]]:
    """Spec, the same for all, and provenance of each set."""
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise DamagedFile(f"it is damaged: {HEADERS!r} is no list of headers")
    found = []
    for text in value:
        try:
            header = parse_json(text)
        except ValueError as error:
            raise DamagedFile(f"it is damaged: one of its headers is not JSON ({error})") from None
        found.append(read_header(header))
    if any(spec != found[0][0] for spec, _ in found):
        raise DamagedFile("it is damaged: its headers are of different data")
    return found


def _in_pixels(found: Contents, spec: Spec, reading: Reading) -> tuple[list[tuple[Tensor, Tensor]], Taken]:
    """Each entry's normalised images and labels, checked. All images of a file are taken for the same."""
    entries = found.in_shape(spec)  # whose shapes and labels are checked before the pixels of all are looked at
    for place, images, labels in entries:
        with naming(place):
            if images.dtype != entries[0][1].dtype:
                raise InputError(f"images have dtype {images.dtype}, and those before {entries[0][1].dtype}")
            checked(torch.zeros(()).expand(images.shape), labels, spec, Provenance())
    with naming(found.files[0]):
        images, taken = normalised(
            torch.cat([images for _, images, _ in entries]), spec, reading, authors=found.authors
        )
    parts = images.split([len(labels) for _, _, labels in entries])
    for (place, _, labels), part in zip(entries, parts, strict=True):
        with naming(place):
            checked(part, labels, spec, Provenance())
    return [(part.contiguous(), labels) for (_, _, labels), part in zip(entries, parts, strict=True)], taken


def _accuracies(value: object) -> dict[str, list[float]]:
    """Network -> accuracies, whatever kind of number they are."""
    if not isinstance(value, dict):
        raise InputError(f"its accuracies are of type {type(value).__name__}, expected a dict by network")
    found = {}
    for arch, accuracies in value.items():
        if isinstance(accuracies, Tensor | np.ndarray):
            accuracies = accuracies.flatten().tolist()
        if not isinstance(arch, str) or not isinstance(accuracies, list | tuple):
            raise InputError(f"its accuracies of {arch!r} are no list by network")
        numbers = [one.item() if isinstance(one, Tensor) and one.numel() == 1 else one for one in accuracies]
        check_fractions(numbers, f"its accuracies of {arch!r}")
        if numbers:
            found[arch] = [float(one) for one in numbers]
    check(found, dict[Network, list[Fraction]], "its accuracies")
    return found


def _dividing(path: Path, accuracies: Mapping[str, list[float]], entries: int) -> dict[str, list[float]]:
    """The accuracies that are the same number for each experiment."""
    for arch, values in accuracies.items():
        if len(values) % entries:
            warnings.warn(
                f"{path}: its {len(values)} accuracies of {arch} do not divide among {entries} experiments, and are "
                "left out",
                stacklevel=2,
            )
    return {arch: values for arch, values in accuracies.items() if not len(values) % entries}


def _share(accuracies: Mapping[str, list[float]], index: int, entries: int) -> dict[str, list[float]]:
    """The accuracies of one experiment."""
    sizes = {arch: len(values) // entries for arch, values in accuracies.items()}
    return {arch: values[index * sizes[arch] : (index + 1) * sizes[arch]] for arch, values in accuracies.items()}


def _settings(path: Path, accuracies: Mapping[str, object]) -> dict[str, str]:
    """What the authors' name of the file says, res_METHOD_DATA_NETWORK_Nipc.pt, cl_res_METHOD_... or cl_METHOD_...: the
    network, and DC's lack of
    augmentation, under which its sets are to be evaluated; without such a name the only network that was tested."""
    named = re.match(r"(?:cl_(?:res_)?|res_)([^_]+)_[^_]+_(.+?)_\d+ipc", path.name)
    arch = named[2] if named else next(iter(accuracies)) if len(accuracies) == 1 else ""
    settings = {"arch": arch} if arch in NETWORKS else {}
    return {**settings, "augment": "none"} if named and named[1] == "DC" else settings


def _order(labels: Tensor) -> list[int]:
    """The classes in the order in which they come first."""
    return list(dict.fromkeys(labels.tolist()))


def _steps(synthetic: SyntheticSet) -> list[tuple[Tensor, Tensor]]:
    """The parts of a set that was joined from steps; none when it was not, or when its steps do not fit its labels."""
    steps = synthetic.provenance.steps
    if not steps:
        return []
    order = [synthetic.spec.class_names[label] for label in _order(synthetic.labels)]
    if order != [name for step in steps for name in step]:
        return []
    of_class = {label: index for index, label in enumerate(_order(synthetic.labels))}
    ends = torch.tensor([len(step) for step in steps]).cumsum(0)
    of_image = torch.bucketize(torch.tensor([of_class[label] for label in synthetic.labels.tolist()]), ends, right=True)
    return [(synthetic.images[of_image == index], synthetic.labels[of_image == index]) for index in range(len(steps))]
