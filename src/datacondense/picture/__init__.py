"""Pictures of condensed sets: labelled grids, real images beside synthetic ones, how a run made its images."""

from .grid import save_grid
from .layout import to_image
from .process import CLASSES as PROCESS_CLASSES
from .process import save_process

FILE_NAME = "images.png"
NEAREST_REAL = "nearest-real.png"
PROCESS = "process.png"
FILE_NAMES = (FILE_NAME, NEAREST_REAL, PROCESS, "process.gif")
"""What `datacondense show` writes into a run directory."""

__all__ = [
    "FILE_NAME",
    "FILE_NAMES",
    "NEAREST_REAL",
    "PROCESS",
    "PROCESS_CLASSES",
    "save_grid",
    "save_process",
    "to_image",
]
