"""Inert replacements for the parts of NumPy that pickles name; a pickle cannot call anything through them."""

import re
from typing import Any

import numpy as np

MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
"""NumPy's module before and since version 2."""


class _Dtype:
    """Replace numpy.dtype, whose own __setstate__ trusts its argument."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]

    def real(self) -> np.dtype[Any]:
        if not re.fullmatch("[biuf][0-9]{1,2}", self.code) or self.order not in ("<", ">", "|", "="):
            raise ValueError(f"a NumPy type {self.order}{self.code} is not a boolean, integer or float")
        return np.dtype(self.code).newbyteorder(self.order)


class Array:
    """Replace numpy.ndarray: empty until a checked state is set."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array = np.empty((0,), np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise TypeError("an array has no type")
        raw = data.encode("latin1") if isinstance(data, str) else data
        self.array = np.frombuffer(raw, dtype.real()).reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Replace the function that makes an empty array. An object without fields, as a pickle may alter functions."""

    __slots__ = ()

    def __call__(self, subtype: object, shape: object, code: object) -> Array:
        if subtype not in (_NDARRAY, Array) or shape != (0,):
            raise ValueError("an array does not start empty")
        return Array()


class _Encode:
    """Replace codecs.encode, by which pickles of protocol 2 hold bytes."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object = None) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise ValueError("bytes are not in Latin-1")
        return text.encode("latin1")


_RECONSTRUCT = _Reconstruct()
_NDARRAY = "numpy.ndarray"
"""Replacement for the class: text, which cannot be called."""
IN_A_PICKLE: dict[str, object] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _Encode(),
    **{f"{module}._reconstruct": _RECONSTRUCT for module in MULTIARRAY},
}


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    """Replace numpy.core.multiarray.scalar."""
    (value,) = np.frombuffer(data, dtype.real())
    return value


def for_torch() -> list[Any]:
    """Return the replacements for NumPy's numbers and arrays, with the names that files use."""
    return [
        (_Dtype, "numpy.dtype"),
        (Array, "numpy.ndarray"),
        *((_scalar, f"{module}.scalar") for module in MULTIARRAY),
        *((_RECONSTRUCT, f"{module}._reconstruct") for module in MULTIARRAY),
    ]
