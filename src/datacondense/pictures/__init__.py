"""Pictures of condensed sets: labelled grids, several sets as rows, nearest real images. Tensors in, PNG out."""

from ..drawing.png_codec import from_png, to_image, to_png
from .grid import draw_grid, save_grid
from .nearest import NEIGHBOURS, SEARCHED, first_per_class, load_neighbours, save_neighbours
from .rows import save_rows
from .soft_labels import largest_labels
from .stored import stored_images

FILE_NAME = "images.png"
CHOSEN = "chosen.png"
STORED = "stored.png"
NEAREST_REAL = "nearest-real.png"
COMPARED = "compared.png"
PROCESS = "process.png"
NEIGHBOURS_FILE = "neighbours.safetensors"
FILE_NAMES = (FILE_NAME, CHOSEN, STORED, NEAREST_REAL, COMPARED, PROCESS, "process.gif", NEIGHBOURS_FILE)
"""Pictures that `condense` and `show` write into a run directory."""

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
    "STORED",
    "draw_grid",
    "first_per_class",
    "from_png",
    "largest_labels",
    "load_neighbours",
    "save_grid",
    "save_neighbours",
    "save_rows",
    "stored_images",
    "to_image",
    "to_png",
]
