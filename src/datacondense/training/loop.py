"""The only loop that trains a network on a set."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from ..augment import Augmentation
from ..data.image_set import Examples
from ..engine.engine import Engine
from ..networks import Network
from ..utils.ranges import Batch, Epochs, Momentum, Rate
from ..utils.streams import Streams
from .cached import named, packed, part, unpack

OnBatch = Callable[[Tensor, Tensor], None]


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained from fresh weights (Zhao, Mopuri & Bilen 2021): cross-entropy, SGD in two phases."""

    epochs: Epochs
    augment: str = "none"
    """As `augment.parse_training` reads it."""
    lr: Rate = 0.01
    """Divided by 10, with the momentum reset, after `first_phase` epochs."""
    momentum: Momentum = 0.9
    weight_decay: float = 5e-4
    batch: Batch = 256
    full_rate: int | None = None
    """Epochs at the full learning rate; None: epochs // 2 + 1."""

    @property
    def first_phase(self) -> int:
        """Epochs at the full learning rate."""
        return self.epochs // 2 + 1 if self.full_rate is None else self.full_rate

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, without a `full_rate` of None: it is younger than many records."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if name != "full_rate" or value is not None}


@final
class Training:
    """The training of one network from fresh weights, epoch by epoch; between two it can be put down and taken up."""

    def __init__(
        self,
        network: Network,
        examples: Examples,
        streams: Streams,
        engine: Engine,
        recipe: Recipe,
        *,
        augment: Augmentation,
    ) -> None:
        self.network = network
        self.examples = examples
        self.streams = streams
        self.engine = engine
        self.recipe = recipe
        self.augment = augment
        self.done = 0
        """Epochs that are done."""
        network.reset(streams("network"))
        self.sgd = self._optimiser()

    def epoch(self, on_batch: OnBatch = lambda index, said: None) -> None:
        """Train for one more epoch. on_batch: as `train_epoch` has it."""
        train_epoch(
            self.network,
            self.examples,
            self.streams.at(self.done + 1),
            self.engine,
            self.sgd,
            augment=self.augment,
            batch=self.recipe.batch,
            on_batch=on_batch,
        )
        self.done += 1
        if self.done == self.recipe.first_phase:
            self.sgd = self._optimiser()

    def state(self) -> dict[str, Tensor]:
        """All that `restore` goes on from: epochs, weights and momenta."""
        return {"epochs": torch.tensor(self.done), **named("network", self.network), **packed("sgd", self.sgd)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken, bit for bit. The state may be shared: it is copied."""
        self.done = int(state["epochs"])
        self.sgd = self._optimiser()
        unpack("sgd", self.sgd, state)
        self.network.load_state_dict(part("network", state))

    def _optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.network.parameters(),
            lr=self.recipe.lr if self.done < self.recipe.first_phase else self.recipe.lr / 10,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )


def train(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    recipe: Recipe,
    *,
    augment: Augmentation,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train from fresh weights as `recipe` says.

    augment: what `recipe.augment` names; it draws anew for every batch. Weights, order and augmentation come from
    `streams`; the network is left in evaluation mode.
    """
    training = Training(network, examples, streams, engine, recipe, augment=augment)
    for _ in range(recipe.epochs):
        training.epoch()
        on_epoch()
    network.eval()


def train_epoch(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    sgd: torch.optim.Optimizer,
    *,
    augment: Augmentation,
    batch: int = 256,
    on_batch: OnBatch = lambda index, said: None,
) -> None:
    """One pass over all examples in random order, in training mode, from the weights that the network has.

    on_batch: told after each step which examples it was made on, (n,), and which class the network said for each, (n,).
    """
    network.train().requires_grad_(True)
    order = torch.randperm(len(examples), generator=streams("order"))
    for step, index in enumerate(order.split(batch)):
        images, labels = examples.batch(index)
        if augment:
            images = augment.per_image(streams.at(step)("augment"), len(index))(images)
        sgd.zero_grad()
        said = engine.add_gradients(network, images, labels)
        sgd.step()
        on_batch(index, said)
