"""Distribution matching (DM), and the distances and the classification that later papers add to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import torch
from msgspec import Meta
from torch import Tensor, nn

from ..data.spec import Spec
from ..engine.execution import Workload
from ..networks import Network
from ..networks.layers import apply_head
from ..synthetic.parameters import Synthetic
from ..utils.errors import InputError
from ..utils.streams import Streams
from ..utils.transfer import sent
from .base import Iteration
from .compared_networks import ComparedNetworks
from .feature_distances import (
    FeatureDistance,
    Features,
    balance,
    characteristic,
    cross_entropies,
    mean_distance,
    mmd,
    scale_by_gradient,
)
from .frequency_sampler import FrequencySampler
from .losses import Step, Updates
from .problem import Problem
from .ridge import Regression, ridge_cross_entropy
from .trained_networks import Compared

_SAMPLER_RATE = 1e-3


@final
@dataclass(frozen=True, kw_only=True)
class DistributionMatching(ComparedNetworks):
    """Match class-mean embeddings under fresh random networks (DM).

    loss = sum_k | mean psi(A(T_k)) - mean psi(A(S_k)) |^2, psi a network without its last layer, drawn anew in every
    iteration, A one augmentation draw per class (Zhao & Bilen, WACV 2023, eq. 4). Networks with BatchNorm embed all
    classes in one forward.

    Options put another distance D, other features psi or a classifying term in its place:
    loss = sum_k D(psi(A(T_k)), psi(A(S_k))) + s_k CE(phi(A(S_k)), k), phi a trained network.
    """

    embeds: ClassVar[bool] = True

    distance: FeatureDistance = "mean"
    """Distance between the embeddings of a class: mean, the published squared distance of the means; mmd, the squared
    maximum mean discrepancy of M3D; cf, the distance of characteristic functions of NCFM."""
    features: Features = "last"
    """What is compared: last, the input of the last layer, as published; attention, where on its map each earlier
    stage of the network is active, as in DataDAM (and the last with weight 0.01)."""
    relative: bool = False
    """Divide the distance of a class by the squared norm of its real mean; for --distance mean."""
    classify: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    """Weight of the cross-entropy of the augmented synthetic images under a trained network; 0, as published, for
    none. It needs --networks trained, blended or queue; an iteration under a fresh network has none."""
    classify_by: Literal["gradient", "loss"] = "gradient"
    """Meaning of that weight: gradient, the norm of the cross-entropy's gradient in the embeddings of a class, over
    that of the distance's; loss, the plain factor on the mean cross-entropy of a class."""
    regress: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    """Weight of the cross-entropy of the real images under ridge regression on the embeddings of the synthetic ones:
    the norm of its gradient in these over that of the distance's; 0, as published, for none. All classes form one
    group."""
    frequencies: Annotated[int, Meta(ge=2, le=2**16)] = 1024
    """Frequencies of the characteristic functions, drawn from N(0, 1) in each iteration; for --distance cf."""
    sampler: bool = False
    """Draw the frequencies by a network that learns to make the distance large, as in NCFM; for --distance cf."""

    @property
    def least_classes(self) -> int:
        """Return 2 if a network or the regression learns to classify, otherwise 1."""
        return 2 if self.regress else super().least_classes

    @property
    def classifies(self) -> bool:
        """Return whether the synthetic images are classified by trained networks."""
        return self.classify > 0

    def check_network(self, network: Network, spec: Spec) -> None:
        """Check that the network has embeddings, and the maps of --features attention."""
        super().check_network(network, spec)
        if self.features == "attention":
            network.embed_with_maps(torch.empty(1, *spec.shape, device="meta"))

    def check(self) -> None:
        """Check the hyper-parameters, as `ComparedNetworks.check` does, and that the options go together."""
        super().check()
        if self.distance != "mean" and self.features == "attention":
            raise InputError(f"--features attention needs --distance mean, not {self.distance}")
        if self.regress and (self.sampler or self.features == "attention"):
            option = "--sampler" if self.sampler else "--features attention"
            raise InputError(f"--regress and {option} exclude each other: leave one of them out")
        if self.sampler and self.networks == "queue":
            raise InputError("--sampler keeps one network and --networks queue many: use other --networks")
        if self.classify and self.features == "attention" and self.classify_by == "gradient":
            raise InputError(
                "--classify-by gradient compares gradients in embeddings, and --features attention has other features: "
                "use --classify-by loss"
            )

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of a distance and of a classifier."""
        characteristic_functions = self.distance == "cf", "--distance cf"
        bases = super().needs()
        return {
            **bases,
            "relative": (self.distance == "mean", "--distance mean"),
            "frequencies": characteristic_functions,
            "sampler": characteristic_functions,
            "classify": (self.networks != "fresh", "--networks trained, blended or queue"),
            "classify_by": (self.classifies, "--classify"),
            "ahead": (self.classifies, "--classify") if self.networks == "trained" else bases["ahead"],
        }

    def workload(self, each: int) -> Workload:
        """Return the workload of forwards of real, and forwards and backwards of synthetic images."""
        once = self.batch_real + 3 * each
        more = 3 * each * bool(self.classify) + (self.batch_real + each) * self.sampler
        return Workload(passes=once + more, real=self.batch_real, synthetic=each)

    def state(self, problem: Problem, streams: Streams) -> nn.Module | None:
        """Return the network that draws frequencies, if there is one."""
        if not self.sampler:
            return super().state(problem, streams)
        network = problem.fresh_network(streams("network")).eval()
        with torch.no_grad():
            width = network.embed(problem.real.batch(torch.zeros(1, dtype=torch.int64))[0]).shape[1]
        return FrequencySampler(width, streams("sampler")).to(problem.engine.device)

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return the optimiser of the images, and SGD for the network that draws frequencies."""
        optimisers = super().optimisers(synthetic, state)
        if isinstance(state, FrequencySampler):
            optimisers["sampler"] = torch.optim.SGD(state.parameters(), lr=_SAMPLER_RATE)
        return optimisers

    def iterate(self, run: Iteration) -> Updates:
        """Yield the distances of the classes, one term for each group of classes; with a sampler, it ascends first."""
        comparison = Comparison(self, run, self.compared(run))
        network, groups = comparison.compared.matching, run.problem.groups
        if self.sampler:
            yield Step(map(comparison.to_maximise, groups(network)), of="sampler", maximise=True)
        parts, classes = groups(network), run.problem.classes
        size = parts[0].stop - parts[0].start if parts else classes
        if self.regress and size < classes:
            comparison.regress_all(size)
        yield map(comparison.to_minimise, parts)


@final
class Comparison:
    """One iteration: its networks, its draws, and the loss of a group of classes."""

    def __init__(self, method: DistributionMatching, run: Iteration, compared: Compared) -> None:
        problem, streams = run.problem, run.streams
        self.method, self.run, self.compared = method, run, compared
        self.engine = problem.engine
        self.classifier = compared.classifying if method.classify else None
        self.view = problem.augment.draw(streams("augment"), problem.classes)  # one draw for each class
        self.index = method.draw_real(problem, streams)  # (K, B)
        self.noise: Tensor | None = None  # (F, D)
        self.regression: Regression | None = None

    def to_minimise(self, group: slice) -> Tensor:
        """Return the loss of some classes, ()."""
        method, engine, network = self.method, self.engine, self.compared.matching
        attention = method.features == "attention"
        if self.regression is not None:
            real = self.regression.real[group]  # (G, B, D)
        elif method.distance == "mean" and not attention and not method.regress:
            real = engine.class_means(network, self._real(group))  # (G, D)
        else:
            real = engine.class_embeddings(network, self._real(group), attention=attention)  # (G, B, D)
        images = self._synthetic(group)
        if real.dim() == 2 and self.classifier is None:
            made = engine.class_means(network, images, differentiable=True)
            return mean_distance(real, made, relative=method.relative)
        made = engine.class_embeddings(network, images, differentiable=True, attention=attention)
        loss = distance = self._distance(real, made)
        if self.classifier is not None:
            loss = loss + self._classification(group, distance, made, images)
        if self.regression is not None:
            return loss + self.regression.share_of(made, group)
        if method.regress:
            error = ridge_cross_entropy(real, made, self.run.synthetic.labels(group))
            loss = loss + method.regress * balance(distance, error, made) * error
        return loss

    def regress_all(self, size: int) -> None:
        """Find the gradient of the regression in the embeddings of all classes, some classes at a time.

        `to_minimise` then adds a term with this gradient to the loss of each group, so one group bounds the memory.

        Args:
            size: The number of classes that are embedded at a time.
        """
        network, classes = self.compared.matching, self.run.problem.classes
        parts = [slice(first, first + size) for first in range(0, classes, size)]
        with torch.no_grad():
            real = torch.cat([self.engine.class_embeddings(network, self._real(part)) for part in parts])
            made = torch.cat([self.engine.class_embeddings(network, self._synthetic(part)) for part in parts])
        made.requires_grad_()
        distance = self._distance(real, made)
        error = ridge_cross_entropy(real, made, self.run.synthetic.labels(slice(None)).detach())
        self.regression = Regression.of(self.method.regress * balance(distance, error, made) * error, real, made)

    def to_maximise(self, group: slice) -> Tensor:
        """Return the distance of some classes, differentiable in the network that draws frequencies alone, ()."""
        network = self.compared.matching
        real = self.engine.class_embeddings(network, self._real(group))
        with torch.no_grad():
            images = self._synthetic(group)
        made = self.engine.class_embeddings(network, images)
        return characteristic(real, made, self._frequencies(made))

    def _real(self, group: slice) -> Tensor:
        return self.view[group](self.run.problem.real.at(self.index[group]))

    def _synthetic(self, group: slice) -> Tensor:
        return self.view[group](self.run.synthetic(group))

    def _distance(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the distance, of embeddings made (G, n, D), and real (G, B, D) or their means (G, D)."""
        if self.method.distance == "mmd":
            return mmd(real, made)
        if self.method.distance == "cf":
            return characteristic(real, made, self._frequencies(made).detach())
        means = real if real.dim() == 2 else real.mean(1)
        return mean_distance(means, made.mean(1), relative=self.method.relative)

    def _frequencies(self, embeddings: Tensor) -> Tensor:
        """Return the frequencies of this iteration, (F, D)."""
        if self.noise is None:
            shape = self.method.frequencies, embeddings.shape[2]
            self.noise = sent(torch.randn(shape, generator=self.run.streams("frequencies")), embeddings.device)
        noise = self.noise.to(embeddings.dtype)
        return self.run.state(noise) if self.method.sampler else noise

    def _classification(self, group: slice, matching: Tensor, made: Tensor, images: Tensor) -> Tensor:
        """Return the weighted cross-entropies of some classes, ()."""
        network, method = self.classifier, self.method
        assert network is not None
        if network is not self.compared.matching or method.features == "attention":
            embeddings = self.engine.class_embeddings(network, images, differentiable=True)
        else:
            embeddings = made
        logits = apply_head(network.head, embeddings)  # (G, n, K)
        losses = cross_entropies(logits, self.run.synthetic.labels(group))
        if method.classify_by == "loss":
            return method.classify * losses.sum()
        return method.classify * (scale_by_gradient(matching, made, losses, embeddings) * losses).sum()
