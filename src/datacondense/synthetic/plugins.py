"""Decoders of plug-ins: the check of their classes."""

import inspect
from typing import Any

from ..utils.errors import InputError
from ..utils.plugins import require_frozen
from .decoders import Decoder


def checked(name: str, cls: Any) -> type[Decoder]:
    """Return the class of a plug-in's decoder. Raises InputError for anything but a concrete frozen dataclass."""
    if not (inspect.isclass(cls) and issubclass(cls, Decoder)):
        raise InputError(f"decoder {name} is not a class derived from datacondense.synthetic.decoders.Decoder")
    require_frozen(cls)
    return cls
