"""Experiments that take minutes on two CPU cores, beside published numbers of other methods.

All settings were chosen on a validation part of the training images.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..methods import DistributionMatching
from .preset import Preset, per_class, published_numbers
from .published_numbers import DSA_NUMBERS, IDC_NUMBERS, SOURCES

_DATA = "fashion-mnist"
_MEANS = DistributionMatching(iterations=300, batch_real=64, init="kmeans", schedule="cosine")
_REGRESSED = replace(_MEANS, iterations=600, adam=True, lr=0.05, momentum=0.9, relative=True, regress=10.0)
_PIXELS = {
    1: replace(_REGRESSED, iterations=400, batch_real=32),
    10: _REGRESSED,
    50: replace(_MEANS, lr=50.0),
}
_VIEWS = {
    1: replace(_REGRESSED, iterations=400, form="dct", coefficients=49),
}


def fast_presets() -> Iterator[tuple[str, Preset]]:
    """Yield names and experiments."""
    for ipc, method in _PIXELS.items():
        yield (
            f"fast/{_DATA}/{ipc}",
            Preset(
                title=f"Fast on two CPU cores, beside DSA's published number: {_DATA}, {per_class(ipc)}",
                data=_DATA,
                ipc=ipc,
                method=method,
                sets=3,
                nets=5,
                published=published_numbers(DSA_NUMBERS, _DATA, ipc),
                source=f"{SOURCES['dsa']}; by another method",
            ),
        )
    for ipc, method in _VIEWS.items():
        yield (
            f"fast/{_DATA}/{ipc}/views",
            Preset(
                title=f"Fast, several images in the floats of one, beside IDC's number: {_DATA}, {per_class(ipc)}",
                data=_DATA,
                ipc=ipc,
                method=method,
                sets=3,
                nets=5,
                published=published_numbers(IDC_NUMBERS, _DATA, ipc),
                source=f"{SOURCES['idc']}; by another method",
            ),
        )
