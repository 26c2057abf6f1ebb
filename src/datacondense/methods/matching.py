"""Base of the methods that optimise images, so that synthetic and real images look alike to networks."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from msgspec import Meta
from torch import Tensor, nn

from ..data.spec import Spec
from ..synthetic.decoders import DECODERS, Decoder, PixelDecoder
from ..synthetic.parameters import Decoded, Pixels, Synthetic, noise
from ..synthetic.set import SyntheticSet
from ..synthetic.stored import Encoded, Store, options_of
from ..utils.errors import InputError, unknown
from ..utils.ranges import Batch, Iterations, Momentum, Rate, Tiles
from ..utils.streams import Streams
from .base import Method
from .kmeans import representatives
from .problem import Problem
from .real_batches import Batches, Strata, stratify
from .small_classes import image_classes, images_from, jitter_copies

InitialImages = Literal["real", "kmeans", "noise"]
Schedule = Literal["constant", "cosine"]

_SQUARES = 0.99  # Adam's memory of squared gradients; there are hundreds of updates, not thousands
_LAST_RATE = 0.01  # of a learning rate that falls on a cosine
_COMPRESSED = 16  # pixels for each coefficient
_STRATA = "strata"  # key of what is found before the first iteration


@dataclass(frozen=True, kw_only=True)
class Matching(Method):
    """A method that moves images by gradients until synthetic and real images look alike to networks."""

    trains_networks: ClassVar[bool] = False
    """True if the method can choose the real images of an update under its networks, for `batches="dream"`."""

    iterations: Iterations = 20_000
    """Iterations; each draws a fresh network."""
    lr: Rate = 1.0
    """Learning rate of the images."""
    schedule: Schedule = "constant"
    """Learning rate over the iterations: constant, as published, or cosine (down to a hundredth on half a cosine)."""
    adam: bool = False
    """Optimise the images with Adam instead of the published SGD: each pixel moves by about the learning rate."""
    momentum: Momentum = 0.5
    """Momentum of the images, in SGD or Adam."""
    batch_real: Batch = 256
    """Real images of each class per update, B."""
    init: InitialImages = "real"
    """Initial images: random real images, the real images nearest to the centres of k-means, or N(0, 1) noise."""
    form: str = "pixels"
    """Stored form of the images: pixels; tiles, several training images in each stored image; dct, some coefficients of
    each training image; or a decoder of a plugin."""
    factor: Tiles = 2
    """Training images along each side of a stored image, for --form tiles."""
    coefficients: Annotated[int, Meta(ge=1, le=2**24)] | None = None
    """Stored coefficients of each channel of a training image, for --form dct; by default a sixteenth of its pixels."""
    store: Store = "f32"
    """Number format of the stored tensors: f32, f16, or u8, 8 bits. What is evaluated is what is stored."""
    batches: Batches = "uniform"
    """Real images of an update: uniform draws; stratified, one of each of `batch_real` equal parts of a class that hold
    images of like pixels; or, for dc and dsa, dream: those nearest to the centres of clusters of embeddings."""
    average: Momentum = 0.0
    """Decay of the moving average of the stored tensors, which is the result in place of their last values; 0 for none.
    After t updates it is at most (1 + t) / (10 + t)."""
    clamp: bool = False
    """Clamp stored pixels to the range of pixels after each update, for --form pixels or tiles."""

    def check(self) -> None:
        """Check the hyper-parameters, as `Method.check` does, and the name of the form."""
        if self.form not in DECODERS:
            raise unknown("form", self.form, DECODERS, plugins=True)
        super().check()
        if self.batches == "dream" and not self.trains_networks:
            raise InputError("--batches dream needs networks that are trained, as dc and dsa have: use stratified")

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of a form."""
        form = DECODERS[self.form]
        return {
            **super().needs(),
            "factor": ("factor" in options_of(form), "--form tiles"),
            "coefficients": ("coefficients" in options_of(form), "--form dct"),
            "clamp": (bool(form.pixels), "--form pixels or tiles"),
        }

    def decoder(self, spec: Spec) -> Decoder:
        """Return the decoder that `form` names, with those settings that it takes."""
        cls = DECODERS[self.form]
        pixels = spec.shape[1] * spec.shape[2]
        settings = {"factor": self.factor, "coefficients": self.coefficients or max(pixels // _COMPRESSED, 1)}
        return cls(**{name: value for name, value in settings.items() if name in options_of(cls)})

    def views(self, spec: Spec) -> int:
        """Return the training images that are decoded from a stored image."""
        return self.decoder(spec).views(spec)

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the initial images that `init` names, V = ipc * views of each class, in the stored form."""
        return self._prepared(self._initial(problem, streams), problem, streams)

    def _initial(self, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images of `start` as they are without the options of updates."""
        each = problem.ipc * self.views(problem.spec)
        shape = (problem.classes, each, *problem.spec.shape)
        if problem.resumed:
            return self._encoded(torch.zeros(shape, device=problem.engine.device), problem)
        if self.init == "real":
            return self._encoded(problem.first_images(streams, each), problem)
        if self.init == "kmeans":
            agreed = problem.engine.processes.agreed  # each process might add in another order
            index = agreed(lambda: representatives(problem.real, each, streams("init"), problem.report))
            images = jitter_copies(problem.real.at(index), problem.real.counts, streams("jitter"))
            return self._encoded(images, problem)
        return self._encoded(noise(shape, streams("init"), problem.engine.device), problem)

    def start_from(self, start: SyntheticSet, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images of a finished set as initial images; its stored tensors if they have this form."""
        return self._prepared(self._initial_from(start, problem, streams), problem, streams)

    def _initial_from(self, start: SyntheticSet, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images of `start_from` as they are without the options of updates."""
        decoder, stored = self.decoder(problem.spec), start.stored
        if start.soft:
            warnings.warn("the set to start from has soft labels: the run begins with its classes", stacklevel=2)
        even = bool((start.stored_counts == problem.ipc).all())
        if even and isinstance(stored, Encoded) and stored.decoder == decoder:
            tensors = stored.decodable()
            by_class = start.stored_classes.cpu().argsort(stable=True)
            for name in decoder.optimised:
                rows = tensors[name].flatten(0, 1)
                rows = rows[by_class] if len(rows) == len(by_class) else rows  # those of dct are by class already
                tensors[name] = rows.reshape(problem.classes, -1, *rows.shape[1:])
            moved = {name: tensor.to(problem.engine.device) for name, tensor in tensors.items()}
            return Decoded(decoder, moved, problem.spec, self.store)
        each = problem.ipc * decoder.views(problem.spec)
        images = start.images.to(problem.engine.device)
        return self._encoded(images_from(images, image_classes(start), problem.real, each, streams("init")), problem)

    def _encoded(self, images: Tensor, problem: Problem) -> Synthetic:
        """Return images (K, V, C, H, W) in the stored form."""
        decoder = self.decoder(problem.spec)
        if isinstance(decoder, PixelDecoder) and self.store == "f32":
            return Pixels(images)
        return Decoded(decoder, decoder.encode(images, problem.real), problem.spec, self.store)

    def _prepared(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Synthetic:
        """Return the images with the options of updates on; order the real images for stratified batches."""
        if self.clamp:
            synthetic.keep_in_range(problem.spec)
        if self.average:
            synthetic.keep_average(self.average)
        if self.batches == "stratified":
            agreed = problem.engine.processes.agreed  # each process might add in another order
            made = agreed(lambda: stratify(problem.real, self.batch_real, streams("strata"), problem.report))
            problem.found[_STRATA] = made
        return synthetic

    def draw_real(self, problem: Problem, streams: Streams) -> Tensor:
        """Draw the real images of an update, uniform or stratified.

        Args:
            problem: The problem for which the images were started.
            streams: Draws the images.

        Returns:
            Positions int64 (K, B), on the CPU.
        """
        if self.batches == "stratified":
            strata: Strata = problem.found[_STRATA]
            return strata.draw(self.batch_real, streams("real"))
        return problem.real.draw(self.batch_real, streams("real"))

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        """Return SGD with momentum, or Adam, as the optimiser of the images."""
        images = synthetic.image_parameters()
        if self.adam:
            return {"images": torch.optim.Adam(images, lr=self.lr, betas=(self.momentum, _SQUARES))}
        return {"images": torch.optim.SGD(images, lr=self.lr, momentum=self.momentum)}

    def rate(self, done: float) -> float:
        """Return 1, or 0.01 + 0.99 (1 + cos(pi done)) / 2 on the cosine schedule."""
        if self.schedule == "constant":
            return 1.0
        return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
