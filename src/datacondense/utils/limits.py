"""Limits on the memory that decoding a file may allocate."""

from . import hardware
from .errors import InputError

_SMALL = 2**30
"""Bytes that any file may decode to, regardless of its size."""
_FACTOR = 512
"""Decoded bytes per byte of a file beyond that. Latents of published sets reach about 200."""


def affordable(size: int, what: str, *, held: int | None = None) -> None:
    """Raise InputError for data that would take too much memory, before it is allocated.

    Args:
        size: Bytes that decoding would allocate.
        what: Subject of the message, such as "its images".
        held: Bytes of the file or the tensors to decode. Results above 1 GiB must not exceed 512 times this size.

    Raises:
        InputError: When `size` exceeds a quarter of the free memory, or the limit for `held`.
    """
    spare = hardware.available_memory() // 4
    most = spare if held is None else max(_SMALL, _FACTOR * held)
    if size > min(spare, most):
        bound = f"this machine can spare {spare / 2**30:,.1f}"
        if size <= spare:
            bound = f"a file of its size may take {most / 2**30:,.1f}"
        raise InputError(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, but {bound}: "
            "no synthetic set is that large; the file is damaged or malicious"
        )
