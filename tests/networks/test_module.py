"""Modules of others as networks: fresh weights from our generator, the embedding, random layers, refusals."""

import copy
import math
import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter

from datacondense import NETWORKS, InputError, Network, Spec
from datacondense.engine.cost import forward_cost
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, Execution
from datacondense.methods.frequency_sampler import FrequencySampler
from datacondense.networks import build, registered
from datacondense.networks.module import ModuleNetwork
from datacondense.utils.streams import Streams

SPEC = Spec("toy", ("a", "b", "c"), (1, 8, 8), (0.5,), (0.25,), flip=False)


class Small(nn.Module):
    """A convolution with BatchNorm, dropout, and a linear head."""

    def __init__(self, spec: Spec = SPEC, dropout: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(spec.shape[0], 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * 16, spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(self.norm(self.convolution(images)).relu(), 2)
        return self.head(self.dropout(maps.flatten(1)))


class Attention(nn.Module):
    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__()
        self.rows = nn.Linear(8, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.classify = nn.Linear(16, spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.encoder(self.rows(images[:, 0])).mean(1))


class Recurrent(nn.Module):
    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__()
        self.rows = nn.LSTM(8, 6, batch_first=True)
        self.classify = nn.Linear(6, spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.rows(images[:, 0])[0][:, -1])


def lazy(spec: Spec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(spec.classes))


def dropping(spec: Spec) -> nn.Module:
    return Small(spec, dropout=0.5)


class Sums(nn.Module):
    """Logits without a linear head, from a weight of its own."""

    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, spec.classes))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


KINDS = [
    Small,
    Small(),
    dropping,
    dropping(SPEC),
    Attention,
    Attention(),
    Recurrent,
    Recurrent(),
    lazy,
    lazy(SPEC),
    Sums,
]


def made(one) -> Network:
    with registered(one) as (name,):
        return build(name, SPEC)


@pytest.fixture(params=range(len(KINDS)), ids=lambda number: getattr(KINDS[number], "__name__", type(KINDS[number])))
def kind(request):
    return KINDS[request.param]


def test_weights_are_fresh_repeatable_in_place_and_only_from_the_generator(kind) -> None:
    mine = dict(kind.named_parameters()) if isinstance(kind, nn.Module) else {}
    given = {name: one.detach().clone() for name, one in mine.items() if not isinstance(one, UninitializedParameter)}
    before = torch.get_rng_state()
    network, other = made(kind), made(kind)
    identities = [id(weight) for weight in network.parameters()]
    network.reset(Streams(5)("network"))
    torch.manual_seed(3)
    changed = torch.get_rng_state()
    other.train().reset(Streams(6)("network"))
    different = [not torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True)]
    assert any(different)
    other.eval().reset(Streams(5)("network"))
    assert torch.equal(torch.get_rng_state(), changed)
    torch.set_rng_state(before)
    assert [id(weight) for weight in network.parameters()] == identities
    assert network.state_dict().keys() == other.state_dict().keys()
    for one, two in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)
        assert torch.isfinite(one).all()
    for name, tensor in given.items():
        assert torch.equal(mine[name], tensor), "the module of the user is left alone"


def test_running_statistics_are_reset() -> None:
    network = made(Small())
    network.train()(torch.randn(5, 1, 8, 8))
    network.reset(Streams(0)("network"))
    norm = network.get_submodule("module.norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_mean.abs().max() == 0
    assert norm.num_batches_tracked == 0


def test_the_embedding_is_the_input_of_the_head_after_any_move(kind) -> None:
    network = made(kind)
    images = torch.randn(3, 1, 8, 8)
    if kind is Sums:
        with pytest.raises(InputError, match="network Sums has no embedding, which condensing compares"):
            network.embed(images)
        return
    network.reset(Streams(1)("network"))
    network.to(memory_format=torch.channels_last).double().float().train().eval()  # pyright: ignore (missing overload)
    embedding = network.embed(images)
    assert embedding.shape == (3, network.head.in_features)
    torch.testing.assert_close(network.head(embedding), network(images))
    gradient = torch.autograd.grad(embedding.square().sum(), [next(iter(network.parameters()))])[0]
    assert gradient.abs().sum() > 0


def test_a_norm_over_the_batch_is_known() -> None:
    assert made(Small).batch_statistics
    assert not made(Recurrent).batch_statistics


def test_costs_are_counted_without_weights(kind) -> None:
    with torch.device("meta"):
        network = made(kind)
    assert all(weight.is_meta for weight in network.parameters())
    operations, widest, layers = forward_cost(network, SPEC)
    assert operations > 0
    assert 0 < widest <= layers


def test_networks_that_cannot_be_batched_train_one_by_one() -> None:
    assert made(Small).side_by_side
    assert not made(dropping).side_by_side
    assert not made(Recurrent).side_by_side


def test_random_layers_draw_from_the_generator_of_the_reset() -> None:
    network, images = made(dropping), torch.randn(4, 1, 8, 8)
    network.reset(Streams(2)("network"))
    network.train()
    torch.manual_seed(1)
    first = [network(images) for _ in range(2)]
    state = copy.deepcopy(network.state_dict())
    third = network(images)
    assert not torch.equal(*first)
    network.reset(Streams(2)("network"))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(first[0], network(images))
    assert torch.equal(before, torch.get_rng_state())
    network.load_state_dict(state)
    assert torch.equal(third, network(images))
    assert torch.equal(network.eval()(images), network(images))


def test_the_embedding_draws_from_the_generator_of_the_reset() -> None:
    network, images = made(dropping), torch.randn(4, 1, 8, 8)
    network.train()
    embeddings: list[Tensor] = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network.reset(Streams(2)("network"))
        before = torch.get_rng_state()
        embeddings += [network.embed(images), network.embed(images)]
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(embeddings[0], embeddings[2])
    assert torch.equal(embeddings[1], embeddings[3])
    assert not torch.equal(embeddings[0], embeddings[1])


def _built(pause: Callable[[], None]) -> object:
    """Build a network of ours by a function that pauses."""
    NETWORKS["pausing"] = lambda spec: [pause(), NETWORKS["ConvNetD1"](spec)][1]
    return build("pausing", SPEC)


OTHERS: dict[str, Callable[[Callable[[], None]], object]] = {
    "module": lambda pause: ModuleNetwork(lambda: [pause(), Small()][1], SPEC, "pausing"),
    "network": _built,
    "sampler": lambda pause: (pause(), FrequencySampler(4, Streams(0)("sampler"))),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_another_thread_makes_meanwhile_changes_no_draw(other: str) -> None:
    """It pauses until this one draws, and this one until it is done, unless one of them has to wait for the other."""
    ready, drawing, done = threading.Event(), threading.Event(), threading.Event()

    def own(spec: Spec) -> nn.Module:
        first = nn.Linear(64, 8)
        if ready.is_set():
            drawing.set()
            done.wait(0.2)
        return nn.Sequential(nn.Flatten(), first, nn.Dropout(0.5), nn.Linear(8, spec.classes))

    def pause() -> None:
        ready.set()
        drawing.wait(0.2)

    def meanwhile() -> None:
        OTHERS[other](pause)
        done.set()

    network = made(own)
    network.reset(Streams(2)("network"))
    alone = copy.deepcopy(network.state_dict())
    before = torch.get_rng_state()
    thread = threading.Thread(target=meanwhile)
    thread.start()
    assert ready.wait(10)
    network.reset(Streams(2)("network"))
    thread.join()
    assert all(torch.equal(tensor, alone[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)


def test_classes_have_gradients_as_one_by_one() -> None:
    network = made(Small).eval()
    network.reset(Streams(0)("network"))
    images, labels = torch.randn(3, 4, 1, 8, 8), torch.arange(3)[:, None].expand(3, 4)
    engine = Engine(Compute(device="cpu", compile="off").plan("MLP", SPEC, 1))
    gradients = engine.class_gradients(network, images, labels, differentiable=True)
    for k in range(3):
        loss = F.cross_entropy(network(images[k]), labels[k])
        expected = dict(zip(gradients, torch.autograd.grad(loss, list(network.parameters())), strict=True))
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient[k], expected[name])


class Own(Network):
    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__()
        self.body = nn.Linear(64, 4)
        self.head = nn.Linear(4, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.body(images.flatten(1)).relu()


def test_a_network_of_ours_stays_what_it_is() -> None:
    given = Own()
    assert isinstance(made(Own), Own)
    copied = made(given)
    assert isinstance(copied, Own)
    assert copied is not given


def test_a_network_with_weights_that_it_does_not_draw_is_refused() -> None:
    network = made(Own)
    network.register_module("more", nn.Bilinear(2, 2, 1))
    with pytest.raises(InputError, match=r"Own has weights in a Bilinear, which Network\.reset does not draw"):
        network.reset(Streams(0)("network"))


def growing(spec: Spec) -> nn.Module:
    growing_widths.append(len(growing_widths) + 1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, growing_widths[-1]), nn.Linear(growing_widths[-1], spec.classes))


growing_widths: list[int] = []
GENERATOR = torch.Generator().manual_seed(0)


def elsewhere(spec: Spec) -> nn.Module:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, spec.classes))
    nn.init.normal_(next(module.parameters()), generator=GENERATOR)
    return module


def pair(spec: Spec) -> nn.Module:
    class Pair(Small):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images), images  # pyright: ignore[reportReturnType] (on purpose)

    return Pair(spec)


def no_module(spec: Spec) -> str:
    return spec.name


def without_spec() -> nn.Module:
    return Small()


class OwnWeight(Sums):
    pass


class Assigning(Small):
    def __init__(self, spec: Spec = SPEC) -> None:
        super().__init__(spec)
        self.mean = nn.Buffer(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.mean()
        return super().forward(images)


def frozen(spec: Spec) -> nn.Module:
    module = Small(spec)
    module.convolution.requires_grad_(False)
    return module


REFUSED = {
    r"network Assigning changes buffer mean by assignment: change it in place \(self\.mean\.copy_": Assigning,
    r"its parameter convolution\.weight is frozen, but all parameters are trained: register it as a buffer": frozen,
    "has other weights each time it is made": growing,
    "has other weights under the same seed: draw them with PyTorch's generator only": elsewhere,
    r"gives tuple for 2 images: let it give logits \(2, 3\)": pair,
    "is of type str: return an nn.Module": no_module,
    r"gives \(2, 64\) for 2 images: let it give logits \(2, 3\)": nn.Flatten(),
    r"cannot take images of toy, 1x8x8 \(C, H, W\): .*3 channels": nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten()),
    r"no layer draws the weights weight by reset_parameters\(\): give a function": OwnWeight(),
    "cannot be the name of a network: .*: define a function": lambda spec: Small(spec),
    "there is already a network MLP: rename the class or function of this one": type("MLP", (Small,), {})(),
    r"cannot be called with \(spec\): write a function of \(spec\)": without_spec,
    "is no network: give a name, a module, or a function": 3,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_network_is_refused_in_a_line(message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        made(REFUSED[message])
    assert "\n" not in str(caught.value)


def test_names_are_registered_only_meanwhile() -> None:
    before = list(NETWORKS)
    with registered(["MLP", Small(), lazy]) as names:
        assert names == ["MLP", "Small", "lazy"]
        assert set(NETWORKS) - set(before) == {"Small", "lazy"}
        assert isinstance(build("lazy", SPEC), ModuleNetwork)
    with pytest.raises(InputError, match="there is already a network Small"), registered([Small(), Small()]):
        pass
    assert list(NETWORKS) == before
    with registered(None) as names:
        assert names == []


def test_a_function_in_the_registry_may_give_any_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "theirs", Small)
    assert isinstance(build("theirs", SPEC), ModuleNetwork)


class Viewing(nn.Module):
    """A module that calls `view`, which fails on tensors with channels last: on activations, or on the images."""

    def __init__(self, spec: Spec, *, of: str) -> None:
        super().__init__()
        self.of = of
        self.convolution = nn.Conv2d(spec.shape[0], 4, 3, padding=1)
        self.head = nn.Linear((4 if of == "activations" else 3) * 64, spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images).relu() if self.of == "activations" else images
        return self.head(maps.view(len(images), -1))


@pytest.mark.parametrize("of", ["activations", "images"])
def test_a_module_that_views_its_maps_is_compiled_too(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # as fast as it is traced
    spec = Spec("toy", ("a", "b", "c"), (3, 8, 8), (0.5,) * 3, (0.25,) * 3)

    def viewing(spec: Spec) -> nn.Module:
        return Viewing(spec, of=of)

    images, labels = torch.randn(2, 5, 3, 8, 8), torch.tensor([[0] * 5, [2] * 5])
    found: list[list[Tensor]] = []
    with registered(viewing) as (name,):
        for compiled in (False, True):
            network = build(name, spec).eval()
            assert not network.channels_last
            network.reset(Streams(0)("network"))
            engine = Engine(Execution("cpu", "fp32", compiled, chunk=8, classes_at_once=2, threads=1))
            engine.prepare(network)
            gradients = engine.class_gradients(network, images, labels)
            differentiable = engine.class_gradients(network, images, labels, differentiable=True)
            means = engine.class_means(network.requires_grad_(False), images)
            found.append([means, *gradients.values(), *differentiable.values()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_module_that_flattens_its_maps_may_have_its_channels_last() -> None:
    assert ModuleNetwork(Small, SPEC, "small").channels_last


class Volume(nn.Module):
    """A module whose kernels have five dimensions, and so no channels last of four."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(1, 2, 3, padding=1)
        self.head = nn.Linear(2 * math.prod(spec.shape), spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.convolution(images[:, None]).flatten(1))


def test_a_module_with_kernels_of_five_dimensions_keeps_its_layout() -> None:
    network = ModuleNetwork(partial(Volume, SPEC), SPEC, "volume")
    assert not network.channels_last
    engine = Engine(Execution("cpu", "fp32", False, chunk=8, classes_at_once=2, threads=1))
    assert engine.prepare(network)(torch.zeros(2, *SPEC.shape)).shape == (2, SPEC.classes)


class Training(nn.Module):
    """A module that calls `view` in training only, and draws in evaluation only."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(spec.shape[0], 4, 3, padding=1)
        self.head = nn.Linear(4 * math.prod(spec.shape[1:]), spec.classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        return self.head(maps.view(len(maps), -1) if self.training else nn.functional.dropout(maps, 0.1).flatten(1))


def test_the_layout_is_tried_in_both_modes_without_a_trace_in_the_generator() -> None:
    before = torch.get_rng_state()
    assert not ModuleNetwork(partial(Training, SPEC), SPEC, "training").channels_last
    assert torch.equal(torch.get_rng_state(), before)
