"""The real images that condensed sets were made from."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..artifact import SyntheticSet
from ..data import load
from ..errors import InputError
from ..types import ImageSet


def real_images(
    paths: Sequence[Path], sets: Sequence[SyntheticSet], *, data: str | None, data_dir: Path | None, which: str
) -> tuple[ImageSet, ImageSet]:
    """Training and test images that the first of `sets`, read from `paths`, says it was made from.

    data, data_dir: where they are instead. which: the images that are needed, in words. A warning names each set that
    was made from others. Raises InputError when the set does not say and `data` is not given.
    """
    source = {**(sets[0].provenance.get("source") or {}), **({"source": data} if data else {})}
    if not source:
        raise InputError(f"{paths[0]} does not say what it was made from: name the {which} images by --data")
    train, test = load(**{**source, **({"data_dir": data_dir} if data_dir else {})})
    fingerprint = train.fingerprint()
    for path, synthetic in zip(paths, sets, strict=True):
        if synthetic.provenance.get("data_sha256") != fingerprint:
            warnings.warn(f"{source['source']} does not hold the images that {path} was made from", stacklevel=1)
    return train, test
