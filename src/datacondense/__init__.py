"""Condense a large labelled image set into a tiny synthetic one that trains a network to nearly the same accuracy."""

from . import methods
from ._version import __version__
from .artifact import SyntheticSet, load_set
from .data import from_torch, image_set, load
from .driver import condense
from .errors import DamagedFile, DatacondenseError, DataNotFound, Diverged, InputError, Locked, LostProcess, Stopped
from .estimate import Estimate, estimate
from .evaluate import evaluate
from .exchange import export, import_sets
from .kept_scores import keep_scores
from .live import TensorBoard, WeightsAndBiases
from .methods import METHODS, Method
from .networks import NETWORKS, Network
from .observers import ImageObserver, Observer, Progress, StartObserver, UpdateObserver
from .types import ImageSet, Scores, Spec

__all__ = [
    "METHODS",
    "NETWORKS",
    "DamagedFile",
    "DataNotFound",
    "DatacondenseError",
    "Diverged",
    "Estimate",
    "ImageObserver",
    "ImageSet",
    "InputError",
    "Locked",
    "LostProcess",
    "Method",
    "Network",
    "Observer",
    "Progress",
    "Scores",
    "Spec",
    "StartObserver",
    "Stopped",
    "SyntheticSet",
    "TensorBoard",
    "UpdateObserver",
    "WeightsAndBiases",
    "__version__",
    "condense",
    "estimate",
    "evaluate",
    "export",
    "from_torch",
    "image_set",
    "import_sets",
    "keep_scores",
    "load",
    "load_set",
    "methods",
]
