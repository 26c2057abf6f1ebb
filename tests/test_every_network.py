"""Every network of the registry: published size, shapes, reset, functional use, refusals."""

import pytest
import torch

from datacondense import NETWORKS, InputError, Spec
from datacondense.networks import build
from datacondense.streams import Streams

FASHION = ((1, 28, 28), 10)
CIFAR10 = ((3, 32, 32), 10)
CIFAR100 = ((3, 32, 32), 100)
TINY = ((3, 64, 64), 200)

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
    "ConvNetW32": {FASHION: (24138, 512), CIFAR10: (24714, 512), CIFAR100: (70884, 512)},
    "ConvNetW64": {FASHION: (85130, 1024), CIFAR10: (86282, 1024), CIFAR100: (178532, 1024)},
    "ConvNetW256": {FASHION: (1225226, 4096), CIFAR10: (1229834, 4096), CIFAR100: (1598564, 4096)},
    "ConvNetNN": {FASHION: (316938, 2048), CIFAR10: (319242, 2048), CIFAR100: (503652, 2048)},
    "ConvNetLN": {FASHION: (661002, 2048), CIFAR10: (663306, 2048), CIFAR100: (847716, 2048)},
    "ConvNetNP": {FASHION: (1607946, 131072), CIFAR10: (1610250, 131072), CIFAR100: (13406820, 131072)},
}
SAME_SIZE_AS = {  # variants whose parameters only differ in kind
    "ConvNet": ["W128", "D3", "AS", "AR", "AL", "ASwish", "BN", "IN", "GN", "MP", "AP", "ASwishBN"],
}


def spec(shape: tuple[int, int, int], classes: int) -> Spec:
    names = tuple(map(str, range(classes)))
    return Spec("x", names, shape, (0.5,) * shape[0], (0.5,) * shape[0])


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in PUBLISHED.items() for case in cases], ids=str
)
def test_published_parameter_count_and_width(name: str, case) -> None:
    network = build(name, spec(*case))
    assert (parameters(network), network.head.in_features) == PUBLISHED[name][case]


def test_every_network_has_a_published_size() -> None:
    same = {base + suffix: base for base, suffixes in SAME_SIZE_AS.items() for suffix in suffixes}
    assert set(PUBLISHED) | set(same) == set(NETWORKS)
    for name, base in same.items():
        assert parameters(build(name, spec(*FASHION))) == PUBLISHED[base][FASHION][0]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 17, 24)])
def test_shapes_and_finite_output(name: str, shape: tuple[int, int, int]) -> None:
    network = build(name, spec(shape, 7))
    network.reset(Streams(0)("network"))
    images = torch.randn(3, *shape)
    embedding = network.embed(images)
    assert embedding.shape == (3, network.head.in_features)
    logits = network(images)
    assert logits.shape == (3, 7)
    assert torch.isfinite(logits).all()
    if not network.batch_statistics:
        torch.testing.assert_close(network(images[:1]), logits[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_reset_draws_all_weights_in_place_and_only_from_the_generator(name: str) -> None:
    network, other = build(name, spec((1, 16, 16), 2)), build(name, spec((1, 16, 16), 2))
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
    assert sum(changed) == 2 * (sum(isinstance(m, torch.nn.Conv2d) for m in network.modules()) + 1)


def test_reset_follows_the_default_initialisation_of_pytorch() -> None:
    network = build("ConvNet", spec((3, 32, 32), 10))
    network.reset(Streams(0)("network"))
    for parameter in (network.head.weight, network.head.bias):
        bound = 2048**-0.5
        assert parameter.abs().max() <= bound
        assert abs(float(parameter.detach().std()) - bound / 3**0.5) < 0.35 * bound


def test_batch_statistics_are_known() -> None:
    flagged = {name for name in NETWORKS if build(name, spec((1, 28, 28), 2)).batch_statistics}
    assert flagged == {"ConvNetBN", "ConvNetASwishBN"}


@pytest.mark.parametrize("name", NETWORKS)
def test_works_under_functional_call(name: str) -> None:
    network = build(name, spec((1, 16, 16), 2)).eval()
    network.reset(Streams(0)("network"))
    images = torch.randn(2, 1, 16, 16)
    doubled = {key: 2 * value for key, value in network.named_parameters()}
    output = torch.func.functional_call(network, doubled, (images,))
    assert not torch.equal(output, network(images))


def test_images_that_are_too_small_are_refused_with_the_size_that_is_served() -> None:
    with pytest.raises(InputError, match=r"depth 4 serves images of at least 16x16 pixels, x has 8x8.*ConvNetD3"):
        build("ConvNetD4", spec((1, 8, 8), 10))
    assert build("ConvNet", spec((1, 8, 8), 10)).head.in_features == 128


def test_an_unknown_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown arch 'ConvNetW65': did you mean 'ConvNetW64'"):
        build("ConvNetW65", spec((1, 28, 28), 10))
