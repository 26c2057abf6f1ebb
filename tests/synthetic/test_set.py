import json
from collections.abc import Callable

import pytest
import torch

from datacondense import InputError, SyntheticSet, from_torch, load_set
from datacondense.networks.generators import build
from datacondense.synthetic.generated import Generated
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.utils.files import read_tensors, write_tensors


@pytest.fixture
def synthetic(toy) -> SyntheticSet:
    real = toy(channels=3)
    images = real.sample(2, torch.Generator().manual_seed(0)).flatten(0, 1)
    return SyntheticSet(images, torch.arange(3).repeat_interleave(2), real.spec, Provenance(method="dm", seed=4))


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


LIES = {
    "format": ({"format": 99}, "format 99, but this version reads 1"),
    "no spec": ({"spec": None}, "field spec is null, expected object"),
    "empty spec": ({"spec": {}}, r"field spec\.name is missing"),
    "provenance a list": ({"provenance": [1]}, "field provenance is array, expected object"),
    "settings a list": ({"provenance": {"settings": [1]}}, r"field provenance\.settings is array, expected object"),
    "seed text": ({"provenance": {"seed": "4"}}, r"field provenance\.seed is str, expected int"),
    "seed negative": ({"provenance": {"seed": -1}}, r"field provenance\.seed is not int >= 0"),
    "arch a number": ({"provenance": {"settings": {"arch": 3}}}, r"settings\.arch is int, expected str"),
    "source a number": ({"provenance": {"source": {"source": 3}}}, r"source\.source is int, expected str"),
    "progress": (
        {"provenance": {"source": {"source": "digits", "progress": 1}}},
        r"source\.progress is not known to this version: update",
    ),
    "size text": (
        {"provenance": {"source": {"source": "digits", "image_size": "9"}}},
        r"image_size is str, expected int",
    ),
    "place a number": (
        {"provenance": {"source": {"source": "digits", "data_dir": 5}}},
        r"data_dir is int, expected str",
    ),
    "done text": ({"provenance": {"iterations_done": "many"}}, r"provenance\.iterations_done is str, expected int"),
    "infinite": ({"provenance": {"wall_seconds": float("inf")}}, "header is not JSON"),
    "no Unicode": ({"provenance": {"method": "\ud800"}}, "header is not JSON"),
}
SPEC_LIES = {
    "name": [3, "", None, "two\nlines"],
    "class_names": ["abc", [], ["a", "", "c"], ["a", 2, "c"], ["a", "b\0", "c"], ["a" * 1001, "b", "c"], 3, {"a": 1}],
    "shape": [[3, 8], [3, 8, 8, 8], [3, 8, 0], [3, 8, -8], [3.0, 8, 8], [True, 8, 8], [2, 8, 8], "388", None],
    "mean": [[0.5, 0.5], [0.5, 0.5, "0"], [0.5, 0.5, None], [0.5, 0.5, True], [1e300, 0.5, 0.5], 0.5],
    "std": [[0.5, 0.5], [0.5, 0.5, 0], [0.5, -1, 0.5], [0.5, 0.5, 1e39], "abc"],
    "flip": [0, "true", None],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *LIES.values(),
        *(({"spec": {key: value}}, rf"spec[. ].*{key}") for key, values in SPEC_LIES.items() for value in values),
    ],
)
def test_a_header_that_lies_is_refused_although_its_checksum_is_right(
    synthetic: SyntheticSet, tmp_path, change, message: str
) -> None:
    path = tmp_path / FILE_NAME
    save(synthetic, path)
    tensors, header = read_tensors(path)
    if change.get("spec"):
        change = {"spec": {**header["spec"], **change["spec"]}}
    write_tensors(path, tensors, {**header, **change})
    with pytest.raises(InputError, match=message) as error:
        load_set(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("labels", lambda labels: labels[:3], "6 images do not fit labels of shape"),
        ("labels", lambda labels: labels.float(), "labels have dtype float32, expected classes or numbers"),
        ("labels", lambda labels: labels[:, None], "do not fit labels of shape"),
        ("labels", lambda labels: labels + 1, "labels go from 1 to 3, but the 3 classes"),
        ("labels", lambda labels: labels.long() - 1, "labels go from -1 to 1"),
        ("images", lambda images: images[:, :1], r"images have shape \(6, 1, 8, 8\)"),
        ("images", lambda images: images.flatten(1), r"images have shape \(6, 192\)"),
        ("images", lambda images: images.double(), "images have dtype float64, expected normalised float32"),
        ("images", lambda images: images.bfloat16(), "images have dtype bfloat16"),
        ("images", lambda images: images.where(images < 1, torch.nan), "pixels that are NaN or infinite"),
        ("images", lambda images: images / 0, "pixels that are NaN or infinite"),
        ("images", lambda images: torch.tensor(1.0), r"images have shape \(\)"),
    ],
)
def test_tensors_that_do_not_fit_the_header_are_refused(
    synthetic: SyntheticSet, tmp_path, name: str, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    path = tmp_path / FILE_NAME
    save(synthetic, path)
    tensors, header = read_tensors(path)
    write_tensors(path, {**tensors, name: change(tensors[name])}, header)
    with pytest.raises(InputError, match=message):
        load_set(path)
    write_tensors(path, {key: tensor for key, tensor in tensors.items() if key != name}, header)
    with pytest.raises(InputError, match=f"there is no tensor '{name}'"):
        load_set(path)


def test_an_empty_set_is_refused(synthetic: SyntheticSet, tmp_path) -> None:
    empty = SyntheticSet(synthetic.images[:0], synthetic.labels[:0], synthetic.spec, Provenance())
    save(empty, tmp_path / FILE_NAME)
    with pytest.raises(InputError, match="there is no image in it"):
        load_set(tmp_path)


def test_a_set_is_a_dataset_of_normalised_images_and_of_pictures(synthetic: SyntheticSet) -> None:
    normalised, pictures = synthetic.as_dataset(), synthetic.as_dataset(normalised=False)
    assert torch.equal(normalised[3][0], synthetic.images[3])
    assert normalised[3][1] == 1
    image, label = pictures[5]
    assert (image.dtype, image.shape, label) == (torch.uint8, (3, 8, 8), 2)
    scaled = synthetic.images[5].double() * 0.25 + 0.5
    assert torch.equal(image, (scaled.clamp(0, 1) * 255).round().to(torch.uint8))
    beyond = SyntheticSet(synthetic.images * 100, synthetic.labels, synthetic.spec, Provenance())
    assert beyond.as_dataset(normalised=False)[0][0].aminmax() == (0, 255), "clipped, not wrapped around"


def test_a_set_as_a_dataset_has_what_those_of_torchvision_have(synthetic: SyntheticSet) -> None:
    for dataset in (synthetic.as_dataset(), synthetic.as_dataset(normalised=False)):
        assert dataset.targets == synthetic.labels.tolist() == [label for _, label in dataset]
        assert dataset.classes == list(synthetic.spec.class_names)
        assert dataset.class_to_idx == {name: label for label, name in enumerate(dataset.classes)}
        few = torch.utils.data.Subset(dataset, [5, 0])
        assert [dataset.targets[index] for index in few.indices] == [label for _, label in few]
    train, _ = from_torch(dataset, name="again")
    assert train.classes == dataset.classes


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_several_workers_read_a_dataset(synthetic: SyntheticSet) -> None:
    loader = torch.utils.data.DataLoader(synthetic.as_dataset(), batch_size=4, num_workers=2)
    images, labels = (torch.cat(tensors) for tensors in zip(*loader, strict=True))
    assert torch.equal(images, synthetic.images)
    assert torch.equal(labels, synthetic.labels)


def test_a_provenance_gives_back_what_it_was_made_from() -> None:
    entries = {"later": [1, None], "seed": 3, "settings": {"lr": 1, "x": None}, "start": None, "wall_seconds": 2}
    made = Provenance.from_json(entries)
    assert json.dumps(made.to_json()) == json.dumps(entries)
    assert (made.seed, made.settings["lr"], made.start, made.method) == (3, 1, {}, None)
    assert made == Provenance.from_json(dict(reversed(entries.items())))
    changed = made.changed(seed=4, method="dm")
    assert (changed.seed, changed.method, changed.to_json()["later"]) == (4, "dm", [1, None])
    assert changed != made
    assert Provenance(seed=0, method="dm").to_json() == {"method": "dm", "seed": 0}


def test_format_1_is_read(synthetic: SyntheticSet, tmp_path) -> None:
    """Labels were int64, and there was neither a decoder nor a recipe."""
    spec, provenance = synthetic.spec.to_json(), synthetic.provenance.to_json()
    header = {"format": 1, "spec": spec, "provenance": provenance}
    write_tensors(tmp_path / FILE_NAME, {"images": synthetic.images, "labels": synthetic.labels}, header)
    back = load_set(tmp_path)
    assert back.fingerprint() == synthetic.fingerprint()
    assert (back.stored, back.recipe, back.provenance) == (None, None, synthetic.provenance)


@pytest.mark.parametrize("latents", ["fp16", "int8"])
def test_format_1_with_a_generator_is_read(synthetic: SyntheticSet, tmp_path, latents) -> None:
    generator = build("conv", synthetic.spec, latent=4, width=8)
    stored = Generated.round_trip(generator, torch.randn(6, 4), latents)
    tensors = {f"generator.{name}": weight.half() for name, weight in generator.state_dict().items()}
    tensors["labels"] = synthetic.labels
    tensors |= {name: tensor for name, tensor in stored.tensors().items() if name in ("latents", "scale")}
    assert tensors["latents"].dtype == {"fp16": torch.float16, "int8": torch.int8}[latents]
    header = {
        "format": 1,
        "spec": synthetic.spec.to_json(),
        "provenance": {"method": "it-gan"},
        "generator": {"name": "conv", "config": {"latent": 4, "width": 8}, "latents": latents},
    }
    write_tensors(tmp_path / FILE_NAME, tensors, header)
    back = load_set(tmp_path)
    assert torch.equal(back.images, stored.images(synthetic.labels))
    assert torch.equal(back.labels, synthetic.labels)
    save(back, tmp_path / FILE_NAME)
    _, header = read_tensors(tmp_path / FILE_NAME)
    assert header["format"] == 2
    assert header["decoder"]["name"] == "latents"
    assert load_set(tmp_path).fingerprint() == back.fingerprint()


@pytest.mark.parametrize(
    "generator", [None, [], "conv", {}, {"name": "conv"}, {"name": 3, "config": [], "latents": "int8"}]
)
def test_a_generator_of_format_1_that_lies_is_refused(synthetic: SyntheticSet, tmp_path, generator) -> None:
    header = {"format": 1, "spec": synthetic.spec.to_json(), "provenance": {}, "generator": generator}
    tensors = {"latents": torch.zeros(6, 4).half(), "labels": synthetic.labels}
    write_tensors(tmp_path / FILE_NAME, tensors, header)
    with pytest.raises(InputError, match="generator") as error:
        load_set(tmp_path)
    assert "\n" not in str(error.value)
