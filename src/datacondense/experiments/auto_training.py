"""The training of networks on real images that candidates of `auto` need before they begin, and share."""

from collections.abc import Sequence

from ..methods import Method
from ..methods.trained_networks import TrainedNetworks
from .auto_record import Pace
from .auto_table import Entrant


def same_training(method: Method, other: Method) -> bool:
    """Return whether the cache holds all networks that a method needs, once the other has trained its own."""
    if not (isinstance(method, TrainedNetworks) and isinstance(other, TrainedNetworks)):
        return False
    return _key(method) == _key(other) and method.trainings <= other.trainings and other.trains_first


def trial_training(entrants: Sequence[Entrant], paces: dict[str, Pace]) -> float:
    """Return the seconds of training that a race of some candidates needs; what candidates share counts once."""
    longest: dict[tuple[object, ...], float] = {}
    for one in entrants:
        if isinstance(one.method, TrainedNetworks):
            key = _key(one.method)
            longest[key] = max(longest.get(key, 0.0), paces[one.name].trial_training)
    return sum(longest.values())


def _key(method: TrainedNetworks) -> tuple[object, ...]:
    return method.arch, method.augment, method.training_steps
