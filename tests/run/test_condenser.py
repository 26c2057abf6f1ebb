"""The estimator is `condense` in the words of scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from datacondense import Condenser, InputError, condense
from datacondense.methods import DistributionMatching

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
LABELS = np.arange(20) % 2
SETTINGS = {"batch_real": 4, "arch": "ConvNetD1"}


def test_fit_condenses_as_the_function_does() -> None:
    made = Condenser("dm", ipc=2, iterations=2, settings=SETTINGS, seed=3).fit(PIXELS, LABELS).synthetic_
    method = DistributionMatching(iterations=2, batch_real=4, arch="ConvNetD1")
    assert made.fingerprint() == condense(method, (PIXELS, LABELS), 2, seed=3).fingerprint()
    assert made.fingerprint() == Condenser(method, ipc=2, seed=3).fit((PIXELS, LABELS)).synthetic_.fingerprint()
    assert Condenser(method, ipc=1, flip=False).fit(PIXELS, LABELS).synthetic_.spec.flip is False


def test_parameters_are_those_of_scikit_learn() -> None:
    one = Condenser(method="dm", ipc=10)
    assert one.get_params()["ipc"] == 10
    other: Any = clone(one)
    other.set_params(ipc=3, method=DistributionMatching())
    assert (one.ipc, other.ipc) == (10, 3)
    again: Any = clone(other)
    assert again.get_params() == other.get_params()
    assert not hasattr(one, "synthetic_")
    assert repr(other).startswith("Condenser(")


def test_a_source_is_recorded(tmp_path: Path) -> None:
    made = Condenser("random", ipc=1).fit("digits").synthetic_
    assert made.provenance.source["source"] == "digits"
    np.savez(tmp_path / "own.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS, y_test=LABELS)
    made = Condenser("random", ipc=1, flip=False).fit(tmp_path / "own.npz").synthetic_
    assert not made.spec.flip
    assert made.provenance.source["flip"] is False  # its test images are read in the same way


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "dmm"}, "unknown method 'dmm': did you mean 'dm'"),
        ({"method": "dm", "settings": {"speed": 1}}, "unexpected keyword argument 'speed'"),
        ({"method": DistributionMatching(), "iterations": 1}, "iterations: give settings to the method itself"),
    ],
)
def test_what_cannot_be_is_refused(settings, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Condenser(**settings).fit(PIXELS, LABELS)
