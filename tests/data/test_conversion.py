"""Whatever people have their images in: it is taken, or refused in one sentence that names what is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from folders import picture
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import datacondense as dc
from datacondense import (
    DistributionMatching,
    ImageSet,
    InputError,
    SyntheticSet,
    as_image_set,
    condense,
    evaluate,
    image_set,
    load,
)
from datacondense.data.conversion import source_of

LABELS = np.arange(20) % 2
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
METHOD = DistributionMatching(iterations=1, batch_real=4, arch="ConvNetD1")


class Birds(Dataset[Any]):
    """A dataset of the user, of Pillow images."""

    classes = ("owl", "wren")

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(PIXELS[index].transpose(1, 2, 0)), int(LABELS[index])


@pytest.fixture
def photos(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder photos, with a class folder each, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for index, pixels in enumerate(PIXELS):
        path = picture(tmp_path / f"photos/{('owl', 'wren')[LABELS[index]]}/{index:02}.png")
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    return Path("photos")


def files(root: Path) -> tuple[list[str], list[str]]:
    found = sorted(root.rglob("*.png"), key=lambda path: path.name)
    return [str(path) for path in found], [path.parent.name for path in found]


def same(found: ImageSet, names: tuple[str, ...] = ("0", "1")) -> bool:
    assert found.spec.class_names == names
    return bool((found.images.numpy() == PIXELS).all() and (found.labels.numpy() == LABELS).all())


@pytest.mark.parametrize(
    "pair",
    [
        (PIXELS, LABELS),
        (PIXELS.transpose(0, 2, 3, 1), LABELS),
        (PIXELS / np.float32(255), LABELS.tolist()),
        (torch.from_numpy(PIXELS), torch.from_numpy(LABELS)),
        (torch.from_numpy(PIXELS) / 255, pandas.Series(LABELS)),
        [list(PIXELS), list(LABELS)],
        TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)),
        Subset(TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)), range(20)),
        DataLoader(TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)), batch_size=4, shuffle=True),
        {"images": PIXELS, "labels": LABELS},
        {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:2], "y_test": LABELS[:2]},
        {"train": (PIXELS, LABELS), "test": None},
        ((PIXELS, LABELS), (PIXELS[:2], LABELS[:2])),
        [[PIXELS, LABELS], [PIXELS[:2], LABELS[:2]]],
    ],
    ids=lambda one: type(one).__name__,
)
def test_arrays_are_taken_in_every_order_and_range(pair) -> None:
    assert same(as_image_set(pair))


@pytest.mark.parametrize("images", [PIXELS[:2], PIXELS[:2, 0]], ids=["colour", "grey"])
def test_two_images_with_their_labels_are_no_training_and_test_set(images: np.ndarray) -> None:
    for labels in ((0, 1), ["a", "b"], ("a", "b")):
        found = as_image_set((tuple(images), labels))
        assert len(found) == 2
        assert found.labels.tolist() == [0, 1]


def test_an_image_set_is_returned_as_it_is(toy) -> None:
    real = toy()
    assert as_image_set(real) is real
    assert as_image_set((real, toy(draw=1))) is real
    assert as_image_set((real, toy(draw=1)), part="test").fingerprint() == toy(draw=1).fingerprint()


def test_a_source_gives_the_part_that_fits(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("birds.npz", images=PIXELS, labels=LABELS, test_images=PIXELS[:4], test_labels=LABELS[:4])
    both = load("arrays:birds.npz")
    for data in ("arrays:birds.npz", "birds.npz", Path("birds.npz"), both):
        assert as_image_set(data).fingerprint() == both[0].fingerprint()
        assert as_image_set(data, part="test").fingerprint() == both[1].fingerprint()


def test_a_folder_is_taken_by_source_path_or_table(photos: Path) -> None:
    train, test = load("folder:photos")
    assert train.spec.flip
    assert not as_image_set("folder:photos", flip=False).spec.flip
    for data in ("folder:photos", "photos", photos, source_of("folder:photos")):
        assert as_image_set(data).fingerprint() == train.fingerprint()
        assert as_image_set(data, part="test").fingerprint() == test.fingerprint()
    paths, labels = files(photos)
    frame = pandas.DataFrame({"species": labels, "path": paths})
    assert same(as_image_set(frame), ("owl", "wren"))
    assert same(as_image_set((paths, labels)), ("owl", "wren"))
    frame["split"] = "train"
    assert same(as_image_set(frame, label_column="species"), ("owl", "wren"))
    with pytest.raises(InputError, match=r"columns species, split may all be the labels: name one .*label_column"):
        as_image_set(frame)
    assert as_image_set(frame, label_column="species", image_size=4).spec.shape == (3, 4, 4)


def test_a_dataset_of_torch_keeps_its_class_names() -> None:
    found = as_image_set(Birds(), flip=False)
    assert same(found, ("owl", "wren"))
    assert not found.spec.flip
    assert same(as_image_set(Birds(), spec=found.spec), ("owl", "wren"))


@pytest.mark.filterwarnings("ignore:.*far from.*:UserWarning", "ignore:mean .*:UserWarning")
def test_tables_of_hugging_face_are_taken_split_by_split() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "wren"])})
    rows = [Birds()[index] for index in range(20)]
    columns = {"image": [image for image, _ in rows], "label": [label for _, label in rows]}
    table = datasets.Dataset.from_dict(columns, features=features)
    assert same(as_image_set(table), ("owl", "wren"))
    assert same(as_image_set(table.cast_column("image", datasets.Image(decode=False))), ("owl", "wren"))
    parts = datasets.DatasetDict(train=table, test=table.select(range(4)))
    train = as_image_set(parts)
    test = as_image_set(parts, part="test", spec=train.spec)
    assert same(train, ("owl", "wren"))
    assert test.spec is train.spec
    assert test.targets == [0, 1, 0, 1]
    with pytest.raises(InputError, match="there is no test part, only train"):
        as_image_set(datasets.DatasetDict(train=table), part="test")
    with pytest.raises(InputError, match=r"read from start to end only: give a dataset with len\(\)"):
        as_image_set(table.to_iterable_dataset())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PIXELS, "images without labels cannot be condensed: give a pair"),
        (None, "images cannot be taken from NoneType: give an ImageSet, a source such as 'digits'"),
        (7, "images cannot be taken from int"),
        ("photographs", "unknown data 'photographs'"),
        ((PIXELS, LABELS[:5]), "labels have shape"),
        ((list(PIXELS), [1, 2]), "there are 20 images and 2 labels"),
        ((PIXELS, 3), "a pair of ndarray and int is not images and labels"),
        ((PIXELS.reshape(20, -1), LABELS), "images have shape"),
        ((PIXELS * np.float32(1.5), LABELS), "images are floats from 0 to 382.5"),
        (iter([]), "list_iterator is read from start to end only"),
        ({"validation": (PIXELS, LABELS)}, "there is no train part, only validation"),
        ({}, "there is no train part, only an empty mapping"),
        ({"a": PIXELS, "b": LABELS}, "images"),
        (pandas.DataFrame({"a": [1], "b": [2], "c": [3]}), "no column is recognised as images"),
        (pandas.DataFrame(), "the table has no row"),
    ],
    ids=lambda one: one.split(":")[0] if isinstance(one, str) else "",
)
def test_everything_else_is_refused_in_one_sentence(data, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        as_image_set(data)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        condense(METHOD, data, 1)


def test_a_set_is_not_taken_for_real_images(toy) -> None:
    made = condense(METHOD, toy(), 1)
    with pytest.raises(InputError, match="images cannot be taken from SyntheticSet"):
        condense(METHOD, made, 1)
    with pytest.raises(InputError, match="networks are tested on real images"):
        evaluate(made, made)
    with pytest.raises(InputError, match="mean does not apply to digits"):
        as_image_set("digits", mean=[0.5])


def test_no_option_is_ignored(toy) -> None:
    real = toy()
    assert as_image_set(real) is real
    assert not as_image_set(real, flip=False).spec.flip
    with pytest.raises(InputError, match="mean does not apply to an ImageSet"):
        as_image_set(real, mean=[0.5])
    with pytest.raises(InputError, match="image_size does not apply to an ImageSet"):
        as_image_set(real, image_size=4)
    for data, what in ((real, "an ImageSet"), ("digits", "digits")):
        with pytest.raises(InputError, match=f"name does not apply to {what}: leave it out"):
            as_image_set(data, name="other")
    with pytest.raises(InputError, match="flip is a part of spec"):
        as_image_set((PIXELS, LABELS), spec=real.spec, flip=False)


def test_every_first_try_condenses_and_is_tested(photos: Path) -> None:
    datasets = pytest.importorskip("datasets")
    paths, labels = files(photos)
    table = datasets.Dataset.from_dict({"image": [Birds()[i][0] for i in range(20)], "label": LABELS.tolist()})
    tries = {
        "source": "folder:photos",
        "pair": (PIXELS, LABELS),
        "tensors": TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)),
        "table": table,
        "splits": datasets.DatasetDict(train=table, test=table),
        "frame": pandas.DataFrame({"path": paths, "label": labels}),
    }
    for name, data in tries.items():
        made = condense(METHOD, data, 1, progress=False)
        assert isinstance(made, SyntheticSet), name
        scores = evaluate(made, data, nets=1, epochs=1, progress=False)
        assert scores.trained_on["images"] == 2, name
    assert condense(METHOD, "folder:photos", 1).provenance.source["source"] == f"folder:{photos.absolute()}"


def test_labels_of_a_test_set_mean_what_they_mean_in_training() -> None:
    train = image_set(PIXELS, np.where(LABELS == 0, "wren", "owl"), name="birds")
    pair = PIXELS[:4], ["owl", "wren", "owl", "wren"]
    assert as_image_set(pair, spec=train.spec).targets == [0, 1, 0, 1]
    assert as_image_set(Birds(), spec=train.spec).targets == LABELS.tolist()


def test_new_images_of_some_classes_are_those_of_the_training_set(photos: Path) -> None:
    """A folder of new photos has a mean of its own, and may lack a class."""
    train = as_image_set("folder:photos")
    for kind, value in (("wren", 90), ("owl", 200)):
        for index in range(10):
            picture(Path(f"new/{kind}/{index}.png"))
            Image.new("RGB", (8, 8), (value, value + index, value)).save(f"new/{kind}/{index}.png")
    wide = image_set(PIXELS, np.where(LABELS == 0, "owl", "wren"), name="birds", class_names=["owl", "wren"])
    other = image_set(PIXELS, np.array([0, 1, 2, 2] * 5), name="three", class_names=["hawk", "owl", "wren"])
    for spec in (train.spec, wide.spec, other.spec):
        own = as_image_set("folder:new", part="test")
        for data in ("folder:new", own):
            found = as_image_set(data, part="test", spec=spec)
            assert [found.classes[k] for k in found.targets] == [own.classes[k] for k in own.targets]
            assert (found.spec.mean, found.spec.std, found.spec.class_names) == (spec.mean, spec.std, spec.class_names)
            assert torch.equal(found.images, own.images)
            assert torch.equal(found.batch(torch.arange(2))[0], spec.normalise(own.images[:2]))
    made = condense(METHOD, train, 1)
    assert evaluate(made, "folder:new", nets=1, epochs=1).trained_on["images"] == 2


def test_images_of_another_set_are_refused(photos: Path, toy) -> None:
    real, birds = toy(), as_image_set("folder:photos")
    for data in (birds, "folder:photos"):
        with pytest.raises(InputError, match="the training images of 'photos' do not fit the set made from 'toy'"):
            as_image_set(data, spec=real.spec)
        with pytest.raises(InputError, match="the test images of 'photos' do not fit the set made from 'toy'"):
            as_image_set(data, part="test", spec=real.spec)
    other = image_set(PIXELS, np.where(LABELS == 0, "owl", "hawk"), name="other")
    with pytest.raises(InputError, match=r"the test images of 'other' do not fit .* class_names is"):
        as_image_set(other, part="test", spec=birds.spec)
    with pytest.raises(InputError, match=r"the training images of 'photos' do not fit .* mean is"):
        as_image_set(birds, spec=image_set(PIXELS // 2, LABELS, name="dark", class_names=birds.classes).spec)


def test_every_function_of_images_takes_them_alike(toy, tmp_path: Path) -> None:
    made = condense(METHOD, toy(), 1)
    wrong: Any = 7
    calls = [
        lambda: dc.condense(METHOD, wrong, 1),
        lambda: dc.estimate(METHOD, wrong, 1),
        lambda: dc.auto(wrong, 1),
        lambda: dc.evaluate(wrong, toy()),
        lambda: dc.evaluate(made, wrong),
        lambda: dc.evaluate(made, toy(), train=wrong, beside=["random"]),
        lambda: dc.estimate_evaluation(made, wrong),
        lambda: dc.evaluate_columns(made, wrong, toy()),
        lambda: dc.evaluate_columns(made, toy(), wrong),
        lambda: dc.rank(made, wrong, toy()),
        lambda: dc.rank(made, toy(), wrong),
        lambda: dc.label(made, wrong),
        lambda: dc.learn_continually(METHOD, wrong, toy(), dc.Scenario(), tmp_path),
        lambda: dc.learn_continually(METHOD, toy(), wrong, dc.Scenario(), tmp_path),
        lambda: dc.Condenser(METHOD).fit(wrong),
    ]
    for call in calls:
        with pytest.raises(InputError, match="images cannot be taken from int: give an ImageSet"):
            call()
