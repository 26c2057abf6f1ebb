"""The rule of `--precision auto`, and the note on bf16 that a processor computes slowly."""

import warnings
from typing import Literal

from ..utils.hardware import processor_bf16

Settled = Literal["fp32", "tf32", "bf16"]

_AUTO: dict[str, Settled] = {"cpu": "fp32", "matrix units": "fp32", "cuda": "tf32"}
"""bf16 is to stand for "matrix units" once `benchmarks/precision.py` has shown there that it costs no accuracy."""


def auto_precision(kind: str, *, compiled: bool) -> Settled:
    """Return the precision of `auto` on a kind of device, by what the processor says of itself.

    bf16 needs matrix units for it (AMX) and compiled code: uncompiled, each change of type is a pass over memory.
    """
    if kind == "cpu" and compiled and processor_bf16() == "matrix":
        kind = "matrix units"
    return _AUTO[kind]


def note_slow_bf16() -> None:
    """Warn if this processor multiplies bf16 by other means than units for it."""
    if processor_bf16() == "none":
        warnings.warn("this processor has no bf16 arithmetic: --precision bf16 is far slower than fp32", stacklevel=2)
