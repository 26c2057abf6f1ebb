"""Condense a large labelled image set into a tiny synthetic one that trains a network to nearly the same accuracy."""

from . import methods
from ._version import __version__
from .data.build import image_set
from .data.image_set import ImageSet
from .data.source import load
from .data.sources.torch_dataset import from_torch
from .data.spec import Spec
from .engine.execution import Compute
from .evaluation.evaluator import evaluate
from .evaluation.score_log import keep_scores
from .evaluation.scores import Scores
from .formats import export, import_sets
from .methods import METHODS, Method
from .networks import NETWORKS, Network
from .run.driver import condense
from .run.dry_run import Estimate, estimate
from .run.loggers import TensorBoard, WeightsAndBiases
from .run.observers import Observer, Progress
from .synthetic.provenance import Provenance
from .synthetic.set import SyntheticSet, load_set
from .utils.errors import (
    DamagedFile,
    DatacondenseError,
    DataNotFound,
    Diverged,
    InputError,
    Locked,
    LostProcess,
    Stopped,
)

__all__ = [
    "METHODS",
    "NETWORKS",
    "Compute",
    "DamagedFile",
    "DataNotFound",
    "DatacondenseError",
    "Diverged",
    "Estimate",
    "ImageSet",
    "InputError",
    "Locked",
    "LostProcess",
    "Method",
    "Network",
    "Observer",
    "Progress",
    "Provenance",
    "Scores",
    "Spec",
    "Stopped",
    "SyntheticSet",
    "TensorBoard",
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
