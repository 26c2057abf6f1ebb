"""Where the names, headings and images of a picture stand, and drawing them there."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

from PIL import Image, ImageDraw
from torch import Tensor

from ..data.spec import Spec
from .text import SIZE, Label, label

_CELL, _GAP, _MARGIN, _LINE, _NAME = 64, 4, 12, SIZE + 8, 180  # pixels; an image, a line of text, the widest name
_ASPECT = 1.5  # of width to height, aimed at by setting classes side by side
_MOST = 25_000_000  # pixels of a picture


@final
@dataclass(frozen=True)
class Layout:
    """A block for each class, in columns read downwards: its name and, right of it, groups of its images.

    Groups stand side by side, each under its heading, or one under the other, each right of its heading.

    It does not depend on the images, so all pictures of an animation have the same.
    """

    names: tuple[Label, ...]
    headings: tuple[Label, ...]
    """One for each group, above it in every column, or left of it; no room is left where all are empty."""
    stacked: bool
    """Whether groups stand one under the other."""
    count: int
    """Images of a class in each group."""
    in_a_row: int
    """Images of a group side by side."""
    shape: tuple[int, int, int]
    """(C, H, W) of an image."""
    title: Label
    """The widest title there will be; no room is left for an empty one."""
    zoom: int

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of an image and of the gap after it."""
        _, h, w = self.shape
        return w * self.zoom + _GAP, max(h * self.zoom, SIZE) + _GAP

    @cached_property
    def named(self) -> int:
        """Width of the names."""
        return math.ceil(max(name.width for name in self.names))

    @cached_property
    def groups(self) -> list[tuple[int, int, int]]:
        """Left and top edge, from those of the block, and width of each group."""
        x = self.named + _MARGIN
        if self.stacked:
            x += math.ceil(max(heading.width for heading in self.headings)) + _MARGIN
            width, height = self.in_a_row * self.cell[0], self.lines * self.cell[1]
            return [(x, number * height, width) for number in range(len(self.headings))]
        found = []
        for heading in self.headings:
            width = max(self.in_a_row * self.cell[0], math.ceil(heading.width) + 2 * _GAP)
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
        return x + width + _MARGIN, lines * self.cell[1] + (2 * _GAP if lines > 1 else 0)

    @cached_property
    def rows(self) -> int:
        """Blocks of a column."""
        width, height = self.block
        columns = max(round(math.sqrt(_ASPECT * len(self.names) * height / width)), 1)
        return math.ceil(len(self.names) / columns)

    @property
    def top(self) -> int:
        """Where the first blocks begin."""
        headed = not self.stacked and any(heading.text for heading in self.headings)
        return _MARGIN + _LINE * (bool(self.title.text) + headed)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        columns = math.ceil(len(self.names) / self.rows)
        width = max(self.block[0] * columns, math.ceil(self.title.width) + _MARGIN) + _MARGIN
        return width, self.top + self.rows * self.block[1] + _MARGIN

    @property
    def fits(self) -> bool:
        """Whether the picture has no more than 25 million pixels."""
        return math.prod(self.size) <= _MOST

    def draw(self, groups: Sequence[Sequence[Tensor]], title: str = "") -> Image.Image:
        """The picture of groups[g][k], uint8 images (n, C, H, W) of class k; grey if they are."""
        canvas = Image.new("L" if self.shape[0] == 1 else "RGB", self.size, "white")
        draw = ImageDraw.Draw(canvas)
        draw.text((_MARGIN, _MARGIN), title, fill="black", font=self.title.font)
        (block_w, block_h), (cell_w, cell_h) = self.block, self.cell
        for k, name in enumerate(self.names):
            x, y = _MARGIN + k // self.rows * block_w, self.top + k % self.rows * block_h
            place = x + self.named, y + (cell_h - _GAP) / 2
            draw.text(place, name.text, fill="black", font=name.font, anchor="rm")
            for (left, down, width), heading, images in zip(self.groups, self.headings, groups, strict=True):
                if self.stacked:
                    place = x + left - _MARGIN, y + down + (cell_h - _GAP) / 2
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="rm")
                elif k % self.rows == 0:
                    place = x + left + (width - _GAP) / 2, self.top - _LINE / 2
                    draw.text(place, heading.text, fill="black", font=heading.font, anchor="mm")
                first = x + left + (width - self.in_a_row * cell_w) // 2
                for index, pixels in enumerate(images[k]):
                    row, column = divmod(index, self.in_a_row)
                    canvas.paste(_enlarged(pixels, self.zoom), (first + column * cell_w, y + down + row * cell_h))
        return canvas


def class_labels(spec: Spec, classes: Sequence[int]) -> tuple[Label, ...]:
    """The names of classes, as they fit beside images."""
    return tuple(label(spec.class_names[k], k, width=_NAME) for k in classes)


def arrange(
    names: tuple[Label, ...],
    count: int,
    shape: tuple[int, int, int],
    *,
    headings: Sequence[str] = ("",),
    stacked: bool = False,
    in_a_row: int,
    title: str = "",
) -> Layout:
    """The layout for `count` images of each class, by its name, in as many groups as there are headings.

    stacked: whether groups stand one under the other.
    Small images are enlarged by a whole factor to about 64 pixels; by less, down to none, where the picture would
    have more than 25 million pixels.
    """
    layout = Layout(
        names=names,
        headings=tuple(map(label, headings)),
        stacked=stacked,
        count=max(count, 1),
        in_a_row=max(min(in_a_row, count), 1),
        shape=shape,
        title=label(title),
        zoom=max(_CELL // max(shape[1:]), 1),
    )
    while layout.zoom > 1 and not layout.fits:
        layout = replace(layout, zoom=layout.zoom - 1)
    return layout


def fitting(layout: Callable[[int], Layout], count: int, *, fixed: bool) -> int:
    """`count` images of each class; where it is not fixed, fewer, down to 1, until their layout fits."""
    while not fixed and count > 1 and not layout(count).fits:
        count -= 1
    return count


def to_image(pixels: Tensor) -> Image.Image:
    """uint8 (C, H, W), C 1 or 3, as a grey or an RGB image."""
    array = pixels.permute(1, 2, 0).cpu().numpy()  # (H, W, C)
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def to_png(picture: Tensor | Image.Image) -> bytes:
    """A picture, or uint8 (C, H, W) with C 1 or 3, as a PNG file."""
    buffer = io.BytesIO()
    (to_image(picture) if isinstance(picture, Tensor) else picture).save(buffer, "PNG")
    return buffer.getvalue()


def _enlarged(pixels: Tensor, zoom: int) -> Image.Image:
    """uint8 (C, H, W) -> an image of H * zoom times W * zoom pixels."""
    image = to_image(pixels)
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
