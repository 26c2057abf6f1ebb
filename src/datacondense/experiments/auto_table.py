"""The table of `auto`: kinds of problems, and for each the candidates in the order in which they are tried."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..methods import DistributionMatching, Matching, Method, with_network
from ..synthetic.stored import Store
from ..utils.errors import InputError
from .stored_bytes import images_within

_ANY = 10**9
_BYTES = "u8"
"""Number format of candidates that have to fit a number of bytes."""


@final
@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings that `auto` may choose."""

    name: str
    method: Method
    """The method, with as many iterations as are worth their time."""
    reason: str
    """One line: the reason to try it on this kind of problem."""
    rate_per_image: bool = False
    """The learning rate is that of one image of each class, and is multiplied by their number."""
    pixels_per_coefficient: int | None = None
    """Pixels of an image for each of its stored coefficients, for form dct; None takes those of the method."""
    most: int = _ANY
    """Training images of the whole set, all views of all classes, up to which it is tried."""


@final
@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of problem, by the largest numbers that belong to it, and its candidates."""

    name: str
    ipc: int = _ANY
    """Stored images of each class, at most."""
    pixels: int = _ANY
    """Pixels of an image, H W, at most."""
    channels: int = 3
    """Channels of an image, at most."""
    classes: int = _ANY
    """Classes, at most."""
    candidates: Sequence[Candidate]

    def holds(self, spec: Spec, ipc: int) -> bool:
        """Return whether a problem is of this kind."""
        channels, height, width = spec.shape
        return (
            ipc <= self.ipc
            and height * width <= self.pixels
            and channels <= self.channels
            and spec.classes <= self.classes
        )


_MEANS = DistributionMatching(iterations=300, batch_real=64, init="kmeans", schedule="cosine")
_REGRESSED = replace(_MEANS, iterations=400, adam=True, lr=0.05, momentum=0.9, relative=True, regress=10.0)
_SOLVED = 4000
"""Training images up to which ridge regression, which solves a system of as many equations, takes little time."""

_PIXELS = Candidate(
    name="pixels",
    method=_REGRESSED,
    most=_SOLVED,
    reason="whole images, moved until ridge regression on their embeddings is right on real images",
)
_QUARTERS = Candidate(
    name="quarters",
    method=replace(_REGRESSED, batch_real=32, form="dct"),
    pixels_per_coefficient=4,
    most=_SOLVED,
    reason="four images without their finest details in the room of one: more of them teach more than these details",
)
_EIGHTHS = replace(
    _QUARTERS,
    name="eighths",
    pixels_per_coefficient=8,
    reason="eight images without their finer details in the room of one: with one image, variety teaches more",
)
_MANY = replace(
    _PIXELS,
    method=replace(_REGRESSED, iterations=1000, regress=1.0),
    reason="whole images whose mean embeddings match, and by which ridge regression is right on real images",
)
_PLAIN = Candidate(
    name="means",
    method=_MEANS,
    rate_per_image=True,
    reason="whole images whose mean embeddings match, as published: fast, for any number of images and classes",
)

_FEW_STEPS = {"iterations": 150, "batch_real": 32}  # of large images a run makes few iterations in minutes
_LARGE_PIXELS, _LARGE_QUARTERS, _LARGE_EIGHTHS, _LARGE_MANY, _LARGE_PLAIN = (
    replace(one, method=replace(one.method, **_FEW_STEPS)) for one in (_PIXELS, _QUARTERS, _EIGHTHS, _MANY, _PLAIN)
)

TABLE: tuple[Kind, ...] = (
    Kind(name="one or two tiny images per class", ipc=2, pixels=16 * 16, candidates=(_PIXELS, _PLAIN)),
    Kind(name="one or two small images per class", ipc=2, pixels=40 * 40, candidates=(_EIGHTHS, _PIXELS, _PLAIN)),
    Kind(
        name="one or two large images per class",
        ipc=2,
        candidates=(_LARGE_EIGHTHS, _LARGE_QUARTERS, _LARGE_PIXELS, _LARGE_PLAIN),
    ),
    Kind(name="a few tiny images per class", ipc=20, pixels=16 * 16, candidates=(_PIXELS, _PLAIN)),
    Kind(name="a few small images per class", ipc=20, pixels=40 * 40, candidates=(_QUARTERS, _PIXELS, _PLAIN)),
    Kind(
        name="a few large images per class",
        ipc=20,
        candidates=(_LARGE_QUARTERS, _LARGE_PIXELS, _LARGE_PLAIN),
    ),
    Kind(name="many tiny or small images per class", pixels=40 * 40, candidates=(_MANY, _PLAIN)),
    Kind(name="many large images per class", candidates=(_LARGE_MANY, _LARGE_PLAIN)),
)
"""The first kind that holds a problem gives its candidates, the likeliest first."""


@final
@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A candidate on the data at hand."""

    name: str
    method: Method
    """The method with its learning rate and network, and the most iterations that it may take."""
    ipc: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `settings` with the most iterations that it may take."""
        return {"name": self.name, "settings": self.method.settings(), "ipc": self.ipc, "reason": self.reason}


def kind_of(spec: Spec, ipc: int) -> Kind:
    """Return the kind of a problem."""
    return next(kind for kind in TABLE if kind.holds(spec, ipc))


def entrants(
    candidates: Sequence[Candidate], real: ImageSet, ipc: int | None, *, bytes: int | None, arch: str | None
) -> list[Entrant]:
    """Return candidates on the images `real`.

    Args:
        candidates: the candidates.
        real: the training images.
        ipc: stored images of each class; None for as many as fit `bytes`.
        bytes: bytes of the stored set.
        arch: network; None for that of each candidate, with auto resolved.

    Raises:
        InputError: no candidate fits the number of bytes, or takes so many images.
    """
    found, most = list[Entrant](), 0
    for one in candidates:
        method = _fitted(one, real.spec, arch)
        if bytes is None:
            assert ipc is not None, "one of both is given"
            count = ipc
        else:
            method = _stored_as(method, _BYTES)
            count = min(images_within(bytes, method, real), int(real.counts.max()))
        most = max(most, count)
        if count and real.spec.classes * count * method.views(real.spec) <= one.most:
            found.append(Entrant(name=one.name, method=_rated(one, method, count), ipc=count, reason=one.reason))
    if not found and most:
        raise InputError(f"no candidate takes {most} images of each of {real.spec.classes} classes: ask for fewer")
    if not found:
        raise InputError(f"--bytes {bytes} is not enough for one image of each class: give more")
    return found


def _fitted(candidate: Candidate, spec: Spec, arch: str | None) -> Method:
    """Return the method with its network and its number of coefficients for these images."""
    method = with_network(candidate.method if arch is None else replace(candidate.method, arch=arch), spec)
    if candidate.pixels_per_coefficient is None or not isinstance(method, Matching):
        return method
    return replace(method, coefficients=max(spec.shape[1] * spec.shape[2] // candidate.pixels_per_coefficient, 1))


def _rated(candidate: Candidate, method: Method, ipc: int) -> Method:
    """Return the method with its learning rate for `ipc` images of each class."""
    if candidate.rate_per_image and isinstance(method, Matching):
        return replace(method, lr=method.lr * ipc)
    return method


def _stored_as(method: Method, store: Store) -> Method:
    """Return the method with this number format of what it stores, if it has formats."""
    return replace(method, store=store) if "store" in method.settings() else method


def pixel_images_within(limit: int, real: ImageSet) -> int:
    """Return the images of each class that fit a number of bytes as pixels, which decide the kind of the problem."""
    return max(images_within(limit, _stored_as(_MEANS, _BYTES), real), 1)
