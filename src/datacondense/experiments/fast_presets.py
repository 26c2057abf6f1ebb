"""Experiments that take minutes on two CPU cores, beside published numbers of other methods.

All settings were chosen on a validation part of the training images.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..evaluation.soft_labels import TEACHER_RATE, TEACHER_STEPS
from ..methods import DistributionMatching, Random
from .preset import Preset, per_class, published_numbers
from .published_numbers import DSA_NUMBERS, IDC_NUMBERS, SOURCES
from .teacher_labels import TeacherLabels

_DATA = "fashion-mnist"
_MEANS = DistributionMatching(iterations=300, batch_real=64, init="kmeans", schedule="cosine")
_REGRESSED = replace(_MEANS, iterations=600, adam=True, lr=0.05, momentum=0.9, relative=True, regress=10.0)
_PIXELS = {
    1: replace(_REGRESSED, iterations=400, batch_real=32),
    10: _REGRESSED,
    50: replace(_REGRESSED, iterations=1000, regress=1.0, networks="trained", fresh_share=0.3),
}
_VIEWS = {
    1: replace(_REGRESSED, iterations=400, batch_real=32, form="dct", coefficients=98),
    10: replace(_REGRESSED, iterations=400, batch_real=32, form="dct", coefficients=196),
}
_BYTES = {
    1: (4, replace(_REGRESSED, iterations=400, batch_real=32, store="u8", form="dct", coefficients=178)),
}
"""Float32 images of each class -> stored images in their bytes, 4 coefficients for each float, and the method."""
_VIEWED = TeacherLabels(training_steps=TEACHER_STEPS, training_lr=TEACHER_RATE, views=90, mix="cutmix", top_k=3)
"""90 views of 26 bytes and an image in 8 bits take the bytes of an image in float32, 4 for each of its 784 pixels."""
_LABELLED = {
    1: (replace(_VIEWS[1], store="u8"), replace(_VIEWED, training_steps=TEACHER_STEPS // 2, views=10)),
    10: (Random(store="u8"), _VIEWED),
    50: (Random(store="u8"), _VIEWED),
}
"""One random image of each class is too few (trials in docs/labels.md), so its eight views are condensed."""
_KINDS = (
    (_PIXELS, "", "Fast on two CPU cores, beside DSA's published number", DSA_NUMBERS, SOURCES["dsa"]),
    (_VIEWS, "/views", "Fast, several images in the floats of one, beside IDC's number", IDC_NUMBERS, SOURCES["idc"]),
)
"""Methods by images per class; the end of a preset's name, its title; published numbers and their source."""


def fast_presets() -> Iterator[tuple[str, Preset]]:
    """Yield names and experiments."""
    for ipc, (method, labels) in _LABELLED.items():
        images = "Random real" if isinstance(method, Random) else "Condensed"
        title = f"{images} images, views of them mixed and labelled by a teacher: {_DATA}, {per_class(ipc)}"
        preset = Preset(title=title, data=_DATA, ipc=ipc, method=method, labels=labels, sets=3, nets=5)
        yield f"fast/{_DATA}/{ipc}/labels", preset
    for floats, (ipc, method) in _BYTES.items():
        title = f"Fast, in 8 bits, in the bytes of {per_class(floats)} in float32: {_DATA}"
        yield f"fast/{_DATA}/{floats}/u8", Preset(title=title, data=_DATA, ipc=ipc, method=method, sets=3, nets=5)
    for methods, ending, title, numbers, source in _KINDS:
        for ipc, method in methods.items():
            preset = Preset(
                title=f"{title}: {_DATA}, {per_class(ipc)}",
                data=_DATA,
                ipc=ipc,
                method=method,
                sets=3,
                nets=5,
                published=published_numbers(numbers, _DATA, ipc),
                source=f"{source}; by another method",
            )
            yield f"fast/{_DATA}/{ipc}{ending}", preset
