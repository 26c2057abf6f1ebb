"""The files that IT-GAN's authors released: latents, and the generator that they belong to."""

from pathlib import Path

import numpy as np
import pytest
import torch
from published_biggan import published

from datacondense import ImageSet, InputError, image_set, load_set
from datacondense.cli.app import main
from datacondense.formats import import_latents, import_sets
from datacondense.networks.generators import BigGAN
from datacondense.synthetic.generated import Generated

KEYS = {"z_inverse_all": "inverted", "z_eff_all": "informative"}


@pytest.fixture
def train() -> ImageSet:
    """Three images of each of ten classes, mixed."""
    images = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    return image_set(images, np.arange(30) % 10, name="set")


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(published(latent=8), "G.pth")
    for key in KEYS:
        draw = torch.Generator().manual_seed(len(key))
        torch.save({key: torch.randn(30, 8, generator=draw).requires_grad_()}, f"{key}.pt")
    return tmp_path


@pytest.mark.parametrize("key", KEYS)
def test_latents_become_a_set_of_what_the_generator_makes_of_them(key: str, released, train: ImageSet) -> None:
    made = load_set(import_latents(f"{key}.pt", "G.pth", train, "run", ipc=2))
    assert made.labels.tolist() == sorted([*range(10), *range(10)])
    assert made.provenance.to_json()["latents"] == KEYS[key]
    generator = BigGAN.from_weights({name: w.half().float() for name, w in published(latent=8).items()}, train.spec)
    z = torch.load(f"{key}.pt")[key].detach().half().float()
    where = torch.tensor([place for k in range(10) for place in (k, k + 10)])  # in the order of the training images
    assert torch.allclose(made.images, generator(z[where], made.labels), atol=1e-5)
    assert isinstance(made.stored, Generated)
    assert torch.equal(made.stored.z, z[where])
    assert len(load_set(import_latents(f"{key}.pt", "G.pth", train, "all"))) == 30


def save_images(train: ImageSet) -> None:
    images, labels = train.images.permute(0, 2, 3, 1).numpy(), train.labels.numpy()
    np.savez("set.npz", images=images, labels=labels, test_images=images, test_labels=labels)


def test_import_as_a_user_calls_it(released, train: ImageSet, capsys) -> None:
    save_images(train)
    with_generator = "import z_eff_all.pt run --data arrays:set.npz --generator G.pth"
    assert main([*with_generator.split(), "--ipc", "1"]) == 0
    assert "10 images of latents: run" in capsys.readouterr().out
    assert main("evaluate run --nets 1 --epochs 1 --archs ConvNetD1".split()) == 0
    assert main("storage run".split()) == 0
    assert main(with_generator.split()) == 2
    assert "run is not empty: replace it with --overwrite" in capsys.readouterr().err
    assert main([*with_generator.split(), "--overwrite"]) == 0
    assert len(load_set("run")) == 30


@pytest.mark.parametrize(
    ("command", "message"),
    {
        "--generator G.pth": "name the training images with --data; the latents have their classes",
        "--ipc 1 --data arrays:set.npz": "--ipc 1: applies only to latents: name their generator with --generator",
        "--data arrays:set.npz": "z_eff_all.pt holds latents: name the weights of their generator with --generator",
        "--data arrays:set.npz --generator G.pth --ipc 0": "--ipc 0: must be at least 1",
        "--data arrays:set.npz --generator z_eff_all.pt": "these are not the weights of a BigGAN",
        "--data arrays:set.npz --generator absent": "absent is not a file of torch.save",
        "--data digits --generator G.pth": "it has 30 latents for 1,437 training images: one for each is needed",
    }.items(),
)
def test_what_does_not_fit_is_refused(command: str, message: str, released, train: ImageSet, capsys) -> None:
    save_images(train)
    assert main(["import", "z_eff_all.pt", "new", *command.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"z": torch.ones(30, 8)}, "is not a file of latents: expected z_inverse_all or z_eff_all in it"),
        ({"z_eff_all": torch.ones(30)}, r"z_eff_all of shape \(30,\) is not \(N, d\)"),
        ({"z_eff_all": torch.full((30, 8), torch.nan)}, "finite numbers"),
        ({"z_eff_all": torch.ones(30, 9)}, "its latents have 9 numbers, but G.pth takes 8"),
    ],
    ids=str,
)
def test_damaged_latents_are_refused(content: dict, message: str, released, train: ImageSet) -> None:
    torch.save(content, "z.pt")
    with pytest.raises(InputError, match=message):
        import_latents("z.pt", "G.pth", train, "new")


def test_latents_without_a_generator_say_what_is_missing(released, train: ImageSet) -> None:
    with pytest.raises(InputError, match="name the weights of their generator with --generator"):
        import_sets("z_eff_all.pt", train.spec, "new")
