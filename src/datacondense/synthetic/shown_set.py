"""A synthetic set as people see it: a line, a summary, a picture."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..data.spec import Spec
from ..drawing.shown import ShownSet, size_text, spec_facts
from ..utils.timing import duration
from .provenance import Provenance

if TYPE_CHECKING:
    from PIL.Image import Image


class ShownSyntheticSet(ShownSet):
    """Base of `SyntheticSet`: what it says and draws of itself."""

    images: Tensor
    labels: Tensor
    spec: Spec
    provenance: Provenance

    @property
    @abstractmethod
    def soft(self) -> bool: ...

    @property
    @abstractmethod
    def classes(self) -> Tensor: ...

    @property
    @abstractmethod
    def per_class(self) -> str: ...

    @property
    @abstractmethod
    def seconds(self) -> float | None: ...

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]: ...

    @property
    def _line(self) -> str:
        method = f" by {self.provenance.method}" if self.provenance.method else ""
        soft = ", soft labels" if self.soft else ""
        count = f"{len(self.labels)} images, {self.spec.classes} classes, {self.per_class} per class"
        return f"{self.spec.name!r}{method}, {count}, {size_text(self.spec.shape)}{soft}"

    def _repr_html_(self) -> str:
        return self._as_html(self.spec.classes)

    def _facts(self) -> dict[str, str]:
        """Return what the set is, where it comes from and what it takes, as name -> text."""
        made = self.provenance
        settings = ", ".join(f"{name} {value}" for name, value in made.settings.items() if value is not None)
        found = {
            "method": made.method or "unknown",
            "settings": settings,
            "data": self.spec.name,
            "images": f"{len(self.labels)}, {self.per_class} of each class",
            **spec_facts(self.spec.class_names, self.spec.shape),
            "labels": "a number for each class" if self.soft else "one class each",
            "stored": f"{sum(one.nbytes for one in self.tensors().values()):,} bytes",
            "iterations": "" if made.iterations_done is None else str(made.iterations_done),
            "seed": "" if made.seed is None else str(made.seed),
            "time": "" if self.seconds is None else duration(self.seconds),
            "machine": made.machine or "",
        }
        return {name: text for name, text in found.items() if text}

    def show(self, *, classes: Sequence[int] | None = None, per_class: int | None = None) -> "Image":
        """Draw the first images of each class, as a picture of Pillow, which a notebook displays.

        Args:
            classes: The classes to draw, in that order; by default all.
            per_class: Images of each class, 10 by default.
        """
        from ..drawing.grid import draw_classes

        chosen = range(self.spec.classes) if classes is None else classes
        return draw_classes(
            self.spec,
            chosen,
            [(self.classes == k).nonzero()[:, 0] for k in chosen],
            [lambda _, index: self.spec.pixels(self.images[index])],
            per_class=per_class,
            soft=self.labels if self.soft else None,
        )
