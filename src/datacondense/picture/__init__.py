"""Pictures of condensed sets: labelled grids, sets and real images side by side, how a run made its images."""

from .grid import save_grid
from .layout import to_image, to_png
from .process import CLASSES as PROCESS_CLASSES
from .process import save_process
from .rows import save_rows

FILE_NAME = "images.png"
NEAREST_REAL = "nearest-real.png"
COMPARED = "compared.png"
PROCESS = "process.png"
FILE_NAMES = (FILE_NAME, NEAREST_REAL, COMPARED, PROCESS, "process.gif")
"""What `datacondense show` writes into a run directory."""

__all__ = [
    "COMPARED",
    "FILE_NAME",
    "FILE_NAMES",
    "NEAREST_REAL",
    "PROCESS",
    "PROCESS_CLASSES",
    "save_grid",
    "save_process",
    "save_rows",
    "to_image",
    "to_png",
]
