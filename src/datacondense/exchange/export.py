"""Write synthetic sets in the formats that others read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from ..artifact import FILE_NAME, SyntheticSet
from ..errors import InputError, unknown
from ..files import new_directory, write_json
from . import folder, hub, npz, published
from .card import check_licence
from .scores import Accuracies

Format = Literal["folder", "npz", "hf", "pt"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export(
    sets: Sequence[SyntheticSet],
    to: Format,
    dest: str | Path,
    *,
    scores: Sequence[Mapping[str, Accuracies]] | None = None,
    licence: str = "unknown",
    overwrite: bool = False,
) -> None:
    """Write `sets` to `dest`: a directory of PNG images (folder) or for `datasets` (hf), or a file (npz, pt).

    pt holds all sets, as experiments in the authors' layout. In another format several sets become exp0, exp1, ... in
    the directory `dest`. scores: of each set, network -> accuracies, for hf's card and for pt. licence: for hf's card.
    overwrite: replace what an earlier export has written to `dest`.
    `dest` is either written whole or left as it was. Raises InputError when it exists, and for sets that the format
    cannot hold.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    if not sets:
        raise InputError("there is no set to export")
    check_licence(licence)
    dest = Path(dest)
    known = scores or [{} for _ in sets]
    single_file = to == "pt" or (to == "npz" and len(sets) == 1)
    (_check_file if single_file else _check_directory)(dest, overwrite)
    if single_file:
        dest.parent.mkdir(parents=True, exist_ok=True)
    if to == "pt":
        _check_alike(sets)
        published.write(sets, _joined(known), dest)
    elif len(sets) == 1 and to == "npz":
        npz.write(sets[0], dest)
    elif len(sets) == 1:
        with new_directory(dest) as new:
            _write_directory(sets[0], to, new, known[0], licence)
    else:
        with new_directory(dest) as new:
            for index, (synthetic, accuracies) in enumerate(zip(sets, known, strict=True)):
                if to == "npz":
                    npz.write(synthetic, new / f"exp{index}.npz")
                else:
                    (new / f"exp{index}").mkdir()
                    _write_directory(synthetic, to, new / f"exp{index}", accuracies, licence)
            write_json(new / folder.MARKER, {"layout": f"several {to}", "sets": len(sets)})


def _write_directory(
    synthetic: SyntheticSet, to: Format, directory: Path, accuracies: Mapping[str, Accuracies], licence: str
) -> None:
    if to == "folder":
        folder.write(synthetic, directory)
    else:
        hub.write(synthetic, directory, accuracies=accuracies, licence=licence)


def _joined(scores: Sequence[Mapping[str, Accuracies]]) -> dict[str, list[float]]:
    archs = dict.fromkeys(arch for one in scores for arch in one)
    return {arch: [value for one in scores if arch in one for value in one[arch].values] for arch in archs}


def _check_alike(sets: Sequence[SyntheticSet]) -> None:
    for one in sets:
        if one.spec != sets[0].spec:
            raise InputError(
                f"one file cannot hold sets of {sets[0].spec.name!r} and of {one.spec.name!r} with other classes, "
                "size or normalisation: export them one by one"
            )


def _check_file(dest: Path, overwrite: bool) -> None:
    if dest.is_dir():
        raise InputError(f"{dest} is a directory: name a file")
    if dest.exists() and not overwrite:
        raise InputError(f"{dest} exists: replace it by --overwrite, or name another")


def _check_directory(dest: Path, overwrite: bool) -> None:
    """--overwrite deletes a whole directory: only one that an export has written, and none with a run inside."""
    if dest.exists() and not dest.is_dir():
        raise InputError(f"{dest} is a file: name a directory")
    if not dest.exists() or not any(dest.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{dest} is not empty: replace it by --overwrite, or name another directory")
    if not (dest / folder.MARKER).is_file() or any(dest.rglob(FILE_NAME)):
        raise InputError(f"{dest} holds other files than an export's, which --overwrite would delete: name another")
