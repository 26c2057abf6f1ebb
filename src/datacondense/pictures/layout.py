"""Place the names, headings and images of a picture, and draw them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

from PIL import Image, ImageDraw
from torch import Tensor

from ..data.spec import Spec
from .png_codec import to_image
from .text import SIZE, Caption, caption

_IMAGE, _GAP, _MARGIN, _LINE, _NAME = 64, 4, 12, SIZE + 8, 180  # pixels; an image, a line of text, the widest name
_ASPECT = 1.5  # target ratio of width to height, reached by setting classes side by side
_MAX_PIXELS = 25_000_000  # of a picture


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

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of an image and of the gap after it."""
        _, h, w = self.shape
        return w * self.zoom + _GAP, max(h * self.zoom, SIZE) + _GAP

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

    def draw(self, groups: Sequence[Sequence[Tensor]], title: str = "") -> Image.Image:
        """Draw groups[g][k], uint8 images (n, C, H, W) of class k in group g; grey for C = 1."""
        canvas = Image.new("L" if self.shape[0] == 1 else "RGB", self.size, "white")
        draw = ImageDraw.Draw(canvas)
        draw.text((_MARGIN, _MARGIN), title, fill="black", font=self.title.font)
        (block_w, block_h), (image_w, image_h) = self.block, self.image_size
        for k, name in enumerate(self.names):
            x, y = _MARGIN + k // self.rows * block_w, self.top + k % self.rows * block_h
            place = x + self.names_width, y + (image_h - _GAP) / 2
            draw.text(place, name.text, fill="black", font=name.font, anchor="rm")
            for (left, down, width), heading, images in zip(self.groups, self.headings, groups, strict=True):
                if self.stacked:
                    place = x + left - _MARGIN, y + down + (image_h - _GAP) / 2
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="rm")
                elif k % self.rows == 0:
                    place = x + left + (width - _GAP) / 2, self.top - _LINE / 2
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="mm")
                first = x + left + (width - self.in_a_row * image_w) // 2
                for index, pixels in enumerate(images[k]):
                    row, column = divmod(index, self.in_a_row)
                    canvas.paste(_enlarged(pixels, self.zoom), (first + column * image_w, y + down + row * image_h))
        return canvas


def class_captions(spec: Spec, classes: Sequence[int]) -> tuple[Caption, ...]:
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
) -> PictureLayout:
    """Return the layout for `count` images of each named class in as many groups as there are headings.

    Small images are enlarged by a whole factor to about 64 pixels; by less, down to none, where the picture would
    have more than 25 million pixels. `stacked` groups lie below each other.
    """
    layout = PictureLayout(
        names=names,
        headings=tuple(map(caption, headings)),
        stacked=stacked,
        count=max(count, 1),
        in_a_row=max(min(in_a_row, count), 1),
        shape=shape,
        title=caption(title),
        zoom=max(_IMAGE // max(shape[1:]), 1),
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
