"""What the pixels of others' files are: found out, asked for, undone; never silently mistaken."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datacondense import ImageSet, InputError, condense, evaluate, load, load_set
from datacondense.cli.app import main
from datacondense.formats import FORMATS, PixelScale, export, import_sets
from datacondense.formats.pixel_normalisation import normalise_pixels
from datacondense.formats.pixel_scale import PixelOptions
from datacondense.formats.zca_whitening import EPSILON, fit_whitening
from datacondense.methods import DistributionMatching

OUR_CHOICE = "ignore:.*pixels are read as"


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def train() -> ImageSet:
    return load("digits")[0]


def whitening(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and matrix as kornia 0.6 fits them, eps 0.1: in float32, by a singular value decomposition."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    u, s, _ = torch.linalg.svd((flat - mean).T @ (flat - mean) / (len(flat) - 1))
    return mean, u @ torch.diag(torch.rsqrt(s + 0.1)) @ u.T


def whitened(images: Tensor, by: tuple[Tensor, Tensor]) -> Tensor:
    return ((images.flatten(1) - by[0]) @ by[1]).reshape(images.shape)


def unit(images: Tensor, train: ImageSet) -> Tensor:
    mean, std = torch.tensor([train.spec.mean, train.spec.std])[:, :, None, None]
    return images * std + mean


def first(train: ImageSet, ipc: int) -> tuple[Tensor, Tensor]:
    return train.batch(train.members[:, :ipc].flatten())


@pytest.fixture(scope="module")
def learned(train: ImageSet) -> dict[str, Tensor]:
    """Normalised images (N, 1, 8, 8): real ones, noise, and condensed from either."""
    noise = torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    method = DistributionMatching(iterations=5, batch_real=32, lr=1.0, augment="none", arch="ConvNetW32")
    noisy = DistributionMatching(iterations=5, batch_real=32, augment="none", arch="ConvNetW32", init="noise")
    return {
        "real": first(train, 5)[0],
        "one of each": first(train, 1)[0],
        "noise": noise,
        "learned": condense(method, train, ipc=5, seed=0, compile="off").images,
        "learned from noise": condense(noisy, train, ipc=5, seed=0, compile="off").images,
    }


@pytest.fixture(scope="module")
def forms(train: ImageSet, learned: dict[str, Tensor]) -> dict[tuple[str, str], Tensor]:
    """(images, form) -> the pixels that a file would hold."""
    every = train.spec.normalise(train.images)
    of_unit, of_normalised = whitening(train.images.float() / 255), whitening(every)
    found = {}
    for name, images in learned.items():
        plain = unit(images, train)
        clipped = plain.clamp(0, 1)
        found |= {
            (name, "normalised"): images,
            (name, "unit"): plain,
            (name, "unit, clipped"): clipped,
            (name, "bytes"): plain * 255,
            (name, "bytes of uint8"): (clipped * 255).round().byte(),
            (name, "bytes of int64"): (clipped * 255).round().long(),
            (name, "zca"): whitened(plain, of_unit),
            (name, "zca of normalised"): whitened(images, of_normalised),
            (name, "in [-1, 1]"): clipped * 2 - 1,
            (name, "in [0, 16]"): clipped * 16,
            (name, "whole numbers to 15"): (clipped * 15).round().byte(),
            (name, "only 0 and 1"): (clipped > 0.5).byte(),
        }
    return found


def detect(images: Tensor, train: ImageSet, *, never_whitened: bool | None = None, real: bool = True) -> Any:
    try:
        return normalise_pixels(
            images, train.spec, PixelOptions("auto", train if real else None), never_whitened=never_whitened
        )[1]
    except InputError:
        return None


def test_no_form_is_silently_taken_for_another(train: ImageSet, forms: dict[tuple[str, str], Tensor]) -> None:
    for (name, form), images in forms.items():
        for real in (True, False):
            for never_whitened in (None, True, False):
                found = detect(images, train, never_whitened=never_whitened, real=real)
                if found is None or found.uncertain:
                    continue
                known_by_name = never_whitened and not real  # whitened noise in a file that has the authors' name
                if not (known_by_name and "noise" in name):
                    assert form.startswith(found.scale), (name, form, real, never_whitened, str(found))


def test_what_is_plain_needs_no_option(train: ImageSet, forms: dict[tuple[str, str], Tensor]) -> None:
    for name in ("real", "one of each", "learned"):
        for form in ("normalised", "unit", "unit, clipped", "bytes", "bytes of uint8", "bytes of int64"):
            found = detect(forms[name, form], train)
            assert found is not None, (name, form)
            assert form.startswith(found.scale)
    for name in ("noise", "learned from noise"):
        assert detect(forms[name, "normalised"], train, never_whitened=True).scale == "normalised"
        assert detect(forms[name, "normalised"], train).uncertain


@pytest.mark.parametrize(
    ("form", "pixels"),
    [
        ("normalised", "auto"),
        ("unit, clipped", "auto"),
        ("bytes of uint8", "auto"),
        ("bytes of int64", "bytes"),
        ("unit", "unit"),
        ("zca", "zca"),
        ("zca of normalised", "zca"),
    ],
)
@pytest.mark.filterwarnings(OUR_CHOICE)
def test_every_form_gives_the_same_images(
    form: str, pixels: Any, train: ImageSet, forms: dict[tuple[str, str], Tensor], learned: dict[str, Tensor]
) -> None:
    images, labels = forms["real", form], torch.arange(10).repeat_interleave(5)
    torch.save({"data": [[images, labels]], "accs_all_exps": {}}, "set.pt")
    import_sets("set.pt", train.spec, "back", pixels=pixels, real=train)
    back = load_set("back")
    assert torch.allclose(back.images, learned["real"], atol=2e-4)
    record = back.provenance.imported["pixels"]
    assert record["taken_for"] == form.split(",")[0].split()[0]
    assert record["because"]


def test_whitening_is_that_of_kornia_and_its_inverse_exact(train: ImageSet) -> None:
    plain = train.images[:20].float() / 255
    mean, matrix = whitening(train.images.float() / 255)
    ours = fit_whitening(train, "pixels in [0, 1]")
    assert torch.allclose(ours.mean.float(), mean, atol=1e-5)
    square = ours.vectors * (ours.variances + EPSILON).rsqrt() @ ours.vectors.T
    assert torch.allclose(square.float(), matrix, atol=1e-4)
    assert torch.allclose(ours.undo(whitened(plain, (mean, matrix))), plain.double(), atol=1e-5)


@pytest.mark.filterwarnings(OUR_CHOICE)
def test_undone_whitening_is_evaluated_as_the_images_were(train: ImageSet) -> None:
    images, labels = first(train, 5)
    white = whitened(unit(images, train), whitening(train.images.float() / 255))
    test = load("digits")[1]

    def accuracy(name: str) -> float:
        scores = evaluate(load_set(name), test, nets=1, epochs=30, augment="none", archs=["MLP"], compile="off")
        return scores.mean("MLP")

    torch.save([white, labels], "white.pt")
    torch.save([images, labels], "plain.pt")
    import_sets("white.pt", train.spec, "white", pixels="zca", real=train)
    import_sets("plain.pt", train.spec, "plain", real=train)
    import_sets("white.pt", train.spec, "wrong", pixels="normalised")
    assert abs(accuracy("white") - accuracy("plain")) < 0.02
    assert accuracy("wrong") < accuracy("plain") - 0.1


@pytest.mark.filterwarnings("default:.*pixels are read as")  # printed as a note
def test_the_command_says_what_was_taken_for_what(train: ImageSet, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = first(train, 2)
    torch.save([unit(images, train), labels], "data.pt")
    assert main("import data.pt --data digits back".split()) == 0
    assert "note: data.pt: pixels are read as unit: mean 0.3" in capsys.readouterr().err
    white = whitened(unit(images, train), whitening(train.images.float() / 255))
    torch.save({"data": [[white, labels]], "accs_all_exps": {}}, "res_DM_digits_ConvNet_2ipc.pt")
    assert main("import res_DM_digits_ConvNet_2ipc.pt --data digits other".split()) == 2
    error = capsys.readouterr().err
    assert "may be normalised or whitened" in error
    assert error.count("\n") == 1
    assert not Path("other").exists()
    assert main("import res_DM_digits_ConvNet_2ipc.pt --data digits other --pixels zca".split()) == 0
    assert torch.allclose(load_set("other").images, images, atol=2e-4)
    assert main("import res_DM_digits_ConvNet_2ipc.pt --data digits third --pixels byte".split()) == 2


def test_an_option_that_contradicts_the_file_is_refused(train: ImageSet) -> None:
    images, labels = first(train, 1)
    torch.save([images * 100, labels], "data.pt")
    with pytest.raises(InputError, match="does not match pixels from"):
        import_sets("data.pt", train.spec, "back", pixels="unit")
    torch.save([images, labels], "data.pt")
    with pytest.raises(InputError, match="undoing the whitening needs the training images"):
        import_sets("data.pt", train.spec, "back", pixels="zca")
    import_sets("data.pt", train.spec, "back", real=train)
    for to in ("pt", "npz", "hf", "folder"):
        export(load_set("back"), to, f"out-{to}")
        with pytest.raises(InputError, match="records the scale of its pixels"):
            import_sets(f"out-{to}", train.spec, "other", pixels="unit")


def test_two_files_of_trajectory_matching_are_one_set(train: ImageSet) -> None:
    images, labels = first(train, 2)
    Path("logged").mkdir()
    for name in ("best", "100", "2000"):
        torch.save(images if name == "best" else images + 1e-3, f"logged/images_{name}.pt")
        torch.save(labels, f"logged/labels_{name}.pt")
    torch.save(torch.tensor(0.01), "logged/lr_best.pt")
    for index, place in enumerate(("logged", "logged/images_best.pt", "logged/labels_best.pt")):
        import_sets(place, train.spec, f"back{index}", real=train)
        assert torch.equal(load_set(f"back{index}").images, images)
        assert torch.equal(load_set(f"back{index}").labels, labels)
    for name in ("images", "labels"):
        Path(f"logged/{name}_best.pt").unlink()
    import_sets("logged", train.spec, "last", real=train)
    assert load_set("last").provenance.imported["file"] == "logged"
    Path("logged/labels_2000.pt").unlink()
    with pytest.raises(InputError, match=r"images_2000\.pt holds images alone, but labels_2000\.pt is not beside it"):
        import_sets("logged/images_2000.pt", train.spec, "other")
    noise = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.save(noise, "images_best.pt")  # whitened or not, it looks the same
    torch.save(labels, "labels_best.pt")
    with pytest.raises(InputError, match="may be normalised or whitened"):
        import_sets("images_best.pt", train.spec, "other", real=train)
    torch.save(images, "alone.pt")
    with pytest.raises(InputError, match="holds one tensor"):
        import_sets("alone.pt", train.spec, "other")


def test_images_with_tiles_are_cut(train: ImageSet) -> None:
    images, labels = first(train, 1)
    for factor in (1, 2):
        directory = Path(f"conv3in_grad_l1_nd500_factor{factor}_lr0.0001_mix_ipc1")
        directory.mkdir()
        torch.save([unit(images, train), labels], directory / "data.pt")
    with pytest.warns(UserWarning, match="read as unit") as caught:
        import_sets("conv3in_grad_l1_nd500_factor1_lr0.0001_mix_ipc1/data.pt", train.spec, "one")
    assert not any("tiles" in str(one.message) for one in caught)
    file = "conv3in_grad_l1_nd500_factor2_lr0.0001_mix_ipc1/data.pt"
    with pytest.warns(UserWarning, match="each of its images is cut into 2 x 2 training images"):
        import_sets(file, train.spec, "two", pixels="unit")
    two = load_set("two")
    assert (two.provenance.imported["factor"], two.provenance.ipc) == (2, 1)
    assert two.labels.tolist() == labels.repeat_interleave(4).tolist()
    assert torch.allclose(two.images, published_tiles(unit(images, train), 2, train), atol=1e-5)
    assert two.stored is not None
    assert torch.allclose(two.stored.tensors()["images"], images, atol=1e-6)
    import_sets(file, train.spec, "whole", pixels="unit", factor=1)
    assert torch.equal(load_set("whole").images, load_set("one").images)
    shutil.copy(file, "renamed.pt")
    import_sets("renamed.pt", train.spec, "named", pixels="unit", factor=2)
    assert load_set("named").fingerprint() == two.fingerprint()
    with pytest.raises(InputError, match="--factor 9: images of 8 x 8 have fewer pixels"):
        import_sets("renamed.pt", train.spec, "other", pixels="unit", factor=9)
    with pytest.raises(InputError, match="--factor 17: must be at least 1 and at most 16"):
        import_sets("renamed.pt", train.spec, "other", pixels="unit", factor=17)
    for to in FORMATS:
        export(two, to, f"out-{to}")
        with pytest.raises(InputError, match="holds training images, not tiles: leave it out"):
            import_sets(f"out-{to}", train.spec, "other", factor=2)


def published_tiles(pixels: torch.Tensor, factor: int, train: ImageSet) -> torch.Tensor:
    """Return the normalised tiles of images in [0, 1], literally as IDC decodes them: cut, enlarge bilinearly.

    IDC orders them tile by tile; here all tiles of an image follow one another.
    """
    n, _, h, w = pixels.shape
    size = h // factor, w // factor
    found = [
        torch.nn.functional.interpolate(
            pixels[:, :, row * size[0] : (row + 1) * size[0], column * size[1] : (column + 1) * size[1]],
            size=(h, w),
            mode="bilinear",
        )
        for row in range(factor)
        for column in range(factor)
    ]
    mean, std = (torch.tensor(part)[:, None, None] for part in (train.spec.mean, train.spec.std))
    return (torch.stack(found, 1).reshape(n * factor**2, *pixels.shape[1:]) - mean) / std


def test_arrays_of_any_arrangement_are_read(train: ImageSet) -> None:
    images, labels = first(train, 2)
    byte = (unit(images, train) * 255).round().byte()
    accuracies = {"ConvNet": np.array([[0.5, 0.25]], np.float32), "MLP": torch.tensor([0.5]), "LeNet": [np.float64(0)]}
    contents: dict[str, Any] = {
        "a dict": {"images": byte, "labels": labels},
        "a dict of arrays": {"images": byte.numpy(), "labels": labels.numpy()},
        "a tuple": (byte, labels),
        "data": {"data": [byte, labels]},
        "channel last": (byte.permute(0, 2, 3, 1).contiguous(), labels.int()),
        "no channel": (byte[:, 0], labels[:, None]),
        "one-hot": (byte, torch.nn.functional.one_hot(labels, 10)),
        "float labels": (byte, labels.float()),
        "accuracies of arrays": {"data": [[byte, labels]], "accs_all_exps": accuracies},
    }
    for name, content in contents.items():
        torch.save(content, "in.pt")
        with pytest.warns(UserWarning, match="read as bytes"):
            import_sets("in.pt", train.spec, "back", overwrite=True)
        back = load_set("back")
        assert torch.equal(train.spec.pixels(back.images), byte), name
        assert torch.equal(back.labels, labels), name
    assert load_set("back").provenance.published == {"ConvNet": [0.5, 0.25], "MLP": [0.5], "LeNet": [0.0]}
    np.savez("in.npz", images=byte.numpy(), labels=labels.numpy())
    with pytest.warns(UserWarning, match="read as bytes"):
        import_sets("in.npz", train.spec, "back", overwrite=True)
    assert torch.equal(train.spec.pixels(load_set("back").images), byte)
    with pytest.raises(InputError, match="does not describe its images: name the data with --data"):
        import_sets("in.npz", None, "other")


def test_a_choice_that_does_not_look_right_is_carried_out_with_a_note(train: ImageSet) -> None:
    images, labels = first(train, 1)
    torch.save([images * 0.1, labels], "data.pt")
    with pytest.warns(UserWarning, match=r"read as normalised: .*though mean and deviation are not those of such"):
        import_sets("data.pt", train.spec, "back", pixels="normalised")
    torch.save([unit(images, train), labels], "data.pt")
    with pytest.warns(UserWarning, match=r"read as bytes: .*though mean and deviation"):
        import_sets("data.pt", train.spec, "dark", pixels="bytes")


def test_a_choice_of_pixels_that_cannot_be_right_is_noted(train: ImageSet) -> None:
    images, labels = first(train, 5)
    plain = unit(images, train)
    white = whitened(plain, whitening(train.images.float() / 255))
    cases: list[tuple[torch.Tensor, PixelScale]] = [(plain, "normalised"), (white, "normalised"), (plain, "zca")]
    for pixels, choice in cases:
        torch.save([pixels, labels], "set.pt")
        with pytest.warns(UserWarning, match="though mean and deviation are not those of such images"):
            import_sets("set.pt", train.spec, "set", pixels=choice, real=train, overwrite=True)
