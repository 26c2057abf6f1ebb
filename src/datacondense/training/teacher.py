"""Teachers: trained networks whose class probabilities become labels of other images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.image_set import ImageSet
from ..engine.engine import Engine, equal_part
from ..networks import Network
from ..networks.layers import at_least_float32
from ..utils.errors import InputError
from ..utils.ranges import Temperature, check_arguments

_ASKED = 2000  # real images, the same number of each class, on which a teacher is tried
_TIMES_CHANCE = 3


@final
@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network that gives images soft labels."""

    network: nn.Module
    """Frozen, in evaluation mode, on the device of the engine: normalised images (N, C, H, W) -> logits (N, K)."""
    engine: Engine
    classes: int
    """The number of classes, K."""
    made: Mapping[str, Any]
    """The source of its weights, as JSON values: `teacher` is real, file, run or module."""

    def probabilities(self, images: Tensor, temperature: Temperature = 1.0) -> Tensor:
        """Return softmax(logits / T) of each image: its soft label.

        Args:
            images: Normalised images (N, C, H, W).
            temperature: T; a higher one gives labels that are more alike.

        Returns:
            Probabilities, float32 (N, K), on the device of the engine.

        Raises:
            InputError: The network gives no logits of the K classes.
        """
        check_arguments(Teacher.probabilities, temperature=temperature)
        return (self._logits(images.to(self.engine.device)) / temperature).softmax(1)

    def settings(self) -> dict[str, Any]:
        """Return the source of the weights as JSON values, for the provenance of what it labels."""
        return dict(self.made)

    def accuracy(self, real: ImageSet) -> float:
        """Return the mean over classes of the accuracy on some real images, at most 2000 in all."""
        most = max(_ASKED // self.classes, 1)
        parts = [
            members[torch.linspace(0, int(count) - 1, min(int(count), most)).long()]
            for members, count in zip(real.members, real.counts, strict=True)
            if count
        ]
        images, labels = real.batch(torch.cat(parts))
        right = (self._logits(images.to(self.engine.device)).argmax(1).cpu() == labels.cpu()).double()
        of_classes = torch.split(right, [len(part) for part in parts])
        return float(torch.stack([one.mean() for one in of_classes]).mean())

    def check_classes(self, real: ImageSet, name: str) -> None:
        """Check that the teacher knows the classes of real images, in their order.

        Its accuracy must be at least three times chance; of fewer than five classes, halfway from chance to 100 %.

        Args:
            real: Real images, of the classes that are to be labelled.
            name: The teacher, for the message.

        Raises:
            InputError: The accuracy is lower.
        """
        chance, found = 1 / self.classes, self.accuracy(real)
        if found < min(_TIMES_CHANCE * chance, (1 + chance) / 2):
            raise InputError(
                f"the teacher {name} classifies {found:.1%} of the images of {real.spec.name} correctly, where chance "
                f"is {chance:.1%}: its classes have another order, or it learned other images or another normalisation"
            )

    @torch.no_grad()
    def _logits(self, images: Tensor) -> Tensor:
        """Return the logits of images on the device, float32 (N, K), in chunks of equal size."""
        function = self.network.fused_forward if isinstance(self.network, Network) else self.network
        size, found = equal_part(len(images), self.engine.execution.chunk), list[Tensor]()
        for some in torch.split(images, size):
            padded = F.pad(some, (0, 0) * 3 + (0, size - len(some)))  # compiled code has one shape
            found.append(at_least_float32(self.engine.call(function, padded))[: len(some)])
        logits = torch.cat(found)
        if logits.shape != (len(images), self.classes):
            shapes = f"{tuple(logits.shape)}, expected {(len(images), self.classes)}"
            raise InputError(f"the teacher gives logits of shape {shapes}: name a network of these classes")
        return logits


@final
@dataclass(frozen=True)
class OnlineTeacher:
    """A teacher that labels each training batch of other networks, as augmented and mixed: a `Relabel`."""

    teacher: Teacher
    temperature: float = 1.0
    """Number that divides its logits."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return the probabilities of normalised images (n, C, H, W), (n, K)."""
        return self.teacher.probabilities(images, self.temperature)

    def settings(self) -> dict[str, Any]:
        """Return teacher and temperature as JSON values."""
        return {**self.teacher.settings(), "temperature": self.temperature}
