"""Labels: hard, soft and learned; of some classes among all; in files."""

from pathlib import Path

import pytest
import torch

from datacondense import InputError, Provenance, Spec, SyntheticSet, load_set
from datacondense.synthetic.parameters import Pixels
from datacondense.synthetic.set import save
from datacondense.synthetic.stored import packed_labels, rounded_labels, unpacked_labels
from datacondense.synthetic.targets import HardLabels, LearnedLabels, class_numbers, joined, renumbered
from datacondense.utils.files import read_tensors, write_tensors

SPEC = Spec("toy", ("a", "b", "c"), (1, 4, 4), (0.5,), (0.5,))


def soft_set(generator: torch.Generator) -> SyntheticSet:
    labels = torch.randn(6, 3, generator=generator).softmax(1)
    return SyntheticSet(torch.randn(6, 1, 4, 4, generator=generator), labels, SPEC, Provenance())


def test_hard_labels_are_the_classes_and_no_state() -> None:
    images = Pixels(torch.zeros(3, 2, 1, 4, 4))
    assert images.labels().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert images.labels(slice(1, 2)).tolist() == [[1, 1]]
    assert list(images.state_dict()) == ["images"]
    assert HardLabels(2, 1)().dtype == torch.int64


@pytest.mark.parametrize("softmax", [True, False])
def test_learned_labels_receive_gradients_apart_from_the_images(softmax: bool) -> None:
    values = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    images = Pixels(torch.zeros(3, 2, 1, 4, 4), targets=LearnedLabels(values, softmax=softmax))
    labels = images.labels(slice(0, 2))
    assert labels.shape == (2, 2, 3)
    assert torch.equal(labels, values[:2].softmax(-1) if softmax else values[:2])
    labels.square().sum().backward()
    assert isinstance(images.targets, LearnedLabels)
    assert images.targets.values.grad is not None
    assert float(images.targets.values.grad[:2].abs().min()) > 0
    assert [parameter is images.images for parameter in images.image_parameters()] == [True]


def test_a_soft_set_counts_by_its_largest_numbers_and_comes_back(tmp_path: Path) -> None:
    made = soft_set(torch.Generator().manual_seed(1))
    assert made.soft
    assert torch.equal(made.classes, made.labels.argmax(1))
    assert int(made.counts.sum()) == 6
    save(made, tmp_path / "synthetic.safetensors")
    back = load_set(tmp_path)
    assert torch.equal(back.labels, made.labels)
    assert back.fingerprint() == made.fingerprint()
    image, label = back.as_dataset()[2]
    assert isinstance(label, torch.Tensor)
    assert torch.equal(label, made.labels[2])
    assert torch.equal(image, made.images[2])
    assert back.as_dataset().targets == made.classes.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels[:, :2], r"6 images do not fit labels of shape \(6, 2\): 3 numbers for each image"),
        (lambda labels: labels[:5], r"6 images do not fit labels of shape \(5, 3\)"),
        (lambda labels: labels / 0, "labels hold numbers that are NaN or infinite"),
        (lambda labels: labels.double(), "labels have dtype float64"),
    ],
)
def test_soft_labels_that_do_not_fit_are_refused(change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "synthetic.safetensors"
    save(soft_set(torch.Generator().manual_seed(1)), path)
    tensors, header = read_tensors(path)
    write_tensors(path, {**tensors, "labels": change(tensors["labels"])}, header)
    with pytest.raises(InputError, match=message):
        load_set(path)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (torch.tensor([0, 3, 255]), torch.uint8),
        (torch.tensor([0, 256]), torch.int16),
        (torch.tensor([0, 70_000]), torch.int32),
        (torch.tensor([[0.5, 0.5]]), torch.float16),
        (torch.tensor([[0.1, 0.9]]), torch.float32),
    ],
)
def test_labels_are_stored_in_the_smallest_exact_format(labels: torch.Tensor, dtype: torch.dtype) -> None:
    packed = packed_labels(labels)
    assert packed.dtype == dtype
    back = unpacked_labels(packed)
    assert torch.equal(back, labels)
    assert back.dtype == labels.dtype


def test_soft_labels_are_rounded_only_where_pixels_are() -> None:
    labels = torch.tensor([[0.1, 0.9]])
    assert torch.equal(rounded_labels(labels, "f32"), labels)
    assert packed_labels(rounded_labels(labels, "u8")).dtype == torch.float16


def test_labels_of_some_classes_become_labels_of_all() -> None:
    assert renumbered(torch.tensor([1, 0]), [4, 2], 5).tolist() == [2, 4]
    assert renumbered(torch.tensor([[0.25, 0.75]]), [4, 2], 5).tolist() == [[0, 0, 0.75, 0, 0.25]]
    mixed = joined([torch.tensor([2]), torch.tensor([[0.5, 0.25, 0.25]])], 3)
    assert mixed.tolist() == [[0, 0, 1], [0.5, 0.25, 0.25]]
    assert joined([torch.tensor([2]), torch.tensor([1])], 3).tolist() == [2, 1]
    assert class_numbers(mixed).tolist() == [2, 0]
