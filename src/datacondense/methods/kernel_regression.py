"""Kernel ridge regression on network features (krr): images and labels learned together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor, nn

from ..data.spec import Spec
from ..engine.execution import Workload
from ..engine.losses import ce
from ..networks import Network
from ..synthetic.parameters import Synthetic
from ..synthetic.set import SyntheticSet
from ..training.optimiser import build_optimiser
from ..training.recipe import Recipe
from ..utils.ranges import Batch, Iterations, Momentum, Networks, Rate
from ..utils.streams import Streams
from .base import Iteration
from .feature_distances import balance, mean_distance
from .features import real_features
from .learned_labels import IMAGES_IN_STEP, LabelForm, first_labels, mean_margin, values_recipe
from .losses import Step, Updates
from .matching import InitialImages, Schedule
from .network_pool import NetworkPool
from .problem import Problem
from .ridge import RIDGE, SHARPNESS, Regression, centred, numbers, ridge_error, ridge_predictions
from .trained_networks import TrainedNetworks

Source = Literal["pool", "fresh", "trained", "blended", "frozen"]

_SHARPNESS_RATE = 1e-2  # of its logarithm
_FEATURES = "features"  # key of what is found before the first iteration


@final
@dataclass(frozen=True, kw_only=True)
class KernelRegression(TrainedNetworks):
    """Learn images and labels from which ridge regression on network features is right on real images (krr).

    predictions = tau K_TS (K_SS + r I)^-1 Y, K_TS the products of the embeddings psi(A(T)) and psi(A(S)), Y the labels;
    loss = the cross-entropy of the real images T, whose gradient reaches S, Y and tau. psi is a network of a pool that
    trains along on the set (FRePo, NeurIPS 2022, with the outer loss of RCIG, ICML 2023), or one of real training.
    """

    embeds: ClassVar[bool] = True
    iterations: Iterations = 1000
    """Iterations; each compares under one network."""
    lr: Rate = 0.05
    """Learning rate of the images."""
    schedule: Schedule = "cosine"
    """Learning rate over the iterations: constant, or cosine (down to a hundredth on half a cosine)."""
    adam: bool = True
    """Optimise the images with Adam: each pixel moves by about the learning rate. Otherwise with SGD."""
    momentum: Momentum = 0.9
    """Momentum of the images, in SGD or Adam."""
    batch_real: Batch = 64
    """Real images of each class per update, B."""
    init: InitialImages = "kmeans"
    """Initial images: random real images, the real images nearest to the centres of k-means, or N(0, 1) noise."""
    networks: Source = "pool"
    """Networks that embed the images: pool, networks that train along on the set and start anew; fresh, random weights;
    trained or blended, weights of a training on the real images (--training-steps, before the first iteration, cached);
    frozen, the last weights of that training alone, under which all real images are embedded once, without
    augmentation."""
    pool: Networks = 10
    """Networks in the pool."""
    lifetime: Iterations = 100
    """Epochs on the set after which a network of the pool starts anew. At first they are spread over this time."""
    lr_net: Rate = 0.1
    """Learning rate of the networks of the pool, by plain SGD: an epoch after each iteration under one of them."""
    loss: Literal["ce", "mse"] = "ce"
    """Loss of the predictions: ce, cross-entropy at a learned temperature; mse, half the squared error of FRePo."""
    label_form: LabelForm = "probabilities"
    """Labels that are learned: probabilities, for networks that train by cross-entropy; values, any numbers, for
    networks that train by mse, as in FRePo (the set stores such a recipe); hard, the classes, for none."""
    lr_labels: Rate = 0.02
    """Learning rate of the labels, by Adam: of the logits of probabilities, or of values."""
    margin: Annotated[float, Meta(ge=0, le=1e6)] = 1.0
    """Weight of the mean margin of learned labels, their largest number less their second, up to 1/K, which is
    maximised, as in FRePo."""
    match: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    """Weight of the distance of mean embeddings, relative as in `dm --relative`: the norm of its gradient in the
    embeddings of the set over that of the regression's loss; 0 for none."""
    ridge: Annotated[float, Meta(gt=0, le=1e6)] = RIDGE
    """Ridge r, relative to the mean squared length of the embeddings of the set; 1e-6 in FRePo."""

    @property
    def least_classes(self) -> int:
        """Return 2: the regression learns to classify."""
        return 2

    @property
    def trains_first(self) -> bool:
        """Return whether networks are trained on the real images before the first iteration."""
        return super().trains_first or (self.networks == "frozen" and self.iterations > 0)

    @property
    def learned(self) -> tuple[str, ...]:
        """Return the names of the optimisers: of the images and, where they are learned, of labels and temperature."""
        labels = () if self.label_form == "hard" else ("labels",)
        return ("images", *labels, *(("sharpness",) if self.loss == "ce" else ()))

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of networks and of learned labels."""
        pool, labels = self.networks == "pool", self.label_form != "hard"
        return {
            **super().needs(),
            **dict.fromkeys(("pool", "lifetime", "lr_net"), (pool, "--networks pool")),
            **dict.fromkeys(("lr_labels", "margin"), (labels, "--label-form probabilities or values")),
        }

    def workload(self, each: int) -> Workload:
        """Return the workload of an iteration, and of the epoch of a network of the pool."""
        real = 0 if self.networks == "frozen" else self.batch_real
        passes = real + 3 * each + 3 * each * (self.networks == "pool")
        return Workload(passes=passes, real=self.batch_real, synthetic=each)

    def preparation(self, images: int) -> int:
        """Return the images of the training, and of the embedding of all real images, before the first iteration."""
        return super().preparation(images) + images * (self.networks == "frozen" and self.iterations > 0)

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the initial images with the labels that are learned; embed the real images for a frozen network."""
        return self._labelled(super().start(problem, streams), problem)

    def start_from(self, start: SyntheticSet, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images of a finished set with the labels that are learned, which begin as its classes."""
        return self._labelled(super().start_from(start, problem, streams), problem)

    def state(self, problem: Problem, streams: Streams) -> nn.Module | None:
        """Return the pool of networks and the temperature, those that there are."""
        pool = None
        if self.networks == "pool":
            pool = NetworkPool(problem, self.arch, self.pool, streams.at("pool"))
            pool.steps.copy_(torch.arange(self.pool) * self.lifetime // self.pool)
        return RegressionState(pool, learn=self.loss == "ce", device=problem.engine.device)

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers of the images, of the labels, and of the temperature."""
        found = super().optimisers(synthetic, state)
        if self.label_form != "hard":
            found["labels"] = torch.optim.Adam(synthetic.targets.parameters(), lr=self.lr_labels)
        if self.loss == "ce":
            assert isinstance(state, RegressionState)
            found["sharpness"] = torch.optim.Adam([state.log_sharpness], lr=_SHARPNESS_RATE)
        return found

    def iterate(self, run: Iteration) -> Updates:
        """Yield the loss of the regression, one term for each group of classes; then train the network of a pool."""
        state, problem = run.state, run.problem
        assert isinstance(state, RegressionState)
        number = None if state.pool is None else state.pool.draw(run.streams("network"))
        network = self._network(run, number)
        yield Step(Comparison(self, run, network).terms(problem.groups(network)), of=self.learned)
        if number is not None:
            self._train_along(run, number)

    def recipe(self, spec: Spec, ipc: int) -> Recipe | None:
        """Return the recipe of FRePo for values: Adam at 3e-4, warm-up and cosine, mse, averaged weights.

        Its code makes 1000 steps for 10 training images, 2000 for 100, 20 000 for 200, 5000 for 500. Probabilities are
        learned by the published recipe.
        """
        if self.label_form != "values":
            return None
        images = spec.classes * ipc * self.views(spec)
        return values_recipe(images, self.augment)

    def _labelled(self, synthetic: Synthetic, problem: Problem) -> Synthetic:
        if self.label_form != "hard":
            synthetic.targets = first_labels(synthetic.labels(), problem.classes, self.label_form)
            if self.average:
                synthetic.keep_average(self.average)  # of the labels, too
        if self.networks == "frozen" and self.iterations:
            problem.found[_FEATURES] = real_features(problem, self._frozen(problem))
        return synthetic

    def _frozen(self, problem: Problem) -> Network:
        """Return the network of the last moment of the real training, in evaluation mode."""
        trained = self.trained(problem)[0].weights[-1]
        return problem.network_with(trained).eval()

    def _network(self, run: Iteration, number: int | None) -> Network:
        """Return the network of an iteration, frozen; `number` is its place in the pool."""
        if self.networks == "frozen":
            return self._frozen(run.problem)
        if number is None:
            return self.compared(run).matching
        return run.state.pool[number]

    def _train_along(self, run: Iteration, number: int) -> None:
        """Train a network of the pool for one epoch on the set, or draw it anew at the end of its life."""
        pool: NetworkPool = run.state.pool
        if pool.steps[number] >= self.lifetime:
            pool.reset(number, run.streams("reset"))
            return
        sgd = build_optimiser(pool[number].parameters(), self.lr_net)
        loss = "mse" if self.label_form == "values" else "ce"
        recipe = Recipe(epochs=1, loss=loss, batch=IMAGES_IN_STEP)
        run.problem.train_epoch(pool[number], run.synthetic, run.streams.at("student"), sgd, recipe)
        sgd.zero_grad()
        pool.steps[number] += 1


@final
class RegressionState(nn.Module):
    """The pool of networks of a run, and the factor on predictions that makes them logits.

    Args:
        pool: The networks, or None.
        learn: Hold the factor, which is learned, as `log_sharpness`.
        device: Device of the factor.
    """

    def __init__(self, pool: NetworkPool | None, *, learn: bool, device: torch.device) -> None:
        super().__init__()
        self.pool = pool
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS), device=device), requires_grad=learn)


@final
class Comparison:
    """One iteration: its network, its draws, and its loss."""

    def __init__(self, method: KernelRegression, run: Iteration, network: Network) -> None:
        self.method, self.run, self.network = method, run, network
        self.engine = run.problem.engine
        self.view = run.problem.augment.draw(run.streams("augment"), run.problem.classes)  # one draw for each class
        self.index = method.draw_real(run.problem, run.streams)  # (K, B)

    def terms(self, groups: Sequence[slice]) -> Iterator[Tensor]:
        """Yield the loss of all classes at once, or term by term: of labels and temperature, then of the groups.

        Args:
            groups: The groups of classes of this process.
        """
        classes, processes = self.run.problem.classes, self.engine.processes
        if processes.size == 1 and len(groups) == 1:
            yield self._loss(self._real(), self._made(slice(0, classes), differentiable=True))
            return
        regression, loss = self._all(max((one.stop - one.start for one in groups), default=classes))
        if processes.leads and len(self.method.learned) > 1:
            yield loss - loss.detach()  # its value is in the shares
        for group in groups:
            yield regression.share_of(self._made(group, differentiable=True), group)

    def _all(self, size: int) -> tuple[Regression, Tensor]:
        """Return the gradient in the embeddings, and the loss as one of labels and temperature; embed in parts."""
        classes = self.run.problem.classes
        parts = [slice(first, first + size) for first in range(0, classes, size)]
        real = self._real(parts)
        made = torch.cat([self._made(part) for part in parts]).requires_grad_()
        loss = self._loss(real, made)
        return Regression.of(loss, real, made), loss

    def _loss(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the loss of embeddings real (K, B, D) and made (K, V, D), ()."""
        method, classes = self.method, self.run.problem.classes
        labels = self.run.synthetic.labels().flatten(0, 1)
        targets = labels if method.label_form == "values" else centred(labels, classes)
        support = made.flatten(0, 1)
        if method.loss == "mse":
            loss = ridge_error(real, support, targets, ridge=method.ridge)
        else:
            sharpness = self.run.state.log_sharpness.exp()
            logits = ridge_predictions(
                real.flatten(0, 1), support, targets, ridge=method.ridge, sharpness=sharpness.to(support.dtype)
            )
            loss = ce(logits, numbers(classes, real.shape[1], real.device)).mean()
        if method.match:
            distance = mean_distance(real.mean(1), made.mean(1), relative=True)
            loss = loss + method.match * balance(loss, distance, made) * distance
        if method.label_form != "hard" and method.margin:
            loss = loss - method.margin * mean_margin(labels)
        return loss.to(made.dtype)

    def _real(self, parts: Sequence[slice] = (slice(None),)) -> Tensor:
        """Return the embeddings of the real images, (K, B, D), some classes at a time."""
        problem = self.run.problem
        if self.method.networks == "frozen":
            features: Tensor = problem.found[_FEATURES]
            return features[self.index.to(features.device)].float()
        with torch.no_grad():
            batches = (self.view[part](problem.real.at(self.index[part])) for part in parts)
            return torch.cat([self.engine.class_embeddings(self.network, batch) for batch in batches])

    def _made(self, group: slice, *, differentiable: bool = False) -> Tensor:
        """Return the embeddings of the synthetic images of some classes, (G, V, D)."""
        with torch.set_grad_enabled(differentiable):
            images = self.run.synthetic(group)
            if self.method.networks != "frozen":  # whose real images are not augmented either
                images = self.view[group](images)
        return self.engine.class_embeddings(self.network, images, differentiable=differentiable)
