"""Synthetic sets for others, and from others: export to and import from the formats that people use."""

from .authors_latents import import_latents
from .exporting import FORMATS, Format, export
from .importing import import_sets, read_sets
from .pixels import Pixels, Reading
from .runs import runs_in

__all__ = ["FORMATS", "Format", "Pixels", "Reading", "export", "import_latents", "import_sets", "read_sets", "runs_in"]
