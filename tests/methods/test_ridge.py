"""Ridge regression on embeddings: the plain formulas in benchmarks/, and facts in closed form."""

import naive_krr
import pytest
import torch
from torch import Tensor

from datacondense.methods.learned_labels import first_labels, mean_margin
from datacondense.methods.ridge import centred, ridge_error, ridge_predictions, solved_labels


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_predictions_and_their_gradients_are_those_of_the_plain_formula() -> None:
    real, made, targets = drawn(9, 6), drawn(5, 6, seed=1).requires_grad_(), drawn(5, 3, seed=2).requires_grad_()
    found = 7.0 * ridge_predictions(real, made, targets, ridge=0.1)
    wanted = 7.0 * naive_krr.predictions(real, made, targets, ridge=0.1)
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert torch.allclose(found, ridge_predictions(real, made, targets, ridge=0.1, sharpness=7.0))
    weights = drawn(9, 3, seed=3)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), (made, targets)),
        torch.autograd.grad((wanted * weights).sum(), (made, targets)),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


def test_the_squared_error_is_that_of_the_plain_formula() -> None:
    real, made, targets = drawn(3, 4, 6), drawn(5, 6, seed=1), drawn(5, 3, seed=2)
    numbers = [0] * 4 + [1] * 4 + [2] * 4
    wanted = naive_krr.squared_error(naive_krr.predictions(real.flatten(0, 1), made, targets, 0.1), numbers)
    assert float(ridge_error(real, made, targets, ridge=0.1)) == pytest.approx(float(wanted), rel=1e-9)


def test_a_subset_of_the_real_images_is_predicted_as_its_labels_as_the_ridge_goes_to_zero() -> None:
    made, targets = drawn(5, 40), centred(torch.tensor([0, 1, 2, 0, 1]), 3)
    assert torch.allclose(ridge_predictions(made, made, targets, ridge=1e-9), targets, atol=1e-6)


def test_an_order_of_the_synthetic_images_changes_nothing() -> None:
    real, made, targets, order = drawn(4, 6), drawn(5, 6, seed=1), drawn(5, 3, seed=2), torch.tensor([3, 1, 4, 0, 2])
    one, other = (ridge_predictions(real, made[some], targets[some]) for some in (slice(None), order))
    assert torch.allclose(one, other, atol=1e-10)


def test_embeddings_that_are_not_finite_give_no_finite_prediction() -> None:
    made = drawn(5, 6)
    made[0, 0] = torch.nan
    assert bool(ridge_predictions(drawn(4, 6, seed=1), made, drawn(5, 3, seed=2)).isnan().all())


def test_a_small_ridge_is_exact_where_embeddings_are_fewer_than_images() -> None:
    real, made, targets = drawn(9, 20).float(), drawn(60, 20, seed=1).float(), drawn(60, 3, seed=2).float()
    for ridge in (1e-3, 1e-6):
        wanted = naive_krr.predictions(real.double(), made.double(), targets.double(), ridge=ridge)
        assert torch.allclose(
            ridge_predictions(real, made, targets, ridge=ridge).double(), wanted, rtol=1e-2, atol=1e-2
        )
    twice = torch.cat([made, made])  # of rank 20, whose factor fails without a ridge to speak of
    found = ridge_predictions(real, twice, torch.cat([targets, -targets]), ridge=1e-30)
    assert bool(found.isnan().all())


@pytest.mark.parametrize("parts", [1, 3])
def test_solved_labels_are_least_squares_and_leave_no_gradient(parts: int) -> None:
    real, made, numbers = drawn(30, 8), drawn(6, 8, seed=1), torch.arange(30) % 3
    pieces = list(zip(torch.chunk(real, parts), torch.chunk(numbers, parts), strict=True))
    found = solved_labels(made, pieces, 3, ridge=0.01)
    wanted = naive_krr.label_solve(real, numbers.tolist(), made, 3, 0.01)
    assert torch.allclose(found.double(), wanted, atol=1e-5)
    labels = wanted.clone().requires_grad_()
    error = naive_krr.squared_error(naive_krr.predictions(real, made, labels, 0.01), numbers.tolist())
    (gradient,) = torch.autograd.grad(error, labels)
    assert float(gradient.abs().max()) < 1e-10
    assert torch.allclose(found.sum(1), torch.zeros(6), atol=1e-5)


def test_the_margin_is_that_of_the_plain_formula() -> None:
    labels = drawn(7, 4).softmax(1)
    assert float(mean_margin(labels)) == pytest.approx(float(naive_krr.margin(labels)))


def test_first_labels_are_nine_tenths_of_a_class_or_centred_rows() -> None:
    numbers = torch.arange(4)[:, None].expand(4, 2)
    probabilities = first_labels(numbers, 4, "probabilities")()
    assert torch.allclose(probabilities.sum(2), torch.ones(4, 2))
    assert torch.allclose(probabilities.gather(2, numbers[..., None]), torch.full((4, 2, 1), 0.9))
    values = first_labels(numbers, 4, "values")()
    assert torch.allclose(values[1, 0], torch.tensor([-0.25, 0.75, -0.25, -0.25]) / 0.4**0.5)
