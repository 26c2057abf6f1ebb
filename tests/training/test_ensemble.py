from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense import LOSSES, Recipe, evaluate, networks
from datacondense.augment import parse_training
from datacondense.augment.mix import MixKind
from datacondense.data.image_set import ImageSet, LabelledImages
from datacondense.data.spec import Spec
from datacondense.engine import execution
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Execution, networks_at_once
from datacondense.training.ensemble import BatchedNetwork, train_ensemble
from datacondense.training.loop import Relabel, train
from datacondense.training.optimiser import OptimiserKind
from datacondense.training.schedule import Schedule
from datacondense.utils.streams import Streams

SPEC = Spec("x", ("a", "b", "c"), (1, 16, 16), (0.5,), (0.5,))
EAGER = Execution(device="cpu", precision="fp32", compile=False, chunk=32, classes_at_once=3, threads=1)


def few() -> ImageSet:
    """Three classes of dark, middling and bright images, too noisy to be learnt whole."""
    labels = torch.arange(40) % 3
    noise = torch.randint(0, 160, (40, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    return ImageSet((noise + 30 * labels[:, None, None, None]).to(torch.uint8), labels, SPEC)


@pytest.mark.parametrize("arch", ["ConvNetW32", "ConvNetBN", "MLP", "LeNet"])
@pytest.mark.parametrize("augment", ["none", "color_crop_cutout_flip_scale_rotate", "dc:crop_scale_rotate_noise"])
def test_networks_side_by_side_are_those_trained_one_by_one(arch: str, augment: str) -> None:
    compare(
        Engine(EAGER), arch, augment, 1e-3
    )  # nine steps of SGD turn rounding, which differs by processor, into 7e-4


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["ConvNetW32"])
def test_so_they_are_compiled(arch: str) -> None:
    engine = Engine(Execution(**{**EAGER.to_json(), "compile": True}))
    with engine.active():
        compare(engine, arch, "none", 1e-3)


def compare(engine: Engine, arch: str, augment: str, tolerance: float) -> None:
    images, labels = few().batch(torch.arange(40))
    examples = LabelledImages(images, labels, SPEC)
    augmentation = parse_training(augment, SPEC, arch)
    recipe = Recipe(epochs=3, batch=16, augment=str(augmentation))
    streams = [Streams(0).at("evaluate", index) for index in range(3)]
    network = engine.prepare(networks.build(arch, SPEC))
    epochs: list[int] = []
    stack = train_ensemble(
        BatchedNetwork(network),
        examples,
        streams,
        engine,
        recipe,
        augment=augmentation,
        on_epoch=lambda: epochs.append(1),
    )
    together = stack.predict(images)
    assert len(epochs) == 9
    for index, one in enumerate(streams):
        alone = engine.prepare(networks.build(arch, SPEC))
        train(alone, examples, one, engine, recipe, augment=augmentation)
        for name, tensor in alone.state_dict().items():
            state = stack.weights[name] if name in stack.weights else stack.buffers[name]
            torch.testing.assert_close(state[index], tensor, rtol=tolerance, atol=tolerance, msg=name)
        with torch.no_grad():
            logits = alone(images)
        sure = logits.topk(2).values.diff(dim=1).abs().flatten() > 0.01
        assert torch.equal(together[index][sure], logits.argmax(1)[sure])


RECIPES = [
    Recipe(
        epochs=2, batch=6, lr=0.003, optimiser=o, schedule=s, loss=loss, temperature=2.0, mix=mix, ema=ema, warm_up=w
    )
    for o, s, loss, mix, (ema, w) in product(
        get_args(OptimiserKind), get_args(Schedule), LOSSES, get_args(MixKind), [(0.0, 0), (0.9, 3)]
    )
    if mix == "none" or loss != "mse"
]


def in_words(recipe: Recipe) -> str:
    return f"{recipe.optimiser}-{recipe.schedule}-{recipe.loss}-{recipe.mix}-{recipe.ema}"


@pytest.mark.parametrize("recipe", RECIPES, ids=in_words)
def test_every_recipe_trains_alike_either_way(recipe: Recipe) -> None:
    images, labels = few().batch(torch.arange(16))
    same_recipe(recipe, LabelledImages(images.double(), labels, SPEC), "MLP")


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("mix", ["none", "mixup"])
def test_so_it_does_with_soft_labels_and_running_statistics(loss: str, mix: MixKind) -> None:
    images, labels = few().batch(torch.arange(16))
    soft = (2 * F.one_hot(labels, 3).double()).softmax(1)
    recipe = Recipe(epochs=2, batch=6, loss=loss, ema=0.9, mix=mix, augment="crop_flip")
    same_recipe(recipe, LabelledImages(images.double(), soft, SPEC), "ConvNetBN")


@pytest.mark.parametrize("loss", list(LOSSES))
def test_so_it_does_with_labels_of_a_teacher(loss: str) -> None:
    """The teacher sees each batch as the network does, augmented and mixed, whatever labels the examples have."""
    images, labels = few().batch(torch.arange(16))
    weights = torch.randn(16 * 16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mix: MixKind = "none" if loss == "mse" else "cutmix"
    recipe = Recipe(epochs=2, batch=6, loss=loss, mix=mix, augment="crop_flip")

    def teacher(images: Tensor) -> Tensor:
        return (images.flatten(1) @ weights).softmax(1)

    examples = LabelledImages(images.double(), labels, SPEC)
    same_recipe(recipe, examples, "ConvNetD1", teacher)
    other = LabelledImages(images.double(), (labels + 1) % 3, SPEC)
    engine, augment = Engine(EAGER), parse_training(recipe.augment, SPEC, "ConvNetD1")
    nets = [networks.build("ConvNetD1", SPEC).double() for _ in range(3)]
    for network, one, relabel in zip(nets, (examples, other, other), (teacher, teacher, None), strict=True):
        train(network, one, Streams(0), engine, recipe, augment=augment, relabel=relabel)
    assert torch.equal(nets[0].head.weight, nets[1].head.weight)
    assert not torch.equal(nets[0].head.weight, nets[2].head.weight)


def same_recipe(recipe: Recipe, examples: LabelledImages, arch: str, relabel: Relabel | None = None) -> None:
    """In float64: Adam turns the rounding of a gradient near 0 into a step."""
    engine, augment = Engine(EAGER), parse_training(recipe.augment, SPEC, arch)
    network = networks.build(arch, SPEC).double()
    streams = [Streams(0).at("evaluate", index) for index in range(2)]
    batched = BatchedNetwork(network, recipe.criterion)
    stack = train_ensemble(batched, examples, streams, engine, recipe, augment=augment, relabel=relabel)
    for index, one in enumerate(streams):
        alone = networks.build(arch, SPEC).double()
        train(alone, examples, one, engine, recipe, augment=augment, relabel=relabel)
        for name, tensor in alone.state_dict().items():
            state = stack.weights[name] if name in stack.weights else stack.buffers[name]
            torch.testing.assert_close(state[index], tensor, msg=name)


def test_evaluation_gives_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def scores():
        return evaluate(few(), few(), archs=["MLP", "ConvNetW32"], nets=3, epochs=4, augment="none", compile="off")

    alone = scores()
    monkeypatch.setitem(execution._NETWORKS_SIDE_BY_SIDE, "cpu", True)
    monkeypatch.setattr(execution, "_memory", lambda _device: 2**31)
    assert networks_at_once(EAGER, "MLP", SPEC, 256) >= 3
    together = scores()
    for arch, accuracy in alone.accuracy.items():
        assert together.accuracy[arch] == pytest.approx(accuracy, abs=1 / 40)  # one image on the border


def test_memory_bounds_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert networks_at_once(EAGER, "MLP", SPEC, 256) == 1  # a CPU is busy with one
    monkeypatch.setitem(execution._NETWORKS_SIDE_BY_SIDE, "cpu", True)
    counts = []
    for memory in (2**20, 2**33, 2**34):
        monkeypatch.setattr(execution, "_memory", lambda _device, memory=memory: memory)
        counts.append(networks_at_once(EAGER, "ConvNet", SPEC, 256))
    assert counts[0] == 1 < counts[1] < counts[2]
