"""Functions that write their results into the same memory each time, as CUDA graphs do; and the option `graphs`."""

import pytest
import torch
from torch import Tensor

from datacondense import InputError, condense
from datacondense.engine.execution import Compute, Execution
from datacondense.engine.graphs import apart
from datacondense.methods import DSA

METHOD = DSA(iterations=3, batch_real=16, arch="ConvNetD1", updates=2, epochs=1)


class _Graph(torch.autograd.Function):
    """x -> 2 x, in memory that its next call writes again, forward and backward."""

    forward_memory, backward_memory = torch.zeros(3), torch.zeros(3)

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return _Graph.forward_memory.copy_(2 * x).view(3)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Graph.backward_memory.copy_(2 * gradient).view(3)


def test_results_and_gradients_keep_their_values_through_the_next_call() -> None:
    run = apart(lambda x, weights: {"y": _Graph.apply(x) + 0 * weights["w"], "x": _Graph.apply(x)})
    first, second = torch.ones(3, requires_grad=True), torch.full((3,), 5.0, requires_grad=True)
    weights = {"w": torch.zeros(3, requires_grad=True)}
    made = run(first, weights)
    later = run(second, weights)
    assert made["x"].tolist() == [2, 2, 2]
    assert later["x"].tolist() == [10, 10, 10]
    made["x"].sum().backward()
    (3 * later["x"]).sum().backward()
    assert first.grad is not None
    assert first.grad.tolist() == [2, 2, 2]
    with torch.no_grad():
        assert run(first, weights)["x"].grad_fn is None


def test_without_it_the_next_call_would_change_them() -> None:
    first = _Graph.apply(torch.ones(3))
    _Graph.apply(torch.full((3,), 5.0))
    assert first.tolist() == [10, 10, 10]


def test_graphs_need_a_gpu(toy) -> None:
    with pytest.raises(InputError, match="--compile graphs needs an NVIDIA GPU: use on"):
        condense(METHOD, toy(), 1, device="cpu", compile="graphs")


def test_graphs_are_recorded_only_where_they_run() -> None:
    plain = {"device": "cuda", "precision": "tf32", "compile": True, "chunk": 8, "classes_at_once": 3, "threads": 1}
    assert Execution.from_json(plain).to_json() == plain
    assert Execution.from_json(plain) == Execution.from_json({**plain, "graphs": False})
    assert Execution.from_json({**plain, "graphs": True}).to_json() == {**plain, "graphs": True}
    assert Execution.from_json({**plain, "graphs": True}).halved().graphs


@pytest.mark.slow
def test_code_for_graphs_makes_the_same_images(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU PyTorch makes no graphs of it: the copies around them are what is tested."""
    eager = condense(METHOD, toy(), 2, device="cpu", compile="off")
    plan = Compute.plan

    def planned(self, *arguments) -> Execution:
        return Execution(**{**plan(self, *arguments).to_json(), "compile": True, "graphs": True})

    monkeypatch.setattr(Compute, "plan", planned)
    made = condense(METHOD, toy(), 2, device="cpu", compile="off")
    assert made.provenance.execution["graphs"]
    torch.testing.assert_close(made.images, eager.images, rtol=0, atol=1e-3)
