"""Teachers: their labels are the softmax of their logits, and they know the classes of the images they label."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from datacondense import NETWORKS, DistributionMatching, ImageSet, InputError, condense
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute
from datacondense.networks import build
from datacondense.training.real_teachers import TaughtTeachers, TeacherTraining
from datacondense.training.teacher import Teacher
from datacondense.training.teacher_weights import loaded, read_weights
from datacondense.training.trajectories import TrajectoryRecipe
from datacondense.utils import cache
from datacondense.utils.streams import Streams

SHORT = TrajectoryRecipe(steps=40, batch=32, lr=0.05)


def module(inputs: int = 64, classes: int = 3) -> nn.Sequential:
    """A network with running statistics, whose weights are drawn."""
    torch.manual_seed(0)
    layers = nn.Linear(inputs, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, classes)
    made = nn.Sequential(nn.Flatten(), *layers)
    made(torch.randn(50, inputs) + 0.3)  # which moves its statistics
    return made


def teacher(network: nn.Module, real: ImageSet) -> Teacher:
    engine = Engine(Compute().plan("MLP", real.spec, 1))
    return Teacher(network=network.eval(), engine=engine, classes=real.spec.classes, made={"teacher": "module"})


def taught(real: ImageSet, **changes: object) -> TaughtTeachers:
    usual = {"arch": "MLP", "augment": "none", "recipe": SHORT, "seed": 0, "compute": Compute(), **changes}
    return TeacherTraining(**usual).finish(real, lambda done, what: None)  # pyright: ignore[reportArgumentType]


def test_labels_are_the_softmax_of_the_logits_over_the_temperature(toy) -> None:
    """Of more images than a chunk holds, in evaluation mode."""
    made = teacher(module(), toy())
    images = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = torch.cat([made.network(one[None]) for one in images])
    assert made.engine.execution.chunk < 300
    for temperature in (1.0, 3.0):
        found = made.probabilities(images, temperature)
        torch.testing.assert_close(found, (logits / temperature).softmax(1))
    with pytest.raises(InputError, match="--temperature 0: must be above 0"):
        made.probabilities(images, 0.0)
    with pytest.raises(InputError, match=r"logits of shape \(2, 5\), expected \(2, 3\)"):
        teacher(module(classes=5), toy()).probabilities(images[:2])


def test_the_moments_of_real_training_are_teachers_that_learn(toy) -> None:
    real = toy()
    found = taught(real)
    kept = TeacherTraining(arch="MLP", augment="none", recipe=SHORT, seed=0, compute=Compute()).moments()
    assert list(found.at) == list(kept)
    assert kept[0.25] == 10
    assert kept[1.0] == 40
    first, last = found.at[1 / 160], found.at[1.0]
    assert first.accuracy(real) < last.accuracy(real) > 0.9
    made = {"teacher": "real", "arch": "MLP", "augment": "none", "seed": 0, "steps": 40, "moment": 0.25, "step": 10}
    assert found.at[0.25].settings() == {**made, "lr": SHORT.lr, "real_images": 120}
    again = taught(real)
    assert again.cached == again.seconds == found.seconds > 0 == found.cached
    images, _ = real.batch(torch.arange(9))
    assert torch.equal(again.at[0.25].probabilities(images), found.at[0.25].probabilities(images))


def test_methods_under_trained_networks_share_the_training(toy) -> None:
    real = toy()
    method = DistributionMatching(
        iterations=1, arch="ConvNetD1", augment="crop_scale", networks="trained", training_steps=6, batch_real=8
    )
    condense(method, real, 1, seed=3)
    files = list((cache.folder() / "trajectories").iterdir())
    recipe = TrajectoryRecipe(steps=6)
    found = taught(real, arch="ConvNetD1", augment="crop_scale", recipe=recipe, seed=3)
    assert found.cached == found.seconds
    assert list((cache.folder() / "trajectories").iterdir()) == files
    other = taught(real, arch="ConvNetD1", augment="crop_scale", recipe=recipe, seed=4)
    assert other.cached == 0


def permuted(real: ImageSet, numbers: list[int]) -> ImageSet:
    """The same images whose classes have other numbers."""
    return ImageSet(real.images, torch.tensor(numbers)[real.labels], real.spec)


@pytest.mark.parametrize("sizes", [(40, 40), (40, 9, 40), (30,) * 6])
def test_a_teacher_whose_classes_have_another_order_is_refused(sizes: tuple[int, ...], toy) -> None:
    real = toy(sizes=sizes)
    made = taught(real).at[1.0]
    made.check_classes(real, "mine.pt")
    classes = list(range(len(sizes)))
    with pytest.raises(InputError, match=r"the teacher mine.pt classifies \d+\.\d% of the images of toy correctly, wh"):
        made.check_classes(permuted(real, [*classes[1:], 0]), "mine.pt")


def test_the_accuracy_is_the_mean_over_classes(toy) -> None:
    real = toy(sizes=(30, 2, 10))

    class Zero(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0, 0.0]).expand(len(images), 3)

    assert teacher(Zero(), real).accuracy(real) == pytest.approx(1 / 3)


def drawn(arch: str, real: ImageSet) -> dict[str, Tensor]:
    network = build(arch, real.spec)
    network.reset(Streams(1)("network"))
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("kind", ["pt", "nested", "parallel", "half", "safetensors"])
def test_a_file_of_weights_is_read_however_it_was_saved(kind: str, tmp_path: Path, toy) -> None:
    real = toy()
    weights = drawn("ConvNetD1", real)
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        safetensors.torch.save_file(weights, path)
    elif kind == "parallel":
        torch.save({f"module.{name}": one for name, one in weights.items()}, path)
    elif kind == "half":
        torch.save({name: one.half() for name, one in weights.items()}, path)
    else:
        torch.save({"state_dict": weights, "epoch": 3} if kind == "nested" else weights, path)
    network = loaded("ConvNetD1", real.spec, read_weights(path), Engine(Compute().plan("MLP", real.spec, 1)))
    assert not network.training
    found = network.state_dict()
    for name, one in weights.items():
        assert torch.equal(found[name], one.half().float() if kind == "half" else one)


def test_weights_of_a_module_of_a_plug_in_are_loaded_under_its_own_names(toy) -> None:
    real = toy()
    NETWORKS["mine"] = lambda spec: nn.Sequential(nn.Dropout(0.5), module())  # pyright: ignore[reportArgumentType]
    own = nn.Sequential(nn.Dropout(0.5), module())
    engine = Engine(Compute().plan("MLP", real.spec, 1))
    network = loaded("mine", real.spec, own.state_dict(), engine)
    images, _ = real.batch(torch.arange(5))
    assert torch.equal(network(images), own.eval()(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.bias"), "network MLP: the weights lack head.bias: name the architecture .* with --arch"),
        (lambda w: w.update({"head.bias": torch.zeros(5)}), r"head.bias have shape \(5,\), expected \(3,\)"),
        (lambda w: w.update(other=torch.zeros(5)), "the weights other belong to another network: name it with --arch"),
        (lambda w: w["head.bias"].fill_(torch.nan), "the weights head.bias are not finite"),
    ],
)
def test_weights_of_another_network_are_refused(change, message: str, toy) -> None:
    real = toy()
    weights = drawn("MLP", real)
    change(weights)
    with pytest.raises(InputError, match=message):
        loaded("MLP", real.spec, weights, Engine(Compute().plan("MLP", real.spec, 1)))


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with pytest.raises(InputError, match=r"no teacher at .*x\.pt: give real, a run directory, or a file of weights"):
        read_weights(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match=r"x\.pt holds no weights: save network\.state_dict\(\) with torch\.save"):
        read_weights(path)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.safetensors is damaged"):
        read_weights(tmp_path / "x.safetensors")
