"""The losses, of hard and of soft labels."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense import Spec
from datacondense.engine.losses import LOSSES, ce, criterion, kl, mse
from datacondense.engine.weight_gradients import class_gradient_function
from datacondense.networks import build
from datacondense.utils.streams import Streams

CLASSES = torch.tensor([0, 4, 2, 2, 1, 3])


def logits() -> Tensor:
    return 3 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def probabilities() -> Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(1)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("labels", [CLASSES, probabilities()], ids=["hard", "soft"])
def test_every_loss_is_finite_and_of_each_image(name: str, temperature: float, labels: Tensor) -> None:
    at, labels = logits().requires_grad_(), labels.clone().requires_grad_(labels.is_floating_point())
    losses = LOSSES[name](at, labels, temperature)
    assert losses.shape == (6,)
    assert bool(torch.isfinite(losses).all())
    alone = torch.cat([LOSSES[name](at[[i]], labels[[i]], temperature) for i in range(6)])
    torch.testing.assert_close(losses, alone)
    losses.sum().backward()
    for leaf in (at, labels):
        if leaf.requires_grad:
            assert leaf.grad is not None
            assert bool((torch.isfinite(leaf.grad) & (leaf.grad != 0)).any(1).all())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("name", list(LOSSES))
def test_hard_labels_are_their_one_hot_rows(name: str, temperature: float) -> None:
    rows = F.one_hot(CLASSES, 5).double() - (1 / 5 if name == "mse" else 0)
    hard, soft = (LOSSES[name](logits(), labels, temperature) for labels in (CLASSES, rows))
    torch.testing.assert_close(hard, soft)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    def loss(at: Tensor, labels: Tensor) -> Tensor:
        return LOSSES[name](at, labels, 2.0)

    inputs = logits().requires_grad_(), probabilities().requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("labels", [CLASSES, probabilities()], ids=["hard", "soft"])
def test_ce_is_that_of_pytorch(labels: Tensor) -> None:
    assert torch.equal(ce(logits(), labels), F.cross_entropy(logits(), labels, reduction="none"))
    assert torch.equal(ce(logits(), labels, 4.0), F.cross_entropy(logits() / 4, labels, reduction="none"))


def test_kl_is_that_of_pytorch_times_the_square_of_the_temperature() -> None:
    expected = F.kl_div((logits() / 4).log_softmax(1), probabilities(), reduction="none").sum(1)
    torch.testing.assert_close(kl(logits(), probabilities(), 4.0), 16 * expected)
    torch.testing.assert_close(kl(logits(), logits().softmax(1)), torch.zeros(6, dtype=torch.float64))


def test_kl_at_a_probability_of_zero_has_a_finite_gradient() -> None:
    rows = F.one_hot(CLASSES, 5).double().requires_grad_()
    (gradient,) = torch.autograd.grad(kl(logits(), rows).sum(), rows)
    assert bool(torch.isfinite(gradient).all())


def test_mse_is_half_the_sum_over_classes() -> None:
    torch.testing.assert_close(mse(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])), torch.tensor([2.5]))
    torch.testing.assert_close(mse(torch.tensor([[0.5, -0.5]]), torch.tensor([0])), torch.tensor([0.0]))


def test_a_criterion_is_one_object() -> None:
    assert criterion(kl, 4.0) is criterion(kl, 4.0)
    assert torch.equal(criterion(kl, 4.0)(logits(), CLASSES), kl(logits(), CLASSES, 4.0))


def test_the_temperature_of_a_criterion_may_have_any_name() -> None:
    def of_user(logits: Tensor, labels: Tensor, t: float) -> Tensor:
        return ce(logits, labels, t)

    assert torch.equal(criterion(of_user, 4.0)(logits(), CLASSES), ce(logits(), CLASSES, 4.0))


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_of_classes_at_once_are_those_of_one_by_one(name: str) -> None:
    spec = Spec("toy", ("a", "b", "c"), (1, 8, 8), (0.5,), (0.25,), flip=False)
    network = build("MLP", spec).eval()
    network.reset(Streams(0)("network"))
    weights = {key: weight.detach() for key, weight in network.named_parameters()}
    images = torch.randn(3, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels, share = torch.arange(3)[:, None].expand(3, 4), torch.full((4,), 0.25)
    together = class_gradient_function(network, True, criterion(LOSSES[name], 1.0))(images, labels, share, weights)
    alone = class_gradient_function(network, False, criterion(LOSSES[name], 1.0))
    for k in range(3):
        for key, gradient in alone(images[[k]], labels[[k]], share, weights).items():
            torch.testing.assert_close(together[key][[k]], gradient)
