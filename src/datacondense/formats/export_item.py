"""One set to export."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from ..synthetic.set import SyntheticSet
from .accuracies import Accuracies


@final
@dataclass(frozen=True)
class ExportItem:
    """A set to export, checked and free of local paths, with what its card and its file record of it."""

    synthetic: SyntheticSet
    accuracies: Mapping[str, Accuracies]
    licence: str
    storage: Mapping[str, str] = field(default_factory=dict)
    """Decoder, number format and bytes of the set before the export, whose images are decoded, in words."""
