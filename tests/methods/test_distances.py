"""Distances between gradients: values by hand, and what counts in each."""

import math

import pytest
import torch

from datacondense import InputError
from datacondense.methods.distances import DISTANCES, angle, layerwise, squares


def test_layerwise_counts_rows_of_weights_and_no_biases() -> None:
    one = {"weight": torch.tensor([[[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]]), "bias": torch.tensor([[5.0, 5.0, 5.0]])}
    other = {"weight": torch.tensor([[[3.0, 0.0], [1.0, 0.0], [0.0, -1.0]]]), "bias": torch.tensor([[0.0, 0.0, 0.0]])}
    assert layerwise(one, other).item() == pytest.approx(0 + (1 - math.sqrt(0.5)) + 2, abs=1e-5)


def test_convolutions_are_rows_of_all_that_enters_an_output_channel() -> None:
    one, other = torch.randn(2, 4, 3, 3, 3), torch.randn(2, 4, 3, 3, 3)
    cosines = torch.nn.functional.cosine_similarity(one.flatten(2), other.flatten(2), dim=2)
    assert layerwise({"w": one}, {"w": other}).item() == pytest.approx((1 - cosines).sum().item(), abs=1e-4)


def test_mse_and_cos_join_all_weights() -> None:
    one = {"w": torch.tensor([[[1.0, 2.0]]]), "b": torch.tensor([[2.0]])}
    other = {"w": torch.tensor([[[0.0, 2.0]]]), "b": torch.tensor([[4.0]])}
    assert squares(one, other).item() == pytest.approx(1 + 0 + 4)
    assert angle(one, other).item() == pytest.approx(1 - (4 + 8) / (3 * math.sqrt(20)), abs=1e-5)


def test_distances_of_convolutions_leave_biases_and_the_head_out() -> None:
    one = {"w": torch.ones(2, 3, 1, 2, 2), "b": torch.ones(2, 3), "head": torch.ones(2, 4, 3)}
    other = {name: 3 * value for name, value in one.items()}
    assert DISTANCES["conv-mse"](one, other).item() == 4 * 2 * 3 * 2 * 2
    assert DISTANCES["conv-l1"](one, other).item() == 2 * 2 * 3 * 2 * 2
    with pytest.raises(InputError, match="no convolutions to compare: use layerwise, mse or cos"):
        DISTANCES["conv-l1"]({"head": one["head"]}, {"head": other["head"]})


@pytest.mark.parametrize("name", DISTANCES)
def test_classes_add_up_and_a_gradient_of_zero_is_no_accident(name) -> None:
    one, other = {"w": torch.randn(3, 4, 5, 3, 3)}, {"w": torch.randn(3, 4, 5, 3, 3)}
    alone = [DISTANCES[name]({"w": one["w"][k : k + 1]}, {"w": other["w"][k : k + 1]}) for k in range(3)]
    torch.testing.assert_close(DISTANCES[name](one, other), torch.stack(alone).sum())
    zero = torch.zeros(1, 4, 5, 3, 3, requires_grad=True)
    DISTANCES[name]({"w": zero}, {"w": torch.zeros(1, 4, 5, 3, 3)}).backward()
    assert zero.grad is not None
    assert torch.isfinite(zero.grad).all()
