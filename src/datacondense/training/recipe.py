"""The recipe of training: epochs, batch, augmentation, loss, optimiser and learning-rate schedule."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast, final

from msgspec import Meta

from ..augment.mix import Mix, MixKind
from ..engine.losses import LOSSES, Criterion, criterion
from ..utils.errors import DamagedFile, DataNotFound, InputError, naming, unknown
from ..utils.files import read_json
from ..utils.ranges import Batch, Epochs, Iterations, Momentum, Penalty, Rate, Share, check_fields
from ..utils.registry import check_name
from ..utils.schema import check
from . import schedule
from .optimiser import OptimiserKind
from .schedule import Schedule


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The training of a network from fresh weights.

    The defaults are the published ones (Zhao, Mopuri & Bilen 2021): cross-entropy, SGD in two phases.
    """

    epochs: Epochs
    """Training epochs."""
    augment: str = "none"
    """Augmentation of training images: auto, dsa, dc, none, or strategies such as color_crop or dc:crop_noise."""
    lr: Rate = 0.01
    """Largest learning rate."""
    momentum: Momentum = 0.9
    """Momentum of SGD; decay of the mean gradient in Adam and AdamW."""
    weight_decay: Penalty = 5e-4
    """Weight decay: added to the gradient by SGD and Adam, decoupled from it in AdamW."""
    batch: Batch = 256
    """Images in a step."""
    full_rate: Annotated[int, Meta(ge=0, le=10**6)] | None = None
    """Epochs at the full learning rate, for the schedule step; by default epochs // 2 + 1."""
    optimiser: OptimiserKind = "sgd"
    """Optimiser of the weights: sgd, adam or adamw."""
    schedule: Schedule = "step"
    """Learning rate over the steps: step divides it by 10, and starts the optimiser afresh, after `full_rate` epochs;
    cosine lets it fall to 0 along half a cosine; constant keeps it."""
    warm_up: Iterations = 0
    """First steps, in which the learning rate rises linearly."""
    loss: str = "ce"
    """Loss, a name in `LOSSES`: ce (cross-entropy), kl or mse, of hard labels and of soft ones."""
    temperature: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    """Temperature that divides the logits in the loss."""
    mix: MixKind = "none"
    """Mixing of the images and labels of a batch: none, mixup or cutmix."""
    mix_probability: Share = 0.5
    """Share of the batches that are mixed."""
    mix_beta: Rate = 1.0
    """Parameter of the Beta distribution of the mixing share."""
    ema: Momentum = 0.0
    """Decay of the moving average of the weights, which is tested in place of the last weights; 0 for none. At step t
    it is at most (1 + t) / (10 + t)."""

    @property
    def first_phase(self) -> int:
        """Epochs at the full learning rate, for the schedule step."""
        return schedule.first_phase(self.epochs) if self.full_rate is None else self.full_rate

    @property
    def criterion(self) -> Criterion:
        """The loss at the temperature; one object for equal recipes."""
        return criterion(LOSSES[self.loss], self.temperature)

    @property
    def mixing(self) -> Mix:
        """The mixing of batches."""
        return Mix(self.mix, self.mix_probability, self.mix_beta)

    def shortened(self, share: float) -> "Recipe":
        """Return the recipe with this share of the epochs, at least one, as large a part of them at the full rate."""
        full_rate = None if self.full_rate is None else max(1, round(self.full_rate * share))
        return dataclasses.replace(self, epochs=max(1, round(self.epochs * share)), full_rate=full_rate)

    def check(self) -> None:
        """Check the values, whether they fit one another, and the name of the loss. Raise InputError otherwise."""
        self.check_values()
        if self.loss not in LOSSES:
            raise InputError(f"{unknown('loss', self.loss, LOSSES)}; or name the file that defines it with --plugin")

    def check_values(self) -> None:
        """Check as `check` does, except that the loss may be that of a plug-in that is not loaded."""
        check_fields(self)
        check_name("loss", self.loss)
        if self.mix != "none" and self.loss == "mse":
            raise InputError(
                f"the loss mse does not fit --mix {self.mix}, whose labels are probabilities: use ce or kl"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, without those that are None or as in every recipe of older records."""
        fields = dataclasses.asdict(self)
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if name in _ALWAYS or value != usual[name]}

    @classmethod
    def from_json(cls, value: Any) -> "Recipe":
        """Return the inverse of `to_json`. The loss may be that of a plug-in: `check` looks it up.

        Raises:
            DamagedFile: A field is unknown, missing, of another type or out of range; the message names it.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in cast("dict[str, Any]", value) if isinstance(value, dict) else ():
            if name not in known:
                raise DamagedFile(f"a recipe has no field {name[:100]!r}: use some of {', '.join(known)}")
        recipe = check(cast("object", value), cls, "the recipe is damaged")
        try:
            recipe.check_values()
        except InputError as error:
            raise DamagedFile(f"the recipe is damaged: {error}") from None
        return recipe


_ALWAYS = frozenset({"epochs", "augment", "lr", "momentum", "weight_decay", "batch"})
"""Fields that every record holds."""


def read_recipe(path: str | Path) -> Recipe:
    """Return the recipe in a JSON file, as `Recipe.to_json` gives it. Raises InputError, naming the file."""
    path = Path(path)
    if not path.is_file():
        raise DataNotFound(f"--recipe {path}: there is no such file: use own, published, or a JSON file of a recipe")
    value = read_json(path)
    with naming(path):
        return Recipe.from_json(value)
