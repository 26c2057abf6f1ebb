"""Pictures of condensed sets: labelled grids, sets and real images side by side, how a run made its images."""

from .grid import draw_grid, save_grid
from .layout import to_image, to_png
from .nearest import NEIGHBOURS, SEARCHED, first, load_neighbours, save_neighbours
from .rows import save_rows

FILE_NAME = "images.png"
CHOSEN = "chosen.png"
NEAREST_REAL = "nearest-real.png"
COMPARED = "compared.png"
PROCESS = "process.png"
NEIGHBOURS_FILE = "neighbours.safetensors"
FILE_NAMES = (FILE_NAME, CHOSEN, NEAREST_REAL, COMPARED, PROCESS, "process.gif", NEIGHBOURS_FILE)
"""What `condense` and `show` write into a run directory for the eye."""

__all__ = [
    "CHOSEN",
    "COMPARED",
    "FILE_NAME",
    "FILE_NAMES",
    "NEAREST_REAL",
    "NEIGHBOURS",
    "NEIGHBOURS_FILE",
    "PROCESS",
    "SEARCHED",
    "draw_grid",
    "first",
    "load_neighbours",
    "save_grid",
    "save_neighbours",
    "save_rows",
    "to_image",
    "to_png",
]
