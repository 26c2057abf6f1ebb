from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from datacondense.data.build import image_set
from datacondense.data.splits import drop_small_classes, split
from datacondense.utils.errors import InputError

LABELS = np.arange(6) % 3


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused(images: Any = None, labels: Any = LABELS, **kwargs: Any) -> str:
    images = pixels(6, 4, 5) if images is None else images
    return refusal(image_set, images, labels, **({"name": "toy"} | kwargs))


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (pixels(6, 4, 5), pixels(6, 4, 5)[:, None]),
        (pixels(6, 1, 4, 5), pixels(6, 1, 4, 5)),
        (pixels(6, 3, 4, 5), pixels(6, 3, 4, 5)),
        (pixels(6, 4, 5, 1), pixels(6, 4, 5, 1).transpose(0, 3, 1, 2)),
        (pixels(6, 4, 5, 3), pixels(6, 4, 5, 3).transpose(0, 3, 1, 2)),
        (pixels(6, 3, 5, 3), pixels(6, 3, 5, 3)),  # ambiguous: channels first
    ],
)
def test_every_layout_becomes_channels_first(images: np.ndarray, expected: np.ndarray) -> None:
    real = image_set(images, LABELS, name="toy")
    assert real.images.dtype == torch.uint8
    assert real.images.is_contiguous()
    assert np.array_equal(real.images, expected)
    assert real.spec.shape == expected.shape[1:]
    assert real.labels.dtype == torch.int64
    assert real.labels.tolist() == LABELS.tolist()


def test_defaults_and_given_fields_of_the_spec() -> None:
    spec = image_set(pixels(6, 4, 5), LABELS, name="toy").spec
    assert (spec.name, spec.class_names, spec.flip) == ("toy", ("0", "1", "2"), True)
    spec = image_set(
        pixels(6, 4, 5), LABELS, name="toy", class_names=["a", "b", "c"], mean=[0.5], std=[0.25], flip=False
    ).spec
    assert (spec.class_names, spec.mean, spec.std, spec.flip) == (("a", "b", "c"), (0.5,), (0.25,), False)
    assert spec == type(spec).from_json(spec.to_json())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_are_the_bytes_they_were_made_from(dtype: Any) -> None:
    steps = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    real = image_set((steps / 255).astype(dtype), np.array([0, 1, 0, 1]), name="toy")
    assert np.array_equal(real.images[:, 0], steps)


def test_floats_between_two_bytes_become_the_nearer_one() -> None:
    images = np.array([100.4, 100.6, 254.6, 0.4])[:, None, None] / 255
    assert image_set(images, np.array([0, 1, 0, 1]), name="toy").images.flatten().tolist() == [100, 101, 255, 0]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_tensors_are_taken_as_arrays_are(dtype: torch.dtype) -> None:
    images = torch.tensor([0, 1]).repeat(3)[:, None, None].expand(6, 4, 5).to(dtype)
    if dtype.is_floating_point:
        images.requires_grad_()
    real = image_set(images, torch.from_numpy(LABELS).to(torch.uint8), name="toy")
    assert real.images.unique().tolist() == [0, 255 if dtype.is_floating_point else 1]
    assert real.labels.tolist() == LABELS.tolist()


def test_the_set_is_a_copy_even_of_memory_that_is_read_only() -> None:
    images, labels = pixels(6, 1, 4, 5), LABELS.copy()
    real = image_set(images, labels, name="toy")
    images[:] = 0
    labels[:] = 0
    assert np.array_equal(real.images, pixels(6, 1, 4, 5))
    assert real.labels.tolist() == LABELS.tolist()
    images.flags.writeable = False
    assert image_set(images, LABELS, name="toy").images.max() == 0


def test_mean_and_std_are_those_of_the_pixels_in_float64() -> None:
    images = pixels(50, 3, 7, 9) // np.array([1, 2, 5], dtype=np.uint8)[:, None, None]
    spec = image_set(images, np.arange(50) % 3, name="toy").spec
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(spec.mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(spec.std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)


def test_a_channel_of_one_colour_can_be_normalised() -> None:
    images = pixels(6, 3, 4, 5)
    images[:, 1] = 77
    real = image_set(images, LABELS, name="toy")
    assert real.spec.std[1] == 1 / 255
    normalised, _ = real.batch(torch.arange(6))
    assert normalised.isfinite().all()
    assert normalised[:, 1].abs().max() < 1e-4


def test_a_test_set_shares_the_spec_and_may_lack_classes() -> None:
    train = image_set(pixels(6, 4, 5), LABELS, name="toy", class_names=["a", "b", "c"])
    test = image_set(pixels(2, 4, 5) // 2, np.array([2, 0]), spec=train.spec)
    assert test.spec is train.spec
    assert test.counts.tolist() == [1, 0, 1]


def test_a_test_set_that_does_not_fit_its_spec_is_refused() -> None:
    spec = image_set(pixels(6, 4, 5), LABELS, name="toy").spec
    assert refusal(image_set, pixels(6, 5, 4), LABELS, spec=spec) == (
        "images have shape (1, 5, 4) (C, H, W), expected (1, 4, 5) as in the training set"
    )
    assert "labels go up to 3, but the 3 classes are numbered 0 to 2" in refusal(
        image_set, pixels(6, 4, 5), LABELS + 1, spec=spec
    )


@pytest.mark.parametrize("fields", [{}, {"name": "b"}, {"class_names": "abc"}, {"mean": [0.5]}, {"std": [0.5]}])
def test_a_set_has_a_name_or_a_spec_and_not_both(fields: dict[str, Any]) -> None:
    spec = image_set(pixels(6, 4, 5), LABELS, name="toy").spec
    with_spec = {"spec": spec} if fields else {}
    assert "needs either the name" in refusal(image_set, pixels(6, 4, 5), LABELS, **with_spec, **fields)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([[1]], "images are of type list, expected a NumPy array or a torch tensor"),
        (pixels(6, 20), "images have shape (6, 20), expected (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3"),
        (pixels(6, 2, 4, 5), "images have shape (6, 2, 4, 5)"),
        (pixels(6, 4, 5, 4), "images have shape (6, 4, 5, 4)"),
        (pixels(0, 4, 5), "images have shape (0, 4, 5): they hold no pixel"),
        (pixels(6, 4, 5).astype(np.int64) - 1, "images have dtype int64 and go from -1 to 247, expected 0 to 255"),
        (pixels(6, 4, 5).astype(np.uint16) * 16, "images have dtype uint16 and go from 0 to 3968, expected 0 to 255"),
        (pixels(6, 4, 5).astype(object), "images have dtype object"),
        (pixels(6, 4, 5) / np.float32(2), "images are floats from 0 to 124, expected [0, 1]: scale them"),
        (pixels(6, 4, 5) * np.float32(2), "images are floats from 0 to 496, expected [0, 1]: scale them"),
        (np.full((6, 4, 5), -0.5), "images are floats from -0.5 to -0.5, expected [0, 1]: scale them"),
    ],
)
def test_unusable_images_are_refused(images: Any, said: str) -> None:
    assert said in refused(images)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_counted_and_located(value: float) -> None:
    images = np.zeros((6, 4, 5, 3), dtype=np.float32)
    images[2, 3, 1, 0] = images[5, 0, 0, 2] = value
    assert refused(images) == "images hold 2 pixels that are NaN or infinite, the first at index (2, 3, 1, 0)"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("012012", "labels are of type str, expected an array, a tensor or a list"),
        (LABELS / 2, "labels hold 0.5 at position 1, which is not a whole number"),
        (LABELS * 1j, "labels have dtype complex128, expected integers or strings"),
        (LABELS[:5], "labels have shape (5,), expected (6,): one for each image"),
        (np.zeros((6, 2, 2), int), "labels have shape (6, 2, 2), expected (6,)"),
        (LABELS - 1, "labels go down to -1: classes are numbered from 0"),
        (np.array([0, 1, 2, 3, 4, 2**64 - 1], dtype=np.uint64), "position 5, which is too large for a label"),
    ],
)
def test_unusable_labels_are_refused(labels: Any, said: str) -> None:
    assert said in refused(labels=labels)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"class_names": ["a", "b"]}, "labels go up to 2, but the 2 classes are numbered 0 to 1"),
        ({"class_names": {0: "a", 1: "b"}}, "labels hold 2, for which class_names has no name"),
        ({"mean": [0.5, 0.5, 0.5]}, "mean is (0.5, 0.5, 0.5), expected 1 numbers: one per channel"),
        ({"mean": [np.nan]}, "mean is (nan,), expected 1 numbers"),
        ({"std": []}, "std is (), expected 1 numbers"),
        ({"std": [0]}, "std is (0.0,): a standard deviation to divide by must be above 0"),
    ],
)
def test_unusable_fields_are_refused(fields: dict[str, Any], said: str) -> None:
    assert said in refused(**fields)


def numbered(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Images whose two pixels spell their position, so that a split can be read off."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    position = np.arange(len(labels))
    return np.stack([position // 256, position % 256], axis=-1).astype(np.uint8)[:, None], labels


def positions(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0].int() * 256 + images[:, 0, 0, 1]).tolist()


def test_a_split_takes_a_fifth_of_every_class_and_loses_nothing() -> None:
    counts = [1, 2, 3, 5, 8, 100, 301]
    images, labels = numbered(counts)
    train, test = split(image_set(images, labels, name="toy"))
    assert test.counts.tolist() == [0, 1, 1, 1, 2, 20, 60]
    assert (train.counts + test.counts).tolist() == counts
    assert sorted(positions(train.images) + positions(test.images)) == list(range(sum(counts)))
    for part in (train, test):
        assert part.labels.tolist() == labels[positions(part.images)].tolist()
    assert train.spec is test.spec
    assert train.spec == image_set(train.images, train.labels, name="toy").spec


def test_a_split_never_changes() -> None:
    _, test = split(image_set(*numbered([7, 9, 12]), name="toy"))
    assert positions(test.images) == [5, 14, 20, 22, 25]


def test_a_split_that_leaves_nothing_to_test_on_is_refused() -> None:
    assert "give test images as well" in refusal(split, image_set(pixels(3, 4, 5), np.arange(3), name="toy"))


def test_small_classes_are_left_out_and_named() -> None:
    images, labels = numbered([40, 3, 20, 9])
    train, test = split(image_set(images, labels, name="toy", class_names=["owl", "wren", "kite", "rook"]))
    with pytest.warns(UserWarning, match=r"fewer than 10 training images: wren \(2\), rook \(7\)"):
        few, few_test = drop_small_classes(train, test, 10)
    assert few.spec.class_names == ("owl", "kite")
    assert (few.counts.tolist(), few_test.counts.tolist()) == ([32, 16], [8, 4])
    names = np.array(["owl", "wren", "kite", "rook"])[labels]
    for part in (few, few_test):
        assert [few.spec.class_names[k] for k in part.labels] == names[positions(part.images)].tolist()
    assert few.spec == image_set(few.images, few.labels, name="toy", class_names=["owl", "kite"]).spec
    assert drop_small_classes(train, test, 2) == (train, test)


def test_fewer_than_two_classes_are_refused() -> None:
    train, test = split(image_set(*numbered([40, 3, 20]), name="toy"))
    assert refusal(drop_small_classes, train, test, 20) == "only 1 of 3 classes have 20 training images or more"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"class_names": ["a", "b\n", "c"]}, "class name 'b\\\\n' is not one line"),
        ({"class_names": ["a", "b", "a"]}, "class name 'a' occurs twice"),
        ({"name": "a\tb"}, "name of the data 'a\\\\tb' is not one line"),
    ],
)
def test_names_that_no_artefact_can_hold_are_refused(given: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"name": "toy", **given}
    with pytest.raises(InputError, match=message):
        image_set(pixels(6, 4, 5), LABELS, **options)


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="one class only"):
        image_set(pixels(6, 4, 5), np.zeros(6, int), name="toy")


def test_floats_that_arithmetic_has_brought_a_little_beyond_are_clipped() -> None:
    images = np.array([1 + 1e-7, -1e-7, 0.5, 1]).reshape(4, 1, 1)
    assert image_set(images, np.array([0, 1, 0, 1]), name="toy").images.flatten().tolist() == [255, 0, 128, 255]
    assert "expected [0, 1]" in refusal(image_set, images * 1.001, np.array([0, 1, 0, 1]), name="toy")


def test_many_floats_are_brought_to_bytes_in_parts() -> None:
    images = np.random.default_rng(0).random((40, 3, 300, 300), np.float32).transpose(0, 2, 3, 1)
    real = image_set(images, np.arange(40) % 2, name="toy").images.numpy()
    assert np.array_equal(real, np.rint(images * 255).astype(np.uint8).transpose(0, 3, 1, 2))


def test_a_split_of_many_images_takes_each_once() -> None:
    images = np.arange(5000, dtype=np.uint16).view(np.uint8).reshape(5000, 1, 1, 2)
    train, test = split(image_set(images, np.arange(5000) % 3, name="toy"))
    both = np.concatenate([part.images.numpy().reshape(-1, 2).view(np.uint16).ravel() for part in (train, test)])
    assert sorted(both.tolist()) == list(range(5000))
    for part in (train, test):
        values = part.images.numpy().reshape(-1, 2).view(np.uint16).ravel()
        assert (values % 3).tolist() == part.labels.tolist()
        assert (np.diff(values.astype(int)) > 0).all()
