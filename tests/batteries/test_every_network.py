"""Every network of the registry: published size, shapes, reset, functional use, refusals."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datacondense import NETWORKS, InputError, Spec
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.networks import Network, build, suited
from datacondense.networks.mlp import MLP
from datacondense.utils.streams import Streams

FASHION = ((1, 28, 28), 10)
CIFAR10 = ((3, 32, 32), 10)
CIFAR100 = ((3, 32, 32), 100)
TINY = ((3, 64, 64), 200)
NETTE = ((3, 128, 128), 10)  # the size of the subsets of ImageNet that trajectory matching condenses

PUBLISHED = {  # name -> {(shape, classes): (parameters, embedding width)}
    "ConvNet": {
        FASHION: (317706, 2048),
        CIFAR10: (320010, 2048),
        CIFAR100: (504420, 2048),
        TINY: (1938120, 8192),
    },
    "ConvNetD1": {FASHION: (329226, 32768), CIFAR10: (331530, 32768), CIFAR100: (3280740, 32768)},
    "ConvNetD2": {FASHION: (231306, 8192), CIFAR10: (233610, 8192), CIFAR100: (970980, 8192)},
    "ConvNetD4": {FASHION: (450186, 512), CIFAR10: (452490, 512), CIFAR100: (498660, 512), TINY: (857160, 2048)},
    "ConvNetD5": {NETTE: (615690, 2048)},
    "ConvNetD6": {NETTE: (748170, 512)},
    "ConvNetW32": {FASHION: (24138, 512), CIFAR10: (24714, 512), CIFAR100: (70884, 512)},
    "ConvNetW64": {FASHION: (85130, 1024), CIFAR10: (86282, 1024), CIFAR100: (178532, 1024)},
    "ConvNetW256": {FASHION: (1225226, 4096), CIFAR10: (1229834, 4096), CIFAR100: (1598564, 4096)},
    "ConvNetNN": {FASHION: (316938, 2048), CIFAR10: (319242, 2048), CIFAR100: (503652, 2048)},
    "ConvNetLN": {FASHION: (661002, 2048), CIFAR10: (663306, 2048), CIFAR100: (847716, 2048)},
    "ConvNetNP": {FASHION: (1607946, 131072), CIFAR10: (1610250, 131072), CIFAR100: (13406820, 131072)},
    "ConvNetFRePo": {FASHION: (1558538, 8192), CIFAR10: (1560842, 8192)},  # 128, 256, 512 channels with biases
    "MLP": {FASHION: (118282, 128), CIFAR10: (411146, 128), CIFAR100: (422756, 128)},
    "LeNet": {FASHION: (61706, 84), CIFAR10: (62006, 84), CIFAR100: (69656, 84)},
    "AlexNet": {FASHION: (1865802, 3072), CIFAR10: (1872202, 3072), CIFAR100: (2148772, 3072)},
    "AlexNetBN": {FASHION: (1867722, 3072), CIFAR10: (1874122, 3072), CIFAR100: (2150692, 3072)},
    "VGG11": {FASHION: (9229962, 512), CIFAR10: (9231114, 512), CIFAR100: (9277284, 512)},
    "ResNet18": {FASHION: (11172810, 512), CIFAR10: (11173962, 512), CIFAR100: (11220132, 512)},
    "ResNet18BN_AP": {FASHION: (11213770, 4608), CIFAR10: (11250762, 8192), CIFAR100: (11988132, 8192)},
}
SAME_SIZE_AS = {  # variants whose parameters only differ in kind
    "ConvNet": ["ConvNet" + v for v in "W128 D3 AS AR AL ASwish BN IN GN MP AP ASwishBN".split()],
    "VGG11": ["VGG11BN"],
    "ResNet18": ["ResNet18BN"],
    "ResNet18BN_AP": ["ResNet18_AP"],
}
SIZES = PUBLISHED | {variant: PUBLISHED[base] for base, variants in SAME_SIZE_AS.items() for variant in variants}

SMALLEST = {  # shorter side in pixels of the smallest images served; of a ConvNet it depends on the depth
    "MLP": 1,
    "LeNet": 1,
    "AlexNet": 8,
    "AlexNetBN": 8,
    "VGG11": 2,
    "VGG11BN": 2,
    "ResNet18": 2,
    "ResNet18BN": 2,
    "ResNet18_AP": 2,
    "ResNet18BN_AP": 2,
}


def served(name: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape, enlarged where a ConvNet of many blocks needs more pixels."""
    least = {"ConvNetD5": 32, "ConvNetD6": 64}.get(name, 1)
    return shape[0], max(shape[1], least), max(shape[2], least)


def spec(shape: tuple[int, int, int], classes: int) -> Spec:
    names = tuple(map(str, range(classes)))
    return Spec("x", names, shape, (0.5,) * shape[0], (0.5,) * shape[0])


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in SIZES.items() for case in cases], ids=str)
def test_published_parameter_count_and_width(name: str, case) -> None:
    with torch.device("meta"):
        network = build(name, spec(*case))
    assert (sum(p.numel() for p in network.parameters()), network.head.in_features) == SIZES[name][case]


def test_every_network_has_a_published_size() -> None:
    assert set(SIZES) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 17, 24)])
def test_shapes_and_finite_output(name: str, shape: tuple[int, int, int]) -> None:
    shape = served(name, shape)
    network = build(name, spec(shape, 7))
    network.reset(Streams(0)("network"))
    images = torch.randn(3, *shape)
    embedding = network.embed(images)
    assert embedding.shape == (3, network.head.in_features)
    logits = network(images)
    assert logits.shape == (3, 7)
    assert torch.isfinite(logits).all()
    if not network.batch_statistics:
        torch.testing.assert_close(network(images[:1]), logits[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_reset_draws_all_weights_in_place_and_only_from_the_generator(name: str) -> None:
    network, other = (build(name, spec(served(name, (1, 16, 16)), 2)) for _ in range(2))
    identities = [id(p) for p in network.parameters()]
    before = torch.get_rng_state()
    network.reset(Streams(5)("network"))
    other.to(memory_format=torch.channels_last).reset(Streams(5)("network"))  # pyright: ignore (overload missing in the stubs)
    assert torch.equal(before, torch.get_rng_state())
    assert [id(p) for p in network.parameters()] == identities
    for one, two in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    network.reset(Streams(6)("network"))
    changed = [not torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True)]
    drawn = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(changed) == sum(len(list(m.parameters(recurse=False))) for m in drawn)


def test_reset_follows_the_default_initialisation_of_pytorch() -> None:
    network = build("ConvNet", spec((3, 32, 32), 10))
    network.reset(Streams(0)("network"))
    for parameter in (network.head.weight, network.head.bias):
        bound = 2048**-0.5
        assert parameter.abs().max() <= bound
        assert abs(float(parameter.detach().std()) - bound / 3**0.5) < 0.35 * bound


def test_batch_statistics_are_known() -> None:
    with torch.device("meta"):
        flagged = {name for name in NETWORKS if build(name, spec((1, 64, 64), 2)).batch_statistics}
    assert flagged == {"ConvNetBN", "ConvNetASwishBN", "AlexNetBN", "VGG11BN", "ResNet18BN", "ResNet18BN_AP"}


@pytest.mark.parametrize("name", NETWORKS)
def test_works_under_functional_call(name: str) -> None:
    shape = served(name, (1, 16, 16))
    network = build(name, spec(shape, 2)).eval()
    network.reset(Streams(0)("network"))
    images = torch.randn(2, *shape)
    doubled = {key: 2 * value for key, value in network.named_parameters()}
    output = torch.func.functional_call(network, doubled, (images,))
    assert not torch.equal(output, network(images))


def test_images_that_are_too_small_are_refused_with_the_size_that_is_served() -> None:
    with pytest.raises(InputError, match=r"depth 4 needs images of at least 16x16 pixels, but x has 8x8.*ConvNetD3"):
        build("ConvNetD4", spec((1, 8, 8), 10))
    assert build("ConvNet", spec((1, 8, 8), 10)).head.in_features == 128


@pytest.mark.parametrize(
    ("sides", "name"),
    [
        ((1, 300), "MLP"),
        ((2, 3), "ConvNetD1"),
        ((4, 7), "ConvNetD2"),
        ((8, 8), "ConvNet"),
        ((28, 28), "ConvNet"),
        ((32, 32), "ConvNet"),
        ((40, 500), "ConvNet"),
        ((48, 64), "ConvNetD4"),
        ((96, 128), "ConvNetD5"),
        ((224, 224), "ConvNetD6"),
    ],
)
def test_auto_is_the_convnet_whose_depth_suits_the_shorter_side(sides: tuple[int, int], name: str) -> None:
    for shape in ((1, *sides), (3, sides[1], sides[0])):
        assert suited(spec(shape, 10)) == name
        with torch.device("meta"):
            auto, named = build("auto", spec(shape, 10)), build(name, spec(shape, 10))
        assert list(auto.state_dict()) == list(named.state_dict())


def check_embeddings_depend_on_the_image(name: str, shape: tuple[int, int, int]) -> None:
    """A norm that sees a single pixel would give every image the same embedding."""
    network = build(name, spec(shape, 2))
    network.reset(Streams(0)("network"))
    with torch.no_grad():
        one, two = network.embed(torch.randn(2, *shape, generator=Streams(0)("images")))
    assert one.shape == (network.head.in_features,)
    assert torch.isfinite(one).all()
    assert float((one - two).norm() / one.norm()) > 0.02


@pytest.mark.parametrize("name", SMALLEST)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 16, 16), (2, 24, 17), (3, 64, 64)])
def test_networks_other_than_convnets_serve_8x8_to_64x64(name: str, shape: tuple[int, int, int]) -> None:
    check_embeddings_depend_on_the_image(name, shape)


@pytest.mark.parametrize("name", SMALLEST)
def test_networks_other_than_convnets_serve_down_to_their_smallest_size(name: str) -> None:
    side = SMALLEST[name]
    check_embeddings_depend_on_the_image(name, (1, side, side))
    if side > 1:
        refusal = rf"needs images of at least {side}x{side} pixels, but x has {side}x{side - 1}: use LeNet or MLP"
        with pytest.raises(InputError, match=refusal):
            build(name, spec((1, side, side - 1), 2))


def literal_resnet18(weights: Iterator[Tensor], images: Tensor, *, average_pooling: bool) -> Tensor:
    """Embeddings (N, D) by the published ResNet18 or ResNet18_AP, written out for its list of weights."""

    def conv(maps: Tensor, stride: int = 1) -> Tensor:
        weight = next(weights)
        return F.conv2d(maps, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(maps: Tensor) -> Tensor:
        return F.instance_norm(maps, weight=next(weights), bias=next(weights))

    maps = F.relu(norm(conv(images)))
    for width in (64, 64, 128, 128, 256, 256, 512, 512):
        if width == maps.shape[1]:
            maps = F.relu(norm(conv(F.relu(norm(conv(maps))))) + maps)
        elif average_pooling:
            inner = norm(conv(F.avg_pool2d(F.relu(norm(conv(maps))), 2)))
            maps = F.relu(inner + norm(F.avg_pool2d(conv(maps), 2)))
        else:
            inner = norm(conv(F.relu(norm(conv(maps, stride=2)))))
            maps = F.relu(inner + norm(conv(maps, stride=2)))
    return (maps if average_pooling else F.avg_pool2d(maps, 4)).flatten(1)


@pytest.mark.parametrize("name", ["ResNet18", "ResNet18_AP"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_resnets_are_the_published_ones_at_the_published_sizes(name: str, shape: tuple[int, int, int]) -> None:
    network = build(name, spec(shape, 2))
    network.reset(Streams(0)("network"))
    generator = Streams(0)("test")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.GroupNorm):  # not 1 and 0, so that the order of norms counts
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.5, 0.5, generator=generator)
        images = torch.randn(2, *shape, generator=generator)
        expected = literal_resnet18(network.parameters(), images, average_pooling=name.endswith("AP"))
        torch.testing.assert_close(network.embed(images), expected, rtol=1e-4, atol=1e-4)


def test_an_unknown_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown arch 'ConvNetW65': did you mean 'ConvNetW64'"):
        build("ConvNetW65", spec((1, 28, 28), 10))


def test_a_network_with_a_forward_of_its_own_is_taken_by_it() -> None:
    class Negated(MLP):  # pyright: ignore[reportGeneralTypeIssues]
        def forward(self, images: Tensor) -> Tensor:
            return -super().forward(images)

    spec = Spec("x", ("a", "b", "c"), (1, 8, 8), (0.5,), (0.25,))
    network: Network = Negated(spec)
    network.reset(torch.Generator().manual_seed(0))
    images = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    engine = Engine(Compute(device="cpu", compile="off").plan("MLP", spec, 1))
    assert engine.predict(network, images).tolist() == network(images).argmax(1).tolist()
    assert engine.predict(network, images).tolist() != network.head(network.embed(images)).argmax(1).tolist()
