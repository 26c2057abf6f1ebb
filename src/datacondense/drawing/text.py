"""Fit names and headings into a picture: choose a font that has their characters, and shorten them."""

import bisect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

SIZE = 16
_MISSING = "\U0010fffd"  # no font has this character: it is drawn as each font draws a missing one


@final
@dataclass(frozen=True)
class Caption:
    """A line of text and the font to draw it in."""

    text: str
    font: FreeTypeFont

    @property
    def width(self) -> float:
        """In pixels."""
        return self.font.getlength(self.text)


def caption(text: str, number: int | None = None, *, width: float = float("inf"), size: int = SIZE) -> Caption:
    """Return `text` as one line of at most `width` pixels, of a font of `size` pixels, shortened in its middle.

    Unprintable characters become replacement characters. `number`, that of the class, precedes an empty text, and one
    with characters that no font here has, so that classes stay distinguishable.
    """
    line = "".join(character if character.isprintable() else "\ufffd" for character in text)
    font = next((font for font in (_font(wide, size) for wide in (False, True)) if _has(font, line)), _font(True, size))
    if number is not None and not (line.strip() and _has(font, line)):
        line = f"{number} {line}".strip()

    def shortened(length: int) -> str:
        return line[: (length + 1) // 2] + "…" + line[len(line) - length // 2 :]

    if font.getlength(line) > width:
        fitting = bisect.bisect_right(range(len(line)), width, key=lambda length: font.getlength(shortened(length)))
        line = shortened(max(fitting - 1, 0))
    return Caption(line, font)


@cache
def _font(wide: bool, size: int) -> FreeTypeFont:
    """Return Pillow's own font, which covers ASCII, or, if `wide`, Matplotlib's, which covers many scripts."""
    if wide:
        import matplotlib  # imported here: it is slow to import, and most names do not need it

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size - 1)
    font = ImageFont.load_default(size)
    assert isinstance(font, FreeTypeFont), "Pillow is built with FreeType"
    return font


def _has(font: FreeTypeFont, text: str) -> bool:
    return all(_has_character(font, character) for character in set(text))


@cache
def _has_character(font: FreeTypeFont, character: str) -> bool:
    return _drawn(font, character) != _drawn(font, _MISSING)


def _drawn(font: FreeTypeFont, character: str) -> bytes:
    image = Image.new("L", (4 * SIZE, 3 * SIZE))
    ImageDraw.Draw(image).text((SIZE, SIZE), character, fill="white", font=font)
    return image.tobytes()
