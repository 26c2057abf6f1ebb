"""Exchange synthetic sets: export to, and import from, the formats of other programs."""

from .authors_latents import import_latents
from .exporting import export
from .file_options import FileOptions, ImportOptions
from .hub import push_to_hub
from .importing import import_sets, read_sets
from .label_kinds import LabelKind
from .loading import load_set
from .pixel_scale import PixelOptions, PixelScale
from .registry import FORMATS, Format
from .run_folders import find_runs

__all__ = [
    "FORMATS",
    "FileOptions",
    "Format",
    "ImportOptions",
    "LabelKind",
    "PixelOptions",
    "PixelScale",
    "export",
    "find_runs",
    "import_latents",
    "import_sets",
    "load_set",
    "push_to_hub",
    "read_sets",
]
