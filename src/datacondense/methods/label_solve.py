"""Real images with labels that are solved in closed form."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor

from ..data.spec import Spec
from ..networks import Network
from ..synthetic.parameters import Synthetic
from ..synthetic.targets import LearnedLabels
from ..training.recipe import Recipe
from ..utils.ranges import Epochs
from ..utils.streams import Streams
from .features import feature_parts
from .kmeans import representatives
from .learned_labels import values_recipe
from .pretrained_selection import pretraining
from .problem import Problem
from .random import Random
from .ridge import RIDGE, solved_labels
from .selection import Selection
from .small_classes import selected_images


@final
@dataclass(frozen=True, kw_only=True)
class LabelSolve(Selection):
    """Choose real images, and give them the labels by which ridge regression errs least (KIP's label solve).

    The regression is that of `krr` on the embeddings of one network that was trained on all real images; the labels
    minimise its squared error on these (Nguyen, Chen & Lee, ICLR 2021). They are values, for networks that train by
    mse, and the set stores such a recipe.
    """

    embeds: ClassVar[bool] = True

    init: Literal["real", "kmeans"] = "kmeans"
    """Images: random real images, or the real images nearest to the centres of k-means."""
    epochs: Epochs = 10
    """Epochs of the network on all real images, under the augmentation; selections with these share it by the cache."""
    ridge: Annotated[float, Meta(gt=0, le=1e6)] = RIDGE
    """Ridge, relative to the mean squared length of the embeddings of the set."""

    @property
    def least_classes(self) -> int:
        """Return 2: a classifier is trained."""
        return 2

    def preparation(self, images: int) -> int:
        """Return the images of `epochs` of training and of one embedding of all."""
        return (3 * self.epochs + 1) * images

    def select(self, problem: Problem, streams: Streams) -> Tensor:
        """Choose images of each class at random or by k-means."""
        if self.init == "real":
            return Random().select(problem, streams)
        agreed = problem.engine.processes.agreed  # each process might add in another order
        return agreed(lambda: representatives(problem.real, problem.ipc, streams("init"), problem.report))

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Train the network, or take it from the cache; choose the images and solve their labels."""
        synthetic = super().start(problem, streams)
        network = pretraining(problem, self.arch, self.epochs, streams).finish(problem.report).network
        # in one process: another might round otherwise
        solved = problem.engine.processes.agreed(lambda: self._solved(synthetic, problem, network))
        labels = torch.zeros(problem.classes, synthetic.labels().shape[1], problem.classes)
        counts = synthetic.counts or (labels.shape[1],) * problem.classes
        for of_class, some in zip(labels, torch.split(solved.cpu(), list(counts)), strict=True):
            of_class[: len(some)] = some
        synthetic.targets = LearnedLabels(labels.to(problem.engine.device), softmax=False)
        return synthetic

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        """Return random images, and the seconds that the training would take."""
        drawn = selected_images(problem.real, Random().select(problem, streams), problem.ipc)
        return drawn, pretraining(problem, self.arch, self.epochs, streams).seconds_left()

    def recipe(self, spec: Spec, ipc: int) -> Recipe:
        """Return the recipe of FRePo for values, as `KernelRegression.recipe` does."""
        return values_recipe(spec.classes * ipc, self.augment)

    def _solved(self, synthetic: Synthetic, problem: Problem, network: Network) -> Tensor:
        """Return the labels of the images, (N, K), by the features of a trained network."""
        network.eval()
        with torch.no_grad():
            made = problem.engine.embed(network, synthetic.listed(synthetic()))
            return solved_labels(made, feature_parts(problem, network), problem.classes, ridge=self.ridge)
