"""Place the names, headings and images of a picture, and draw them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, final

from PIL import Image, ImageDraw
from torch import Tensor

from .png_codec import to_image
from .soft_labels import LARGEST
from .text import SIZE, Caption, caption

_IMAGE, _GAP, _MARGIN, _LINE, _NAME = 64, 4, 12, SIZE + 8, 180  # pixels; an image, a line of text, the widest name
_SMALL, _LABELLED = 12, 104  # pixels; a line of labels, and an image above such lines
_ASPECT = 1.5  # target ratio of width to height, reached by setting classes side by side
_MAX_PIXELS = 25_000_000  # of a picture


class Named(Protocol):
    """Whatever has names of classes: the Spec of a data set."""

    @property
    def class_names(self) -> tuple[str, ...]: ...


Labels = Sequence[tuple[str, int, str]]
"""Name and number of a class, and the value of its label as text; the largest first."""


@final
@dataclass(frozen=True)
class PictureLayout:
    """A block for each class, in columns read downwards: its name and, right of it, groups of its images.

    Groups lie side by side, each under its heading, or below each other, each right of its heading. The layout
    does not depend on the images, so all pictures of an animation share it.
    """

    names: tuple[Caption, ...]
    headings: tuple[Caption, ...]
    """One for each group, above it in every column, or left of it; empty headings take no room."""
    stacked: bool
    """True if groups lie below each other."""
    count: int
    """Images of a class in each group."""
    in_a_row: int
    """Images of a group side by side."""
    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    title: Caption
    """The widest title of all pictures; an empty one takes no room."""
    zoom: int
    labelled: bool = False
    """True if the largest labels of each image stand below it."""

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of an image."""
        _, h, w = self.shape
        return w * self.zoom, max(h * self.zoom, SIZE)

    @property
    def label_width(self) -> int:
        """Width of the labels of an image."""
        return max(self.picture_size[0], _LABELLED)

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of an image, its labels and the gap after it."""
        width, height = self.picture_size
        if self.labelled:
            return self.label_width + 3 * _GAP, height + LARGEST * (_SMALL + 2) + 2 * _GAP
        return width + _GAP, height + _GAP

    @cached_property
    def names_width(self) -> int:
        """Width of the widest name."""
        return math.ceil(max(name.width for name in self.names))

    @cached_property
    def groups(self) -> list[tuple[int, int, int]]:
        """Left and top edge, relative to the block, and width of each group."""
        x = self.names_width + _MARGIN
        if self.stacked:
            x += math.ceil(max(heading.width for heading in self.headings)) + _MARGIN
            width, height = self.in_a_row * self.image_size[0], self.lines * self.image_size[1]
            return [(x, number * height, width) for number in range(len(self.headings))]
        found = []
        for heading in self.headings:
            width = max(self.in_a_row * self.image_size[0], math.ceil(heading.width) + 2 * _GAP)
            found.append((x, 0, width))
            x += width + (_GAP if self.in_a_row == 1 else _MARGIN)
        return found

    @property
    def lines(self) -> int:
        """Lines of images in a group."""
        return math.ceil(self.count / self.in_a_row)

    @cached_property
    def block(self) -> tuple[int, int]:
        """Width and height of a block and of the gap after it."""
        lines = self.lines * (len(self.headings) if self.stacked else 1)
        x, _, width = self.groups[-1]
        return x + width + _MARGIN, lines * self.image_size[1] + (2 * _GAP if lines > 1 else 0)

    @cached_property
    def rows(self) -> int:
        """Blocks in a column."""
        width, height = self.block
        columns = max(round(math.sqrt(_ASPECT * len(self.names) * height / width)), 1)
        return math.ceil(len(self.names) / columns)

    @property
    def top(self) -> int:
        """Top edge of the first blocks."""
        has_headings = not self.stacked and any(heading.text for heading in self.headings)
        return _MARGIN + _LINE * (bool(self.title.text) + has_headings)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        columns = math.ceil(len(self.names) / self.rows)
        width = max(self.block[0] * columns, math.ceil(self.title.width) + _MARGIN) + _MARGIN
        return width, self.top + self.rows * self.block[1] + _MARGIN

    @property
    def fits(self) -> bool:
        """The picture has no more than 25 million pixels."""
        return math.prod(self.size) <= _MAX_PIXELS

    def draw(
        self, groups: Sequence[Sequence[Tensor]], title: str = "", labels: Sequence[Sequence[Labels]] = ()
    ) -> Image.Image:
        """Draw a picture, grey for C = 1.

        Args:
            groups: groups[g][k] are uint8 images (n, C, H, W) of class k in group g.
            title: Of the picture.
            labels: labels[k][i] stand below image i of class k in the first group, if the layout is labelled.
        """
        canvas = Image.new("L" if self.shape[0] == 1 else "RGB", self.size, "white")
        draw = ImageDraw.Draw(canvas)
        draw.text((_MARGIN, _MARGIN), title, fill="black", font=self.title.font)
        middle = self.picture_size[1] / 2
        for k, name in enumerate(self.names):
            x, y = self.corner(k)
            draw.text((x + self.names_width, y + middle), name.text, fill="black", font=name.font, anchor="rm")
            for g, ((left, down, width), heading) in enumerate(zip(self.groups, self.headings, strict=True)):
                if self.stacked:
                    place = x + left - _MARGIN, y + down + middle
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="rm")
                elif k % self.rows == 0:
                    place = x + left + (width - _GAP) / 2, self.top - _LINE / 2
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="mm")
                for index, pixels in enumerate(groups[g][k]):
                    canvas.paste(_enlarged(pixels, self.zoom), self.place(k, g, index))
        if self.labelled:
            for k, of_class in enumerate(labels):
                for index, of_image in enumerate(of_class):
                    self._draw_labels(draw, of_image, self.place(k, 0, index))
        return canvas

    def corner(self, k: int) -> tuple[int, int]:
        """Left and top edge of the block of class k."""
        return _MARGIN + k // self.rows * self.block[0], self.top + k % self.rows * self.block[1]

    def place(self, k: int, group: int, index: int) -> tuple[int, int]:
        """Left and top edge of an image of class k in a group."""
        (x, y), (left, down, width), (image_w, image_h) = self.corner(k), self.groups[group], self.image_size
        row, column = divmod(index, self.in_a_row)
        return x + left + (width - self.in_a_row * image_w) // 2 + column * image_w, y + down + row * image_h

    def _draw_labels(self, draw: ImageDraw.ImageDraw, labels: Labels, image: tuple[int, int]) -> None:
        """Draw lines below the image at a place: names on the left, numbers on the right."""
        left, top = image[0], image[1] + self.picture_size[1] + _GAP + _SMALL / 2
        for line, (name, number, text) in enumerate(labels):
            y, value = top + line * (_SMALL + 2), caption(text, size=_SMALL)
            shown = caption(name, number, width=self.label_width - value.width - _GAP, size=_SMALL)
            draw.text((left, y), shown.text, fill="black", font=shown.font, anchor="lm")
            draw.text((left + self.label_width, y), value.text, fill="black", font=value.font, anchor="rm")


def class_captions(spec: Named, classes: Sequence[int]) -> tuple[Caption, ...]:
    """Return the names of classes, shortened to fit beside images."""
    return tuple(caption(spec.class_names[k], k, width=_NAME) for k in classes)


def arrange(
    names: tuple[Caption, ...],
    count: int,
    shape: tuple[int, int, int],
    *,
    headings: Sequence[str] = ("",),
    stacked: bool = False,
    in_a_row: int,
    title: str = "",
    labelled: bool = False,
) -> PictureLayout:
    """Return the layout for `count` images of each named class in as many groups as there are headings.

    Small images are enlarged by a whole factor to about 64 pixels; by less, down to none, where the picture would
    have more than 25 million pixels. `stacked` groups lie below each other. Where images are `labelled`, three lines
    stand below each, and small images are enlarged to about 104 pixels.
    """
    layout = PictureLayout(
        names=names,
        headings=tuple(map(caption, headings)),
        stacked=stacked,
        count=max(count, 1),
        in_a_row=max(min(in_a_row, count), 1),
        shape=shape,
        title=caption(title),
        zoom=max((_LABELLED if labelled else _IMAGE) // max(shape[1:]), 1),
        labelled=labelled,
    )
    while layout.zoom > 1 and not layout.fits:
        layout = replace(layout, zoom=layout.zoom - 1)
    return layout


def largest_fitting(layout: Callable[[int], PictureLayout], count: int, *, fixed: bool) -> int:
    """Return the largest number of images per class, up to `count`, whose layout fits; `count` itself if fixed."""
    while not fixed and count > 1 and not layout(count).fits:
        count -= 1
    return count


def _enlarged(pixels: Tensor, zoom: int) -> Image.Image:
    """Return uint8 (C, H, W) as an image of H * zoom times W * zoom pixels."""
    image = to_image(pixels)
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
