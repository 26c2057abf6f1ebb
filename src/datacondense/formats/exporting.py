"""Write synthetic sets in the formats of other programs."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet, checked, read_header
from ..utils.atomic import new_directory, new_file
from ..utils.errors import InputError, unknown
from ..utils.files import header_text, parse_json, write_json
from ..utils.locks import replacing
from ..utils.paths import named
from . import destination
from .accuracies import Accuracies, accuracies_from_scores, check_fractions
from .card import check_licence
from .export_item import ExportItem
from .export_marker import MARKER, SEVERAL
from .local_paths import without_local_paths
from .registry import FORMATS, Format

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

    `dest` is written completely or left unchanged. Exports hold the training images, decoded if the set stores
    something else, with their labels. They do not disclose where the real images are on this machine.

    Args:
        sets: One set or several. pt holds all, as experiments in the authors' layout; in another format several become
            exp0, exp1, ... in the directory `dest`.
        to: "folder", "npz", "hf" or "pt".
        dest: The file or directory to write.
        scores: For each set, or for the one, the result of `evaluate`, or network -> accuracies (fractions), or None;
            written into the card of hf and the file of pt.
        licence: Licence in the card of hf.
        overwrite: Replace an earlier export at `dest`, a file only by one of the same format; nothing else is ever
            replaced.
        read_from: The files or directories that the sets come from; they are not replaced either.

    Raises:
        InputError: `dest` exists, also when another process has written it in the meantime; or a set is invalid, or
            the format cannot hold it.
        Locked: Another process exports or imports to `dest`.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    chosen = FORMATS[to]
    sets = [sets] if isinstance(sets, SyntheticSet) else sets
    if not sets:
        raise InputError("there is no set to export")
    check_licence(licence)
    if licence != "unknown" and to != "hf":
        raise InputError(f"--licence {licence}: stands in the card of hf alone: leave it out")
    dest = named(dest)
    accuracies = _accuracies(scores, len(sets))
    storages = [_storage(one) for one in sets]
    sets = [_checked_for_export(one) for one in sets]
    items = [
        ExportItem(one, values, licence, storage)
        for one, values, storage in zip(sets, accuracies, storages, strict=True)
    ]
    if chosen.holds_several:
        _check_same_data(sets)
    with replacing(dest):
        _write(items, to, dest, [Path(path) for path in read_from], overwrite=overwrite)


def _write(items: Sequence[ExportItem], to: Format, dest: Path, sources: Sequence[Path], *, overwrite: bool) -> None:
    """Write `dest` whole, after a last check that it may be written."""
    chosen = FORMATS[to]
    if chosen.suffix and (chosen.holds_several or len(items) == 1):
        check_file = partial(destination.check_file, dest, chosen.is_export, sources, overwrite=overwrite)
        with new_file(dest, check_file) as new:
            chosen.write(items, new)
        return
    with new_directory(dest, partial(destination.check_exported, dest, sources, overwrite=overwrite)) as new:
        if len(items) == 1:
            chosen.write(items, new)
        else:
            _write_several(items, to, new)


def _write_several(items: Sequence[ExportItem], to: Format, directory: Path) -> None:
    """Fill `directory` with an export of each set."""
    chosen = FORMATS[to]
    for index, item in enumerate(items):
        place = directory / f"exp{index}{chosen.suffix}"
        if not chosen.suffix:
            place.mkdir()
        chosen.write([item], place)
    write_json(directory / MARKER, {"layout": f"{SEVERAL}{to}", "sets": len(items)})


def _accuracies(scores: Sequence[_Known | None] | _Known | None, sets: int) -> list[Mapping[str, Accuracies]]:
    """Return network -> accuracies of each set. Raises InputError for values other than fractions."""
    if scores is None:
        return [{} for _ in range(sets)]
    listed = [scores] if isinstance(scores, Scores | Mapping) else scores
    if len(listed) != sets:
        raise InputError(f"there are {len(listed)} scores for {sets} sets: give None for a set without")
    found = [accuracies_from_scores(one) if isinstance(one, Scores) else one or {} for one in listed]
    for one in found:
        for arch, accuracies in one.items():
            check_fractions(accuracies.values, f"the scores of {arch}")
    return found


def _storage(synthetic: SyntheticSet) -> dict[str, str]:
    """Return decoder, number format and bytes of a set that is not stored as float32 pixels, in words."""
    if synthetic.stored is None:
        return {}
    header = synthetic.stored.header()
    config = ", ".join(f"{name} {value}" for name, value in header["config"].items() if not isinstance(value, dict))
    stored = sum(tensor.nbytes for tensor in synthetic.tensors().values())
    return {
        "decoder": f"{header['name']}{f' ({config})' if config else ''}, numbers stored as {header['store']}",
        "bytes": f"{stored:,} as condensed; decoded here, one image per view",
    }


def _checked_for_export(synthetic: SyntheticSet) -> SyntheticSet:
    """Return the set on the CPU, checked as readers will check it, without local paths.

    It has the decoded images alone: its header names no decoder, and its `ipc` counts them.
    """
    try:
        header = parse_json(header_text(synthetic.header()))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the provenance of the set is not JSON ({error}): it cannot be written") from None
    spec, provenance, recipe = read_header(header)
    images, labels = (tensor.detach().cpu().contiguous() for tensor in (synthetic.images, synthetic.labels))
    if synthetic.views > 1:
        provenance = provenance.changed(ipc=int(synthetic.counts.max()))
    return checked(images, labels, spec, without_local_paths(provenance), recipe=recipe)


def _check_same_data(sets: Sequence[SyntheticSet]) -> None:
    """Raise InputError unless all sets were made from the same data."""
    for one in sets:
        if one.spec != sets[0].spec:
            raise InputError(
                f"one file cannot hold sets of {sets[0].spec.name!r} and of {one.spec.name!r} with other classes, "
                "size or normalisation: export them one by one"
            )
