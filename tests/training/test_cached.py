"""The cache of a training that runs for long: how often it is written."""

import errno
from collections.abc import Mapping
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.training import cached
from datacondense.training.cached import TrainingCache
from datacondense.utils.streams import Streams


class Counting:
    """A training that only counts its steps."""

    def __init__(self) -> None:
        self.done, self.steps = 0, 100

    def step(self) -> None: ...

    def state(self) -> dict[str, Tensor]:
        return {"none": torch.zeros(1)}

    def restore(self, state: Mapping[str, Tensor]) -> None: ...


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.filterwarnings("ignore:not written to the cache:UserWarning")
def test_a_cache_that_cannot_be_written_is_tried_no_more_often(
    writable: bool, toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    seconds = count()  # each look at the clock takes one

    def write(path, tensors, key) -> None:
        tried.append(int(tensors["done"]))
        if not writable:
            raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(cached, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    monkeypatch.setattr(cached, "write_tensors", write)
    engine = Engine(Compute().plan("MLP", toy().spec, 1))
    training = Counting()
    TrainingCache("tests", toy(), Streams(0), engine, {"what": "counting"}).finish(training, lambda done: None)
    assert training.done == 100
    assert tried == [31, 62, 93, 100]
