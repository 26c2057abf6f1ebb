"""The loop that trains a network."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense import InputError, Recipe
from datacondense.augment import parse
from datacondense.data.image_set import Examples, LabelledImages
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution
from datacondense.networks import Network, build
from datacondense.training.loop import Relabel, Training, train
from datacondense.utils.streams import Streams

EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=256, classes_at_once=3, threads=1)
RECIPES = {
    "published": Recipe(epochs=5, batch=50),
    "adam": Recipe(epochs=5, batch=50, optimiser="adam", schedule="cosine", warm_up=4, loss="mse", ema=0.9),
    "cutmix": Recipe(epochs=5, batch=50, mix="cutmix", ema=0.5, schedule="constant"),
    "adamw": Recipe(epochs=5, batch=50, optimiser="adamw", mix="mixup", loss="kl", temperature=2.0),
}


@pytest.mark.parametrize("arch", ["ConvNetD1", "ConvNetBN"])
@pytest.mark.parametrize("name", list(RECIPES))
def test_a_training_that_was_put_down_is_taken_up_bit_for_bit(name: str, arch: str, toy) -> None:
    real, recipe = toy(), replace(RECIPES[name], augment="crop")
    engine, augment = Engine(EAGER), parse("crop", real.spec)
    whole, part, rest = (build(arch, real.spec) for _ in range(3))
    train(whole, real, Streams(3), engine, recipe, augment=augment)
    for epochs in range(6) if arch == "ConvNetD1" else (3,):
        first = Training(part, real, Streams(3), engine, recipe, augment=augment)
        for _ in range(epochs):
            first.epoch()
        second = Training(rest, real, Streams(3), engine, recipe, augment=augment)
        second.restore(first.state())
        while second.done < recipe.epochs:
            second.epoch()
        second.finish()
        assert all(map(torch.equal, whole.state_dict().values(), rest.state_dict().values()))


def trained(examples: Examples, recipe: Recipe) -> Network:
    network = build("MLP", examples.spec)
    train(network, examples, Streams(0), Engine(EAGER), recipe, augment=parse("none", examples.spec))
    return network


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_one_hot_labels_train_as_their_classes_do(loss: str, toy) -> None:
    images, labels = toy().batch(torch.arange(60))
    recipe = Recipe(epochs=3, batch=16, loss=loss)
    networks = [
        trained(LabelledImages(images, given, toy().spec), recipe) for given in (labels, F.one_hot(labels, 3).float())
    ]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other)


def test_a_network_learns_from_soft_labels(toy) -> None:
    images, labels = toy().batch(torch.arange(120))
    soft = 0.8 * F.one_hot(labels, 3).float() + 0.2 / 3
    network = trained(LabelledImages(images, soft, toy().spec), Recipe(epochs=30, batch=30))
    probabilities = network(images).detach().softmax(1)
    assert float((probabilities.argmax(1) == labels).float().mean()) > 0.9
    assert float(probabilities.max(1).values.mean()) < 0.95  # not surer than its labels


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_adam_with_warm_up_cosine_and_average_is_that_written_out(ema: float, toy) -> None:
    """The recipe of FRePo, with PyTorch's own scheduler."""
    images, labels = toy().batch(torch.arange(60))
    examples = LabelledImages(images.double(), labels, toy().spec)
    recipe = Recipe(epochs=4, batch=20, optimiser="adam", lr=0.01, schedule="cosine", warm_up=3, loss="mse", ema=ema)
    ours, network = (build("MLP", toy().spec).double() for _ in range(2))
    train(ours, examples, Streams(0), Engine(EAGER), recipe, augment=parse("none", toy().spec))

    network.reset(Streams(0)("network"))
    adam = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=5e-4)
    average, step = [weight.detach().clone() for weight in network.parameters()], 0

    def factor(t: int) -> float:
        return (t + 1) / 3 if t < 3 else (1 + math.cos(math.pi * (t - 3) / 9)) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(adam, factor)
    for epoch in range(1, 5):
        for index in torch.randperm(60, generator=Streams(0).at(epoch)("order")).split(20):
            target = F.one_hot(labels[index], 3).double() - 1 / 3
            adam.zero_grad()
            (0.5 * (network(images[index].double()) - target).square().sum(1)).mean().backward()
            adam.step()
            schedule.step()
            decay = min(ema, (1 + step) / (10 + step))
            average = [decay * a + (1 - decay) * w.detach() for a, w in zip(average, network.parameters(), strict=True)]
            step += 1
    expected = average if ema else [weight.detach() for weight in network.parameters()]
    for one, other in zip(ours.parameters(), expected, strict=True):
        torch.testing.assert_close(one.detach(), other)


def test_the_second_phase_begins_without_momentum(toy) -> None:
    real, engine = toy(), Engine(EAGER)
    training = Training(
        build("MLP", real.spec), real, Streams(0), engine, Recipe(epochs=3), augment=parse("none", real.spec)
    )
    stored = []
    for _ in range(3):
        training.epoch()
        stored.append(any(name.startswith("sgd") for name in training.state()))
    assert stored == [True, False, True]  # 2 of 3 epochs have the full rate


def test_a_teacher_labels_the_augmented_batch(toy) -> None:
    """Against one epoch of SGD spelled out, on soft labels of the images that the network sees."""
    real, recipe = toy(), Recipe(epochs=1, batch=50, augment="crop")
    augment, streams = parse("crop", real.spec), Streams(3)
    ours, literal = build("ConvNetD1", real.spec), build("ConvNetD1", real.spec)
    weights = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))

    def teacher(images: Tensor) -> Tensor:
        return (images.flatten(1) @ weights).softmax(1)

    train(ours, real, streams, Engine(EAGER), recipe, augment=augment, relabel=teacher)
    literal.reset(streams("network"))
    sgd = torch.optim.SGD(literal.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    order = torch.randperm(120, generator=streams.at(1)("order"))
    for step, index in enumerate(order.split(50)):
        images = augment.per_image(streams.at(1).at(step)("augment"), len(index))(real.batch(index)[0])
        loss = -(teacher(images) * literal(images).log_softmax(1)).sum(1).mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    for one, other in zip(ours.parameters(), literal.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "wrong", [lambda images: torch.zeros(len(images), 4), lambda images: torch.zeros(len(images), 3, dtype=torch.int64)]
)
def test_labels_of_a_teacher_must_fit(wrong: Relabel, toy) -> None:
    real, augment = toy(), parse("none", toy().spec)
    with pytest.raises(InputError, match=r"relabel gives .* for 16 images of 3 classes: return float \(16, 3\)"):
        train(
            build("MLP", real.spec),
            real,
            Streams(0),
            Engine(EAGER),
            Recipe(epochs=1, batch=16),
            augment=augment,
            relabel=wrong,
        )
