"""Train fresh networks on a set and count their predictions: side by side if that is faster and fits into memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import torch
from torch import Tensor

from ..augment import Augmentation, parse_training
from ..data.image_set import Examples, ImageSet
from ..engine.engine import Engine
from ..engine.execution import networks_at_once
from ..engine.out_of_memory import is_out_of_memory, release_memory
from ..networks import Network, build
from ..synthetic.set import SyntheticSet
from ..training.ensemble import BatchedNetwork, train_ensemble
from ..training.loop import Relabel, train
from ..training.recipe import Recipe
from ..utils.streams import Streams

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""Normalised images (N, C, H, W) -> predicted classes (S, N), of S networks."""
TEST_BATCH = 2000  # images normalised at a time; bounds memory, not the chunk of a forward


@final
@dataclass(frozen=True, kw_only=True)
class TrainAndTest:
    """Training and test of networks of one architecture on one set."""

    arch: str
    network: Network
    """Provides the architecture and the compiled code of all networks."""
    examples: Examples
    test: Examples
    engine: Engine
    recipe: Recipe
    augment: Augmentation
    relabel: Relabel | None = None
    """Gives the labels of each training batch."""

    @classmethod
    def of(
        cls,
        arch: str,
        recipe: Recipe,
        examples: SyntheticSet | ImageSet,
        test: ImageSet,
        engine: Engine,
        relabel: Relabel | None = None,
    ) -> "TrainAndTest":
        """Build the network, and move it and the images to the device of the engine."""
        return cls(
            arch=arch,
            network=engine.prepare(build(arch, test.spec)),
            examples=examples.to(engine.device),
            test=test.to(engine.device),
            engine=engine,
            recipe=recipe,
            augment=parse_training(recipe.augment, test.spec, arch),
            relabel=relabel,
        )

    def confusions(self, streams: Sequence[Streams], on_epoch: Callable[[], None]) -> Iterator[Tensor]:
        """Train and test a network for each of `streams`; yield their confusion matrices, int64 (K, K), one by one.

        Row: class of a test image; column: predicted class.

        on_epoch: called after each epoch, once for each network. If memory does not suffice, fewer networks train at a
            time, then in smaller chunks; the epochs of a network that starts again are reported once.
        """
        engine, epochs, most = self.engine, _Epochs(on_epoch), self.side_by_side
        done = 0
        while done < len(streams):
            some = streams[done : done + most]
            epochs.begin(done * self.recipe.epochs)
            try:
                results = self.count(self.train(some, epochs), len(some))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or (len(some) == 1 and not self._shrink()):
                    raise
            else:
                yield from results
                done += len(results)
                continue
            most = (len(some) + 1) // 2
            release_memory(engine.device)

    def _shrink(self) -> bool:
        """Take smaller chunks from now on. Return False if they are minimal, or training takes the whole batch."""
        before = self.engine.execution.chunk
        return not self.network.batch_statistics and self.engine.shrink() and self.engine.execution.chunk < before

    @property
    def side_by_side(self) -> int:
        """The most networks that train side by side."""
        batch = min(self.recipe.batch, len(self.examples))
        return networks_at_once(self.engine.execution, self.arch, self.test.spec, batch)

    def train(self, streams: Sequence[Streams], on_epoch: Callable[[], None]) -> Predict:
        """Train a network for each of `streams` side by side; return the function that predicts by them."""
        if len(streams) == 1:
            train(
                self.network,
                self.examples,
                streams[0],
                self.engine,
                self.recipe,
                augment=self.augment,
                on_epoch=on_epoch,
                relabel=self.relabel,
            )
            return lambda images: self.engine.predict(self.network, images)[None]
        stack = train_ensemble(
            self._form,
            self.examples,
            streams,
            self.engine,
            self.recipe,
            augment=self.augment,
            on_epoch=on_epoch,
            relabel=self.relabel,
        )
        return stack.predict

    @cached_property
    def _form(self) -> BatchedNetwork:
        return BatchedNetwork(self.network, self.recipe.criterion)

    def count(self, predict: Predict, nets: int) -> list[Tensor]:
        """Test trained networks; return the confusion matrix of each, int64 (K, K)."""
        classes = self.test.spec.classes
        counts = torch.zeros(nets, classes**2, dtype=torch.int64)
        for index in torch.arange(len(self.test)).split(TEST_BATCH):
            images, labels = self.test.batch(index)
            pairs = (labels * classes + predict(images)).cpu()  # (S, N)
            counts += torch.stack([torch.bincount(one, minlength=classes**2) for one in pairs])
        return list(counts.unflatten(1, (classes, classes)))


@final
class _Epochs:
    """Counter that reports each epoch once, even if networks start again because memory did not suffice."""

    def __init__(self, report: Callable[[], None]) -> None:
        self.report = report
        self.done = 0
        self.reported = 0

    def begin(self, done: int) -> None:
        """Continue from `done` epochs, which may be fewer than before."""
        self.done = done

    def __call__(self) -> None:
        self.done += 1
        if self.done > self.reported:
            self.reported = self.done
            self.report()
