"""Convert labels of any kind to an array (N,) of integers or strings."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from torch import Tensor

from ..utils.errors import InputError

_LARGEST = 2**63 - 1


@final
@dataclass(frozen=True)
class Values:
    """One value for each image."""

    array: np.ndarray
    """(N,), non-negative int64, or strings."""
    columns: int | None = None
    """K when the labels were one-hot rows (N, K); None otherwise."""
    is_truth: bool = False
    """True when the labels were booleans."""

    @property
    def is_text(self) -> bool:
        """True when the labels are strings."""
        return self.array.dtype.kind == "U"


def parse_labels(values: Any, count: int | None, what: str) -> Values:
    """Return labels, of the kinds that `number_classes` takes, as integers or strings. count: N, when it is known."""
    array = _array(values, what)
    if array.dtype.kind == "O":
        array = _from_objects(array.reshape(-1).tolist(), what).reshape(array.shape)
    if array.size == 0:
        raise InputError(f"{what} have shape {array.shape}: they hold no label")
    flat = array.ndim == 1 or (array.size == max(array.shape, default=0) and count in (None, array.size))
    if flat:
        array = array.reshape(-1)
    elif (
        array.ndim != 2
        or array.size < 2 * len(array)
        or array.dtype.kind not in "biuf"
        or count not in (None, len(array))
    ):
        rows = "N" if count is None else count
        raise InputError(
            f"{what} have shape {array.shape}, expected ({rows},): one for each image, or one-hot rows ({rows}, K)"
        )
    if flat and count not in (None, len(array)):
        raise InputError(f"{what} have shape {array.shape}, expected ({count},): one for each image")
    if not flat:
        return _one_hot(array, what)
    kind = array.dtype.kind
    if kind == "S":
        return Values(_decoded(array, what))
    if kind == "U":
        return Values(array)
    if kind not in "biuf":
        raise InputError(f"{what} have dtype {array.dtype}, expected integers or strings")
    return Values(_whole(array, what), is_truth=kind == "b")


def short(value: Any) -> str:
    """Return a value as short text for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:60]}..."


def text(name: Any) -> str:
    """Return a class name as text; join several names of one class, as torchvision's ImageNet has them."""
    if isinstance(name, bytes):
        return name.decode("utf-8", "replace")
    return ", ".join(map(str, name)) if isinstance(name, (tuple, list)) else str(name)


def is_integer(text: str) -> bool:
    """Return True for a non-negative integer as Python writes it."""
    return text.isdecimal() and text.isascii() and str(int(text)) == text


def alike(name: Any, known: Iterable[Any]) -> str:
    """Return the hint of a message on a known name that looks like `name`; empty when there is none."""
    same = next((other for other in known if isinstance(other, str) and _folded(other) == _folded(str(name))), None)
    if same is None:
        return ""
    return f" ({name!a} and {same!a} differ only in case, spaces or Unicode form: give both the same spelling)"


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def listed(names: Iterable[str], most: int = 10) -> str:
    """Return names for a message, at most `most` of them."""
    some = list(names)
    more = f" and {len(some) - most} more" if len(some) > most else ""
    return f"{', '.join(some[:most])}{more}"


def _array(values: Any, what: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()  # NumPy has no bfloat16
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        position = int(np.ma.getmaskarray(values).reshape(-1).argmax())
        raise InputError(f"{what} have no value at position {position}: every image needs a label")
    if isinstance(values, np.ndarray):
        return np.asarray(values)
    unordered = isinstance(values, (str, bytes, Mapping, Set))
    if unordered or not (hasattr(values, "__array__") or isinstance(values, Iterable)):
        raise InputError(f"{what} are of type {type(values).__name__}, expected an array, a tensor or a list")
    if hasattr(values, "__array__"):
        return np.asarray(values)  # such as a column of pandas
    return _from_items(list(values), what)


def _from_items(items: list[Any], what: str) -> np.ndarray:
    """Return an array of single labels, arrays of one label, or rows."""
    plain = [_array(item, what) if isinstance(item, (Tensor, np.ndarray, list, tuple)) else item for item in items]
    rows = {item.shape for item in plain if isinstance(item, np.ndarray) and item.size != 1}
    if not rows:
        return _from_objects([item.item() if isinstance(item, np.ndarray) else item for item in plain], what)
    if len(rows) > 1 or not all(isinstance(item, np.ndarray) and item.size != 1 for item in plain):
        raise InputError(f"{what} are of different shapes: give one for each image, or one-hot rows of one length")
    return np.stack(plain)


def _from_objects(items: list[Any], what: str) -> np.ndarray:
    """Return an array (N,) of plain numbers, booleans or strings."""
    plain = [item.item() if isinstance(item, np.generic) else item for item in items]
    for position, item in enumerate(plain):
        missing = _missing(item)
        if missing:
            raise InputError(f"{what} have no value ({missing}) at position {position}: every image needs a label")
        if not isinstance(item, (str, bytes, bool, int, float)):
            raise InputError(f"{what} hold {short(item)} at position {position}, expected an integer or a string")
    if all(isinstance(item, (str, bytes)) for item in plain):
        return np.array([item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in plain])
    text = next((position for position, item in enumerate(plain) if isinstance(item, (str, bytes))), None)
    if text is not None:
        raise InputError(
            f"{what} mix strings and numbers, such as {short(plain[text])} at position {text}: give one kind"
        )
    if all(isinstance(item, bool) for item in plain):
        return np.array(plain, bool)
    for position, item in enumerate(plain):
        if item < 0 or item > _LARGEST or item != int(item):
            raise _no_class(item, position, what)
    return np.array([int(item) for item in plain], np.int64)


def _missing(item: Any) -> str:
    """Return None, NaN or NA as text; empty for a value."""
    if item is None or type(item).__name__ == "NAType":  # of pandas, which has no truth value
        return "None" if item is None else "NA"
    return "NaN" if item != item else ""


def _decoded(array: np.ndarray, what: str) -> np.ndarray:
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{what} are bytes that are not UTF-8: give strings") from None


def _whole(array: np.ndarray, what: str) -> np.ndarray:
    """Return non-negative numbers as int64."""
    if array.dtype.kind == "f":
        wrong = ~(np.isfinite(array) & (array == np.floor(array)) & (array >= 0) & (array < 2.0**63))
    elif array.dtype.kind == "u":
        wrong = array > _LARGEST
    else:
        wrong = array < 0
    if wrong.any():
        position = int(wrong.argmax())
        raise _no_class(array[position].item(), position, what)
    return array.astype(np.int64)


def _no_class(value: float, position: int, what: str) -> InputError:
    if value != value:
        return InputError(f"{what} have no value (NaN) at position {position}: every image needs a label")
    if value > _LARGEST:
        return InputError(f"{what} hold {value:g} at position {position}, which is too large for a label")
    if value < 0 and math.isfinite(value) and value == int(value):
        return InputError(f"{what} go down to {value:g}: classes are numbered from 0, and -1 stands for no label")
    return InputError(f"{what} hold {value:g} at position {position}, which is not a whole number from 0")


def _one_hot(rows: np.ndarray, what: str) -> Values:
    """Return the position of the one in each row of (N, K)."""
    is_binary = ((rows == 0) | (rows == 1)).all(axis=1)
    if not is_binary.all():
        row = int((~is_binary).argmax())
        kind = "holds soft labels" if abs(float(rows[row].sum()) - 1) < 1e-3 else "is not one-hot"
        raise InputError(f"{what} have shape {rows.shape}, and row {row} {kind}: give one class for each image")
    ones = (rows == 1).sum(axis=1)
    if (ones != 1).any():
        row = int((ones != 1).argmax())
        several = "several classes at once" if ones[row] else "no class"
        raise InputError(f"{what} have shape {rows.shape}, and row {row} is of {several}: give one for each image")
    return Values(rows.argmax(axis=1).astype(np.int64), columns=rows.shape[1])
