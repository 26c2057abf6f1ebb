"""How much a file may make us allocate: the one bound for everything that is decoded."""

from . import hardware
from .errors import InputError

_SMALL = 2**30
"""Bytes that any file may decode to, however small it is."""
_FACTOR = 512
"""Beyond that, bytes decoded for each byte of the file. Latents of published sets decode to some 200."""


def affordable(size: int, what: str, *, held: int | None = None) -> None:
    """Refuse what would take too much memory, before it is allocated.

    Args:
        size: Bytes that decoding would allocate.
        what: What would take them, as the message begins.
        held: Bytes of the file or the tensors that are decoded. What decodes to more than 1 GiB must not
            decode to more than 512 times as much.

    Raises:
        InputError: More than a quarter of the free memory, or more than `held` can be expected to decode to.
    """
    spare = hardware.available_memory() // 4
    most = spare if held is None else max(_SMALL, _FACTOR * held)
    if size > min(spare, most):
        bound = f"this machine can spare {spare / 2**30:,.1f}"
        if size <= spare:
            bound = f"a file of its size may take {most / 2**30:,.1f}"
        raise InputError(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, and {bound}: "
            "no synthetic set is so large, the file is damaged or made to do harm"
        )
