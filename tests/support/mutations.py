"""Changes to JSON values, as someone makes them who writes a file that lies."""

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import extract_tb
from typing import Any

from datacondense.utils.errors import DatacondenseError

_NESTED: Any = []
for _ in range(300):
    _NESTED = [_NESTED]
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 10**6, 2**31, 2**53 + 1, 2**63, -(2**70), 10**400),
    *(0.5, 1.5, -0.5, 3.0, 1e308, -1e308, 5e-324, float("nan"), float("inf")),
    *(
        "",
        "x",
        "NaN",
        "3",
        "dm",
        "ConvNet",
        "random",
        "whole set",
        "complete",
        "stopped",
        "imported",
        "cuda:7",
        "/",
        ".",
    ),
    *("\x1b[31mred\x07", "two\nlines", "\u202eabc", "\ud800", "é" * 300, "x" * 100_000, "../" * 30 + "etc/x", "\0"),
    *([], {}, [1], ["a"], [[]], [None], {"a": 1}, {"": {}}, {"images": []}, [{"a": [1]}] * 3, _NESTED),
)


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy of a JSON value in which one to three things are other than they were."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, rng)
    return value


def _changed(value: Any, rng: random.Random) -> Any:
    holder: list[Any] = [value]
    inside, key = rng.choice(list(_places(holder)))
    kind = rng.randrange(10)
    if kind == 0 and inside is not holder:
        del inside[key]
    elif kind == 1:
        inside[key] = rng.choice(([inside[key]], {"inner": inside[key]}))
    elif kind == 2 and isinstance(inside, dict):
        inside[rng.choice([one for one in JUNK if isinstance(one, str)])] = inside.pop(key)
    elif kind == 3:
        other, place = rng.choice(list(_places(holder)))
        inside[key] = copy.deepcopy(other[place])
    elif kind == 4 and isinstance(inside[key], int | float):
        inside[key] = rng.choice((-inside[key] - 1, float(inside[key]), inside[key] + 1, 1000 * inside[key]))
    elif kind == 5 and isinstance(inside[key], list):
        inside[key] = rng.choice((inside[key] * 2, inside[key][:-1], [*inside[key], rng.choice(JUNK)]))
    elif kind == 6 and isinstance(inside[key], dict):
        inside[key]["later"] = rng.choice(JUNK)
    else:
        inside[key] = copy.deepcopy(rng.choice(JUNK))
    return holder[0]


def _places(inside: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON value as what it is in, and its key there."""
    for key in list(inside) if isinstance(inside, dict) else range(len(inside)):
        yield inside, key
        if isinstance(inside[key], dict | list):
            yield from _places(inside[key])


class Judge:
    """Runs readers, and counts how each case ends: well, with an error of ours, or with another, which is a fault."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.lines = 0

    def __call__(self, case: object, *readers: Callable[[], object]) -> None:
        """Run all readers of one file, each whatever the one before it has found."""
        for read in readers:
            try:
                code = read()
            except DatacondenseError as error:
                self.ends["refused"] += 1
                self.lines = max(self.lines, len(str(error).splitlines()))
            except OSError as error:  # `main` tells of it in one line
                self.ends[f"refused by the system: {type(error).__name__}"] += 1
            except Exception as error:  # every other exception is what is looked for
                frame = extract_tb(error.__traceback__)[-1]
                ours = [frame, *(f for f in extract_tb(error.__traceback__) if "datacondense" in f.filename)][-1]
                place = f"{Path(ours.filename).name}:{ours.name} <- {Path(frame.filename).name}:{frame.name}"
                name = f"{type(error).__name__} in {place}"
                self.faults[name] += 1
                self.first.setdefault(name, f"case {case}: {str(error)[:200]}")
            else:
                assert type(code) is not int or code in (0, 2)  # of `main`
                self.ends["read"] += 1

    def verdict(self) -> None:
        """Fail where there was a fault, with an example of each kind; or where all cases ended alike."""
        kinds = "\n".join(f"{count} x {name}, first {self.first[name]}" for name, count in self.faults.most_common())
        assert not self.faults, f"{sum(self.faults.values())} faults of {len(self.faults)} kinds:\n{kinds}"
        assert self.ends["read"]
        assert self.ends["refused"]
        assert self.lines <= 1
