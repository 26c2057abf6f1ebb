"""How much a file may make us allocate."""

from .. import machine
from ..errors import InputError


def affordable(size: int, what: str) -> None:
    """Refuse what takes more than a quarter of the free memory; a synthetic set takes far less. size: bytes.

    Raises InputError.
    """
    limit = machine.available_memory() // 4
    if size > limit:
        raise InputError(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, and this machine can spare {limit / 2**30:,.1f}: "
            "no synthetic set is so large, the file is damaged or made to do harm"
        )
