"""Networks on a device beside the same on the CPU, and how far apart their results may be by precision."""

from typing import Any

import pytest
import torch

from datacondense import Spec, networks
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.networks import Network
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
ERROR = {"fp32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}
"""Precision -> the largest relative error, norm(found - expected) / norm(expected), of a forward."""
BACKWARD = 8  # times that of a gradient


def engine_on(device: str, precision: Any = "fp32", **changes) -> Engine:
    """An engine with small chunks. Skips the test where the device lacks the precision."""
    if precision == "tf32" and device == "cpu":
        pytest.skip("tf32 is arithmetic of NVIDIA GPUs")
    settings: dict = {"compile": False, "chunk": 8, "classes_at_once": 3, "threads": 1, **changes}
    return Engine(Execution(device=device, precision=precision, **settings))


def pair(engine: Engine, arch: str = "ConvNetW32") -> tuple[Network, Network]:
    """A network on the device of the engine, and the same on the CPU."""
    both = engine.prepare(networks.build(arch, SPEC)), networks.build(arch, SPEC)
    for network in both:
        network.reset(Streams(0)("network"))
    return both


def images(classes: int = 3, n: int = 5) -> torch.Tensor:
    """Normalised images (K, n, C, H, W), always the same."""
    return torch.randn(classes, n, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def error(found: torch.Tensor | None, expected: torch.Tensor | None) -> float:
    """Relative error, norm(found - expected) / norm(expected)."""
    assert found is not None
    assert expected is not None
    assert found.isfinite().all()
    return float(
        (found.detach().cpu().double() - expected.detach().double()).norm() / expected.detach().double().norm()
    )
