"""Distances of distribution matching: facts that hold for each, and the published formulas in benchmarks/."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import naive
import naive_distances
import pytest
import torch
from torch import Tensor
from toy_methods import TOY

from datacondense import InputError, Spec, condense
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.engine.torch_switches import cuda_switches
from datacondense.methods import DistributionMatching, Iteration, Problem, Step, differentiate
from datacondense.methods.distribution_matching import Comparison
from datacondense.methods.feature_distances import (
    balance,
    characteristic,
    cross_entropies,
    mean_distance,
    mmd,
    scale_by_gradient,
)
from datacondense.methods.frequency_sampler import FrequencySampler
from datacondense.methods.ridge import ridge_cross_entropy
from datacondense.methods.trained_networks import Compared
from datacondense.networks import build
from datacondense.networks.attention import attention
from datacondense.networks.convnet import ConvNet
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
DM = DistributionMatching(**TOY["dm"].settings())
CF_FLOOR = 300e-6  # of equal sets, for each class


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def means(real: Tensor, made: Tensor) -> Tensor:
    return mean_distance(real.mean(1), made.mean(1))


def cf(real: Tensor, made: Tensor) -> Tensor:
    return characteristic(real, made, drawn(512, real.shape[2], seed=9))


every_distance = pytest.mark.parametrize("distance", [means, mmd, cf])


@every_distance
def test_equal_sets_have_no_distance_and_others_have_one(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    real = drawn(2, 20, 5)
    floor = 2 * CF_FLOOR if distance is cf else 0.0
    shuffled = real[:, torch.randperm(20, generator=torch.Generator().manual_seed(1))]
    assert float(distance(real, shuffled)) == pytest.approx(floor, abs=1e-12)
    shifted = [float(distance(real, real + shift)) for shift in (0.01, 0.1, 0.3)]
    assert floor + 1e-9 < shifted[0] < shifted[1] < shifted[2]


def test_only_means_are_blind_to_the_variance() -> None:
    real = drawn(2, 50, 5) + 3
    wider = real.mean(1, keepdim=True) + 2 * (real - real.mean(1, keepdim=True))
    assert float(means(real, wider)) < 1e-20
    assert float(mmd(real, wider)) > 0.1
    assert float(cf(real, wider)) > 1


def test_the_length_of_embeddings_counts_in_all_but_characteristic_functions() -> None:
    real, made = drawn(2, 20, 5), drawn(2, 4, 5, seed=1)
    torch.testing.assert_close(cf(3 * real, 3 * made), cf(real, made))
    assert float(cf(real, 3 * real)) == pytest.approx(2 * CF_FLOOR)
    torch.testing.assert_close(mmd(3 * real, 3 * made), mmd(real, made))  # its bandwidth follows the joint set
    assert float(mmd(real, 3 * real)) > 0.1
    relative = [mean_distance(c * real.mean(1), c * made.mean(1), relative=True) for c in (1, 3)]
    torch.testing.assert_close(relative[0], relative[1])


def test_errors_of_amplitude_and_phase_add_up_to_the_difference() -> None:
    real, made, frequency = drawn(20, 5), drawn(4, 5, seed=1), drawn(5, seed=2)
    amplitude, phase = naive_distances.amplitude_and_phase(real, made, frequency)
    (re_a, im_a), (re_b, im_b) = (naive_distances.characteristic_function(one, frequency) for one in (real, made))
    assert float(amplitude + phase - (re_a - re_b) ** 2 - (im_a - im_b) ** 2) == pytest.approx(0, abs=1e-12)


def test_attention_ignores_the_order_of_channels_and_the_scale_of_a_map() -> None:
    maps = drawn(3, 4, 5, 5)
    torch.testing.assert_close(attention(maps[:, [2, 0, 3, 1]]), attention(maps))
    torch.testing.assert_close(attention(maps * torch.tensor([1.0, 7.0, 0.1])[:, None, None, None]), attention(maps))
    assert not torch.allclose(attention(maps.flip(2)), attention(maps))
    torch.testing.assert_close(attention(maps).norm(dim=1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("arch", ["ConvNet", "ConvNetAS", "AlexNet", "VGG11", "ResNet18_AP", "ResNet18", "LeNet"])
def test_maps_come_with_the_embedding_of_the_network(arch: str) -> None:
    spec, images = replace(SPEC, shape=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3), torch.randn(2, 3, 32, 32)
    network = build(arch, spec).eval()
    embedding, maps = network.embed_with_maps(images)
    torch.testing.assert_close(embedding, network.embed(images))
    assert len(maps) >= 2
    assert all(one.dim() == 4 and len(one) == 2 for one in maps)
    assert network.embed_attention(images).shape[1] > embedding.shape[1]


def test_a_network_without_maps_names_those_that_have_them(toy) -> None:
    with pytest.raises(InputError, match="MLP has no maps for --features attention: use a ConvNet"):
        condense(replace(DM, features="attention", arch="MLP"), toy(), 1)


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "relative": {"relative": True},
    "mmd": {"distance": "mmd"},
    "cf": {"distance": "cf", "frequencies": 16},
    "attention": {"features": "attention"},
    "classify": {"classify": 0.5},
    "classify by loss": {"classify": 2.5, "classify_by": "loss", "features": "attention"},
    "classify cf": {"classify": 0.5, "distance": "cf", "frequencies": 16},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


class Case:
    """A comparison of a toy under given networks: two of their own, or one for both."""

    def __init__(self, toy: Any, *, arch: str = "ConvNetW32", at_once: int = 4, apart: bool = False, **options: Any):
        execution = Execution(
            device="cpu", precision="fp32", compile=False, chunk=5, classes_at_once=at_once, threads=1
        )
        self.method = replace(DM, batch_real=7, augment="color_crop", arch=arch, **options)
        self.problem = Problem(toy(sizes=(9, 8, 12, 20)), 2, arch, self.method.augment, Engine(execution))
        self.synthetic = self.method.start(self.problem, Streams(0))
        self.network = self.problem.fresh_network(Streams(0)("network"))
        self.classifier = self.network
        if apart:
            self.classifier = self.problem.engine.prepare(build(arch, self.problem.spec)).requires_grad_(False)
            self.classifier.reset(Streams(1)("network"))
        state = self.method.state(self.problem, Streams(0))
        run = Iteration(self.synthetic, state, self.problem, Streams(0).at(0), 0)
        self.network.train()
        self.comparison = Comparison(self.method, run, Compared(self.network, self.classifier))

    def loss_and_gradient(self) -> tuple[Tensor, Tensor]:
        (parameter,) = self.synthetic.parameters()
        terms = map(self.comparison.to_minimise, self.problem.groups(self.network))
        loss = differentiate(terms, [parameter])
        assert parameter.grad is not None
        return loss, parameter.grad


def by_the_papers(case: Case) -> Tensor:
    """The loss of the published formulas on the same draws, class by class."""
    method, comparison, network = case.method, case.comparison, case.network
    real, made = case.problem.real.at(comparison.index), case.synthetic()
    distances: list[Tensor] = []
    classified: list[Tensor] = []
    for k in range(4):
        view = comparison.view[k : k + 1]
        images = [view(each[k : k + 1])[0] for each in (real, made)]
        embeddings = [network.embed(each).double() for each in images]  # else the root below has negative numbers
        classified.append(embeddings[1])
        if method.distance == "mmd":
            distances.append(naive_distances.mmd(embeddings[0], embeddings[1]))
        elif method.distance == "cf":
            shape = method.frequencies, embeddings[0].shape[1]
            frequencies = torch.randn(shape, generator=Streams(0).at(0)("frequencies")).double()
            distances.append(naive_distances.characteristic(embeddings[0], embeddings[1], frequencies))
        elif method.features == "attention":
            assert isinstance(network, ConvNet)
            distances.append(naive_distances.attention_distance(network.features, images[0], images[1]).double())
        elif method.relative:
            distances.append(naive_distances.relative_distance(embeddings[0], embeddings[1]))
        else:
            distances.append(naive.dm_loss(lambda each: each, embeddings[:1], embeddings[1:], [lambda each: each]))
    if not method.classify:
        return torch.stack(distances).sum()
    head, by_gradient = copy.deepcopy(network.head).double(), method.classify_by == "gradient"
    return naive_distances.calibrated(distances, classified, head, method.classify, by_gradient=by_gradient)


@every_option
def test_the_loss_and_its_gradient_are_those_of_the_formulas(options: dict[str, Any], toy) -> None:
    case = Case(toy, **options)
    loss, gradient = case.loss_and_gradient()
    expected = by_the_papers(case)
    (of_images,) = torch.autograd.grad(expected, list(case.synthetic.parameters()))
    torch.testing.assert_close(loss, expected.detach().double(), rtol=1e-4, atol=1e-5)
    assert float((gradient - of_images).norm() / of_images.norm()) < 1e-3


@every_option
@pytest.mark.parametrize("apart", [False, True])
def test_groups_of_classes_do_not_change_loss_or_gradient(options: dict[str, Any], apart: bool, toy) -> None:
    joint = Case(toy, apart=apart, **options).loss_and_gradient()
    for at_once in (1, 3):
        torch.testing.assert_close(
            Case(toy, at_once=at_once, apart=apart, **options).loss_and_gradient(), joint, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("options", [{}, {"distance": "mmd"}, {"classify": 0.5}], ids=str)
def test_batch_statistics_see_all_classes_in_one_forward(options: dict[str, Any], toy) -> None:
    case = Case(toy, arch="ConvNetBN", at_once=1, apart=True, **options)
    loss, _ = case.loss_and_gradient()
    view, network = case.comparison.view, case.network
    images = [view(each).flatten(0, 1) for each in (case.problem.real.at(case.comparison.index), case.synthetic())]
    real, made = (network.embed(each).unflatten(0, (4, -1)) for each in images)
    expected = mmd(real, made) if case.method.distance == "mmd" else means(real, made)
    if case.method.classify:
        embeddings = case.classifier.embed(images[1]).unflatten(0, (4, -1))
        losses = cross_entropies(case.classifier.head(embeddings), case.synthetic.labels())
        expected = expected + 0.5 * (scale_by_gradient(expected, made, losses, embeddings) * losses).sum()
    torch.testing.assert_close(loss.float(), expected.detach(), rtol=1e-4, atol=1e-5)


def test_without_classification_the_default_keeps_its_bits(toy) -> None:
    case = Case(toy, apart=True)
    loss, gradient = case.loss_and_gradient()
    engine, view = case.problem.engine, case.comparison.view
    real = engine.class_means(case.network, view(case.problem.real.at(case.comparison.index)))
    made = engine.class_means(case.network, view(case.synthetic()), differentiable=True)
    expected = (real - made).square().sum()
    assert float(loss) == float(expected.detach())
    assert torch.equal(gradient, torch.autograd.grad(expected, list(case.synthetic.parameters()))[0])


@pytest.mark.parametrize("weight", [0.5, 3.0])
@pytest.mark.parametrize("distance", [means, mmd, cf])
def test_the_weight_is_the_ratio_of_the_gradients(weight: float, distance: Callable[..., Tensor]) -> None:
    real, made, head = drawn(3, 20, 5), drawn(3, 4, 5, seed=1).requires_grad_(), drawn(5, 3, seed=2)
    matching = distance(real, made)
    losses = cross_entropies(made @ head, torch.arange(3)[:, None].expand(3, 4))
    scaled = weight * (scale_by_gradient(matching, made, losses, made) * losses).sum()
    norms = [torch.autograd.grad(one, made, retain_graph=True)[0].flatten(1).norm(dim=1) for one in (matching, scaled)]
    torch.testing.assert_close(norms[1], weight * norms[0])


def test_classification_alone_makes_the_network_right_on_all_images(toy) -> None:
    case = Case(toy, arch="ConvNetD1", classify=1e4, classify_by="loss", relative=True)
    sgd = torch.optim.SGD(case.network.parameters(), lr=0.02, momentum=0.9)
    for step in range(20):
        case.problem.train_step(case.network, Streams(0).at("training", step), sgd)
    case.network.requires_grad_(False)
    (parameter,) = case.synthetic.parameters()
    with torch.no_grad():
        parameter.copy_(torch.randn(parameter.shape, generator=Streams(0)("noise")))

    def accuracy() -> float:
        logits = case.network(case.comparison.view(case.synthetic()).flatten(0, 1))
        return float((logits.argmax(1) == case.synthetic.labels().flatten()).float().mean())

    before = accuracy()
    images = torch.optim.Adam([parameter], lr=0.1)
    for _ in range(50):
        images.zero_grad()
        case.loss_and_gradient()
        images.step()
    assert before < 0.7
    assert accuracy() == 1.0


def test_the_sampler_ascends_by_the_same_gradient_whatever_the_groups(toy) -> None:
    gradients: list[list[Tensor]] = []
    for at_once in (4, 1, 3):
        case = Case(toy, distance="cf", frequencies=16, sampler=True, at_once=at_once)
        sampler = case.comparison.run.state
        assert isinstance(sampler, FrequencySampler)
        updates = case.method.iterate(case.comparison.run)
        first = next(updates)
        assert isinstance(first, Step)
        assert (first.of, first.maximise) == ("sampler", True)
        parameters = list(sampler.parameters())
        value = differentiate(first.loss, parameters, maximise=True)
        gradients.append([parameter.grad for parameter in parameters if parameter.grad is not None])
        assert len(gradients[-1]) == len(parameters)
        assert all(parameter.grad is None for parameter in case.synthetic.parameters())
        torch.optim.SGD(parameters, lr=1e-3).step()
        loss, _ = case.loss_and_gradient()
        assert loss > value  # it has ascended
        assert sampler(torch.randn(16, 32 * 1)).abs().max() < 1
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-3, atol=1e-4)


def test_options_that_do_not_go_together_are_refused() -> None:
    for options, message in (
        ({"distance": "cf", "relative": True}, "--relative needs --distance mean: it has no effect"),
        ({"distance": "mmd", "features": "attention"}, "--features attention needs --distance mean, not mmd"),
        (
            {"distance": "mmd", "sampler": True},
            "--sampler needs --distance cf: it has no effect",
        ),
        ({"distance": "cf", "sampler": True, "networks": "queue"}, "use other --networks"),
        ({"classify": 1.0}, "--classify 1 needs --networks trained, blended or queue: it has no"),
        ({"networks": "trained", "ahead": 1}, "--ahead 1 needs --classify: it has no effect"),
        ({"features": "attention", "classify": 1.0, "networks": "trained"}, "use --classify-by loss"),
        ({"distance": "cf", "frequencies": 1}, "--frequencies 1: must be at least 2"),
    ):
        with pytest.raises(InputError, match=message):
            replace(DM, **options).check()


def test_ridge_regression_gives_the_synthetic_images_their_own_labels() -> None:
    made, labels = drawn(3, 4, 60), torch.arange(3)[:, None].expand(3, 4)
    own = float(ridge_cross_entropy(made, made, labels))
    # logits 10 (1 - 1/3) and -10/3, up to the ridge
    assert own == pytest.approx(float(torch.log(torch.tensor(1 + 2 * 2.718281828**-10))), rel=0.05)
    assert float(ridge_cross_entropy(drawn(3, 4, 60, seed=1), made, labels)) > 100 * own


@pytest.mark.parametrize("width", [5, 40], ids=["fewer dimensions than images", "more dimensions than images"])
def test_the_loss_of_ridge_regression_and_its_gradients_are_those_of_the_plain_formula(width: int) -> None:
    made, real = drawn(3, 4, width).requires_grad_(), drawn(3, 6, width, seed=1).requires_grad_()
    labels = torch.arange(3)[:, None].expand(3, 4)
    wanted = naive_distances.ridge_cross_entropy(list(real), list(made), 10.0, 1e-3)
    found = ridge_cross_entropy(real, made, labels)
    assert torch.allclose(found, wanted, rtol=1e-9)
    for one, other in zip(
        torch.autograd.grad(found, (made, real)), torch.autograd.grad(wanted, (made, real)), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-9)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(ridge_cross_entropy(real, made[:, order], labels), wanted)
    soft = torch.eye(3, dtype=torch.float64)[labels]
    assert torch.allclose(ridge_cross_entropy(real, made, soft), wanted)


def test_ridge_regression_keeps_its_precision_where_products_are_rounded_to_tf32() -> None:
    """Embeddings of a network share most of their direction, so that its matrix is close to singular."""
    real, made = (drawn(1, 64, seed=5) + 0.1 * drawn(3, n, 64, seed=n) for n in (20, 10))
    labels = torch.arange(3)[:, None].expand(3, 10)

    def gradient(real: Tensor, made: Tensor) -> Tensor:
        made = made.clone().requires_grad_()
        return torch.autograd.grad(ridge_cross_entropy(real, made, labels), made)[0]

    exact = gradient(real.float().double(), made.float().double())
    with cuda_switches(tf32=True):
        found = gradient(real.float(), made.float())
    assert found.dtype == torch.float32
    assert float((found - exact).norm() / exact.norm()) < 1e-5


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_the_weight_of_ridge_regression_is_the_ratio_of_the_gradients(weight: float) -> None:
    real, made = drawn(3, 6, 5), drawn(3, 4, 5, seed=1).requires_grad_(True)
    distance = means(real, made)
    error = ridge_cross_entropy(real, made, torch.arange(3)[:, None].expand(3, 4))
    (of_distance,) = torch.autograd.grad(distance, made, retain_graph=True)
    (of_both,) = torch.autograd.grad(distance + weight * balance(distance, error, made) * error, made)
    assert float((of_both - of_distance).norm() / of_distance.norm()) == pytest.approx(weight)
