"""Objects that say in one line what they are, and draw themselves in a notebook."""

import base64
import html
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..utils.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

_CLASSES = 20  # of a picture in a notebook
_WIDTH = 100  # characters of a line of a summary
_NAMED = 10  # classes in a summary


class Summary(str):
    """Lines of text that Python shows as they are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ShownSet(ABC):
    """Base of sets of images: a short text of itself, and a picture of its images."""

    @abstractmethod
    def _facts(self) -> dict[str, str]:
        """Return what the set is, as name -> text."""

    @abstractmethod
    def show(self, *, classes: Sequence[int] | None = None, per_class: int | None = None) -> "Image":
        """Draw the first images of each class.

        Args:
            classes: The classes to draw, in that order; by default all.
            per_class: Images of each class, 10 by default.

        Returns:
            A picture of Pillow, which a notebook displays.
        """

    @property
    @abstractmethod
    def _line(self) -> str:
        """The set in one line."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({printable(self._line)})"

    def summary(self) -> Summary:
        """Return what the set is, where it comes from and what it takes, a fact a line."""
        facts = self._facts()
        width = max(map(len, facts))
        lines = [
            textwrap.fill(
                printable(text), _WIDTH, initial_indent=f"{name:<{width}}  ", subsequent_indent=" " * (width + 2)
            )
            for name, text in facts.items()
        ]
        return Summary("\n".join(lines))

    def plot(self, *, classes: Sequence[int] | None = None, per_class: int | None = None) -> "Figure":
        """Draw the picture of `show` as a figure of Matplotlib.

        Args:
            classes: As in `show`.
            per_class: As in `show`.

        Returns:
            A figure that a notebook displays, to be saved with `savefig`.
        """
        from .chart import picture_chart

        return picture_chart(self.show(classes=classes, per_class=per_class))

    def _shown_classes(self, count: int) -> range:
        return range(min(count, _CLASSES))

    def _as_html(self, count: int) -> str:
        """Return the line, and the picture of the first of `count` classes."""
        from .png_codec import to_png

        shown = self._shown_classes(count)
        data = base64.b64encode(to_png(self.show(classes=shown))).decode()
        more = f"<p>the first {len(shown)} of {count} classes</p>" if len(shown) < count else ""
        return f'<p>{html.escape(repr(self))}</p><img alt="images" src="data:image/png;base64,{data}"/>{more}'


def size_text(shape: Sequence[int]) -> str:
    """Return the shape of an image as text: 3x32x32 is (C, H, W)."""
    return "x".join(map(str, shape))


def spec_facts(class_names: Sequence[str], shape: Sequence[int]) -> dict[str, str]:
    """Return classes and shape of a data set as name -> text, for a summary."""
    names = ", ".join(class_names[:_NAMED]) + (", ..." if len(class_names) > _NAMED else "")
    return {"classes": f"{len(class_names)}: {names}", "shape": f"{size_text(shape)} (channels x height x width)"}


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table as HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(printable(str(value)))}</td>' for value in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
