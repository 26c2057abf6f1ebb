"""Convert text from files for display or for use as a file name; format mean and deviation."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence
from statistics import fmean, stdev

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Control characters, bidirectional marks, other invisible characters, and surrogates."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows reserves for devices."""
_BYTES = 100
"""Longest file name; file systems accept 255 bytes, and endings are added."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with control and invisible characters replaced by escapes such as \x1b.

    Names and messages come from untrusted files: an escape sequence could rewrite the screen, and a bidirectional mark
    could disguise a name.

    Args:
        text: Any text.
        lines: Keep line breaks.
    """
    if text.isprintable() and text.isascii():
        return text
    return _UNSEEN.sub(lambda found: "\n" if lines and found[0] == "\n" else _escape(found[0]), text)


def _escape(character: str) -> str:
    short = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def mean_std(mean: float, std: float | None, *, digits: int = 1, separator: str = " ± ") -> str:
    """Return mean and standard deviation as text; the mean alone if `std` is None or NaN.

    Args:
        mean: in the unit to show, such as percent.
        std: in the same unit.
        digits: after the point.
        separator: between the two.
    """
    deviation = "" if std is None or math.isnan(std) else f"{separator}{std:.{digits}f}"
    return f"{mean:.{digits}f}{deviation}"


def percent_mean_std(fractions: Sequence[float | None], *, empty: str = "") -> str:
    """Return mean and sample standard deviation (n - 1) of fractions in percent.

    Args:
        fractions: in [0, 1]; None is left out.
        empty: the text if no number is left.
    """
    percent = [100 * value for value in fractions if value is not None]
    if not percent:
        return empty
    return mean_std(fmean(percent), stdev(percent) if len(percent) > 1 else None)


def file_name(text: str) -> str:
    """Return a name for a file or folder that every file system accepts and that leads into no other folder.

    Letters, marks and digits of any script stay, and a few safe symbols; the rest becomes "_". A name that is too long
    is cut and ends in the start of a digest of the whole.

    Args:
        text: Any text, such as the name of a method or a network that was read from a file.
    """
    name = plain(text).rstrip(". ") or "_"
    name = f"_{name}" if _DEVICES.match(name) else name
    if len(name.encode()) <= _BYTES:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{_cut(name, _BYTES - len(digest) - 1)}-{digest}"


def plain(text: str) -> str:
    """Return `text` with "_" for every character that a file system may reject; the result may be empty."""
    found = "".join(c if _is_plain(c) else "_" for c in unicodedata.normalize("NFC", text))
    return found.lstrip(" .")


def cut(text: str) -> str:
    """Return the start of `text`, as long as a file name may be."""
    return _cut(text, _BYTES)


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _is_plain(character: str) -> bool:
    return character.isalnum() or character in " -_.()+," or unicodedata.category(character).startswith("M")
