"""The device of the tests marked `gpu`: a GPU, or a CPU that takes the ways of a GPU."""

import pytest
import torch

from datacondense.engine import engine, execution


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """A GPU, if there is one; otherwise a CPU that runs classes and networks side by side, as a GPU does."""
    if torch.cuda.is_available():
        return "cuda"
    monkeypatch.setitem(engine._CLASSES_SIDE_BY_SIDE, "cpu", True)
    monkeypatch.setitem(execution._NETWORKS_SIDE_BY_SIDE, "cpu", True)
    monkeypatch.setattr(execution, "_memory", lambda device: 2**31)
    return "cpu"


@pytest.fixture
def cuda() -> str:
    """A GPU; without one the test is skipped."""
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no NVIDIA GPU")
    return "cuda"
