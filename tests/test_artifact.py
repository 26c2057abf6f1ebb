import pytest
import torch

from datacondense import InputError, SyntheticSet, load_set
from datacondense.artifact import FILE_NAME, save
from datacondense.files import read_tensors, write_tensors


@pytest.fixture
def synthetic(toy) -> SyntheticSet:
    real = toy(channels=3)
    images = real.sample(2, torch.Generator().manual_seed(0)).flatten(0, 1)
    return SyntheticSet(images, torch.arange(3).repeat_interleave(2), real.spec, {"method": "dm", "seed": 4})


def test_a_saved_set_comes_back_bit_for_bit(synthetic: SyntheticSet, tmp_path) -> None:
    save(synthetic, tmp_path / FILE_NAME)
    for place in (tmp_path, str(tmp_path / FILE_NAME)):
        back = load_set(place)
        assert torch.equal(back.images, synthetic.images)
        assert torch.equal(back.labels, synthetic.labels)
        assert (back.spec, back.provenance) == (synthetic.spec, synthetic.provenance)


def test_batch_reads_by_index(synthetic: SyntheticSet) -> None:
    images, labels = synthetic.batch(torch.tensor([5, 0]))
    assert torch.equal(images, synthetic.images[[5, 0]])
    assert labels.tolist() == [2, 0]


def test_a_directory_without_a_set_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no synthetic set at .*synthetic\.safetensors"):
        load_set(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99, this version reads 1"),
        ({"spec": {}}, "incomplete header"),
        ({"provenance": None, "spec": None}, "incomplete header"),
    ],
)
def test_a_header_that_does_not_hold_is_refused(synthetic: SyntheticSet, tmp_path, change, message: str) -> None:
    path = tmp_path / FILE_NAME
    save(synthetic, path)
    tensors, header = read_tensors(path)
    write_tensors(path, tensors, {**header, **change})
    with pytest.raises(InputError, match=message):
        load_set(path)


def test_images_that_do_not_fit_the_header_are_refused(synthetic: SyntheticSet, tmp_path) -> None:
    path = tmp_path / FILE_NAME
    save(synthetic, path)
    tensors, header = read_tensors(path)
    for wrong in ({**tensors, "labels": tensors["labels"][:3]}, {**tensors, "images": tensors["images"][:, :1]}):
        write_tensors(path, wrong, header)
        with pytest.raises(InputError, match="does not fit its header"):
            load_set(path)
