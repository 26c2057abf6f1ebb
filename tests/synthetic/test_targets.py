"""Labels: hard, soft and learned; of some classes among all; in files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic_sets import encoded
from torch import Tensor

from datacondense import InputError, Provenance, Spec, SyntheticSet, condense, load_set
from datacondense.evaluation.baselines import baselines
from datacondense.methods import Matching, Random
from datacondense.synthetic.decoders import TileDecoder
from datacondense.synthetic.parameters import Pixels
from datacondense.synthetic.set import save
from datacondense.synthetic.stored import packed_labels, rounded_labels, unpacked_labels
from datacondense.synthetic.targets import HardLabels, LearnedLabels, class_numbers, joined, renumbered
from datacondense.synthetic.top_labels import label_tensors, taken_labels, truncated
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


def test_learned_numbers_reach_the_set_without_a_graph(toy, tmp_path: Path) -> None:
    """Also those without softmax, of which a slice of all is the parameter itself."""

    class Regressing(Matching):
        def start(self, problem, streams):
            images = super().start(problem, streams)
            images.targets = LearnedLabels(torch.eye(problem.classes)[:, None].clone(), softmax=False)
            return images

        def iterate(self, run):
            yield run.synthetic().square().sum()

    made = condense(Regressing(iterations=1, arch="ConvNetD1"), toy(), ipc=1, out=tmp_path / "run")
    assert not made.labels.requires_grad
    assert torch.equal(load_set(tmp_path / "run").labels, torch.eye(3))


def test_labels_beyond_float16_stay_float32() -> None:
    labels = torch.tensor([[1e5, 0.1]])
    assert torch.equal(rounded_labels(labels, "u8"), labels)


@pytest.mark.parametrize("labels", [torch.zeros(6, 0), torch.zeros(0, 0), torch.zeros(6, 2)], ids=str)
def test_labels_of_another_width_are_refused_before_decoding(labels: torch.Tensor, toy, tmp_path: Path) -> None:
    made = condense(Random(arch="ConvNetD1", store="f16"), toy(), ipc=2)
    path = tmp_path / "synthetic.safetensors"
    save(made, path)
    tensors, header = read_tensors(path)
    write_tensors(path, {**tensors, "labels": labels}, header)
    with pytest.raises(InputError, match="labels of shape"):
        load_set(path)


def test_stored_images_have_the_class_of_the_mean_of_their_labels(toy) -> None:
    """A view whose label has drifted to another class changes no count of stored images."""
    real = toy()
    made = encoded(TileDecoder(factor=2), real, n=1)
    soft = torch.nn.functional.one_hot(made.labels, 3).float()
    soft[0] = torch.tensor([0.3, 0.7, 0.0])
    drifted = replace(made, labels=soft)
    assert drifted.counts.tolist() == [3, 5, 4]
    assert drifted.stored_counts.tolist() == [1, 1, 1]
    ((_, beside),) = baselines([drifted], real, "ConvNetD1").items()
    assert beside.counts.tolist() == [1, 1, 1]


@pytest.mark.parametrize("k", [1, 3, 9])
def test_the_largest_of_many_probabilities_survive_packing_bit_for_bit(k: int) -> None:
    """Also where all are equal, and rounding makes the kept ones smaller than the rest."""
    drawn = torch.randn(50, 10, generator=torch.Generator().manual_seed(0)) * 3
    for labels in (drawn.softmax(1), torch.full((5, 10), 0.1), torch.eye(10)):
        made = truncated(labels, k)
        tensors = label_tensors(made, {"top_k": k})
        assert {name: one.dtype for name, one in tensors.items()} == {
            "labels.values": torch.float16,
            "labels.classes": torch.uint8,
        }
        assert torch.equal(taken_labels(tensors, 10), made)
        assert not tensors
        torch.testing.assert_close(made.sum(1), torch.ones(len(labels)), rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("values", "classes", "message"),
    [
        (torch.zeros(2, 2), torch.tensor([[0, 1]] * 2), r"expected \(N, k\) of torch.float16 and of classes"),
        (torch.zeros(2, 2).half(), torch.tensor([[0, 1, 2]] * 2), r"expected \(N, k\) of torch.float16 and of classes"),
        (torch.zeros(2, 2).half(), torch.tensor([[1, 1]] * 2), "its labels do not name 2 of 4 classes each"),
        (torch.zeros(2, 2).half(), torch.tensor([[1, 4]] * 2), "its labels do not name 2 of 4 classes each"),
        (torch.zeros(2, 4).half(), torch.arange(4).repeat(2, 1), "its labels do not name 4 of 4 classes each"),
    ],
)
def test_largest_probabilities_that_do_not_fit_are_refused(values: Tensor, classes: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        taken_labels({"labels.values": values, "labels.classes": classes}, 4)
