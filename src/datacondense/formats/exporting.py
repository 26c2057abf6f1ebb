"""Write synthetic sets in the formats that others read."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet, checked, read_header
from ..utils.atomic import new_directory, new_file
from ..utils.errors import InputError, unknown
from ..utils.files import header_text, parse_json, write_json
from ..utils.locks import replacing
from ..utils.paths import named
from . import authors_pt, destination, hf_dataset, image_folder, npz
from .accuracies import Accuracies, check_fractions, measured
from .card import check_licence
from .marker import MARKER, SEVERAL
from .provenance import public

Format = Literal["folder", "npz", "hf", "pt"]
FORMATS: tuple[Format, ...] = get_args(Format)
_Known = Scores | Mapping[str, Accuracies]


def export(
    sets: Sequence[SyntheticSet] | SyntheticSet,
    to: Format,
    dest: str | Path,
    *,
    scores: Sequence[_Known | None] | _Known | None = None,
    licence: str = "unknown",
    overwrite: bool = False,
    read_from: Sequence[str | Path] = (),
) -> None:
    """Write `sets` to `dest`: a directory of PNG images (folder) or for `datasets` (hf), or a file (npz, pt).

    sets: several, or one alone. pt holds all, as experiments in the authors' layout; in another format several become
    exp0, exp1, ... in the directory `dest`. scores: of each set, or of the one, what `evaluate` returns, or network ->
    accuracies, or None; for hf's card and for pt. licence: for hf's card.
    overwrite: replace what an earlier export has written to `dest`, for a file one of this format; nothing else is
    ever replaced. read_from: the files or directories that the sets come from, which are not replaced either.
    What is written does not say where on this machine the real images are.
    `dest` is either written whole or left as it was. Raises InputError when it exists, also when another process has
    written it in the meantime, and for sets that cannot be, or that the format cannot hold; and Locked while another
    process exports or imports to `dest`.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    sets = [sets] if isinstance(sets, SyntheticSet) else sets
    if not sets:
        raise InputError("there is no set to export")
    check_licence(licence)
    dest = named(dest)
    known = _known(scores, len(sets))
    sets = [_fit_to_leave(one) for one in sets]
    single_file = to == "pt" or (to == "npz" and len(sets) == 1)
    spared = [Path(path) for path in read_from]
    is_ours = authors_pt.is_ours if to == "pt" else npz.is_ours

    def check() -> None:
        if single_file:
            destination.check_file(dest, is_ours, spared, overwrite=overwrite)
        else:
            destination.check_exported(dest, spared, overwrite=overwrite)

    if to == "pt":
        _check_alike(sets)
    with replacing(dest):
        if single_file:
            with new_file(dest, check) as new:
                authors_pt.write(sets, _joined(known), new) if to == "pt" else npz.write(sets[0], new)
            return
        with new_directory(dest, check) as new:
            if len(sets) == 1:
                _write_directory(sets[0], to, new, known[0], licence)
            else:
                _write_several(sets, to, new, known, licence)


def _write_several(
    sets: Sequence[SyntheticSet],
    to: Format,
    directory: Path,
    accuracies: Sequence[Mapping[str, Accuracies]],
    licence: str,
) -> None:
    for index, (synthetic, known) in enumerate(zip(sets, accuracies, strict=True)):
        if to == "npz":
            npz.write(synthetic, directory / f"exp{index}.npz")
        else:
            (directory / f"exp{index}").mkdir()
            _write_directory(synthetic, to, directory / f"exp{index}", known, licence)
    write_json(directory / MARKER, {"layout": f"{SEVERAL}{to}", "sets": len(sets)})


def _write_directory(
    synthetic: SyntheticSet, to: Format, directory: Path, accuracies: Mapping[str, Accuracies], licence: str
) -> None:
    if to == "folder":
        image_folder.write(synthetic, directory)
    else:
        hf_dataset.write(synthetic, directory, accuracies=accuracies, licence=licence)


def _known(scores: Sequence[_Known | None] | _Known | None, sets: int) -> list[Mapping[str, Accuracies]]:
    """Network -> accuracies of each set."""
    if scores is None:
        return [{} for _ in range(sets)]
    listed = [scores] if isinstance(scores, Scores | Mapping) else scores
    if len(listed) != sets:
        raise InputError(f"there are {len(listed)} scores for {sets} sets: give None for a set without")
    known = [measured(one) if isinstance(one, Scores) else one or {} for one in listed]
    for one in known:
        for arch, accuracies in one.items():
            check_fractions(accuracies.values, f"the scores of {arch}")
    return known


def _fit_to_leave(synthetic: SyntheticSet) -> SyntheticSet:
    """The set on the CPU, checked as a reader will check it, without what concerns this machine alone."""
    try:
        header = parse_json(header_text(synthetic.header()))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"what is recorded of the set is no JSON ({error}): it cannot be written") from None
    spec, provenance = read_header(header)
    images, labels = (tensor.detach().cpu().contiguous() for tensor in (synthetic.images, synthetic.labels))
    return checked(images, labels, spec, public(provenance))


def _joined(scores: Sequence[Mapping[str, Accuracies]]) -> dict[str, list[float]]:
    """Network -> accuracies of one set after another: readers divide them evenly, so that each must have as many."""
    joined = {}
    for arch in dict.fromkeys(arch for one in scores for arch in one):
        values = [one[arch].values if arch in one else [] for one in scores]
        counts = [len(part) for part in values]
        if len(set(counts)) == 1:
            joined[arch] = [value for part in values for value in part]
        else:
            warnings.warn(
                f"the sets have {', '.join(map(str, counts))} accuracies of {arch}: they are left out, as the file "
                "cannot say which is whose",
                stacklevel=3,
            )
    return joined


def _check_alike(sets: Sequence[SyntheticSet]) -> None:
    for one in sets:
        if one.spec != sets[0].spec:
            raise InputError(
                f"one file cannot hold sets of {sets[0].spec.name!r} and of {one.spec.name!r} with other classes, "
                "size or normalisation: export them one by one"
            )
