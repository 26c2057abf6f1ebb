"""Names and headings in a picture: a font that has their characters, and no more width than there is."""

import bisect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

SIZE = 16
_LACKING = "\U0010fffd"  # a character that no font has: what it looks like is how a font shows what it lacks


@final
@dataclass(frozen=True)
class Label:
    """A line of text and the font to write it in."""

    text: str
    font: FreeTypeFont

    @property
    def width(self) -> float:
        """Pixels."""
        return self.font.getlength(self.text)


def label(text: str, number: int | None = None, *, width: float = float("inf")) -> Label:
    """`text` as one line of at most `width` pixels, shortened in its middle.

    What cannot be printed is drawn as a replacement character. In front of a text with characters that no font here
    has, or with none at all, stands the number of its class, by which it can be told from others.
    """
    line = "".join(character if character.isprintable() else "\ufffd" for character in text)
    font = next((font for font in map(_font, (False, True)) if _has(font, line)), _font(True))
    if number is not None and not (line.strip() and _has(font, line)):
        line = f"{number} {line}".strip()

    def cut(kept: int) -> str:
        return line[: (kept + 1) // 2] + "…" + line[len(line) - kept // 2 :]

    if font.getlength(line) > width:
        fitting = bisect.bisect_right(range(len(line)), width, key=lambda kept: font.getlength(cut(kept)))
        line = cut(max(fitting - 1, 0))
    return Label(line, font)


@cache
def _font(wide: bool) -> FreeTypeFont:
    """Pillow's own font, which has ASCII alone; wide: the one that comes with Matplotlib, of many scripts."""
    if wide:
        import matplotlib  # only here: it takes long to import, and most names need it not

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", SIZE - 1)
    font = ImageFont.load_default(SIZE)
    assert isinstance(font, FreeTypeFont), "Pillow is built with FreeType"
    return font


def _has(font: FreeTypeFont, text: str) -> bool:
    return all(_has_character(font, character) for character in set(text))


@cache
def _has_character(font: FreeTypeFont, character: str) -> bool:
    return _drawn(font, character) != _drawn(font, _LACKING)


def _drawn(font: FreeTypeFont, character: str) -> bytes:
    image = Image.new("L", (4 * SIZE, 3 * SIZE))
    ImageDraw.Draw(image).text((SIZE, SIZE), character, fill="white", font=font)
    return image.tobytes()
