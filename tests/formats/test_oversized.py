"""Small files that would decode to very much: refused before anything is allocated."""

import io
import json
import resource
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from datacondense import DamagedFile, InputError, Spec, SyntheticSet, load_set
from datacondense.data.readers.pickles import read_torch
from datacondense.formats import export, import_sets
from datacondense.networks.generators import build
from datacondense.pictures import to_png
from datacondense.synthetic.generated import Generated
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import save
from datacondense.utils import hardware
from datacondense.utils.files import read_tensors, write_tensors
from datacondense.utils.limits import affordable

SPEC = Spec("toy", ("a", "b"), (1, 8, 8), (0.5,), (0.25,))


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def little_memory() -> Any:
    """At most 256 MiB may be allocated beyond what there is."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(fields["VmData"].split()[0]) + 2**28, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def generated(spec: Spec, count: int = 4) -> SyntheticSet:
    generator = build("conv", spec, latent=2, width=8)
    z = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    made = Generated(generator.eval(), z, "int8")
    labels = torch.zeros(count, dtype=torch.int64)
    images = made.images(labels) if spec is SPEC else torch.zeros(count, 1, 1, 1)
    return SyntheticSet(images, labels, spec, Provenance(), made)


def test_a_generated_set_is_refused_by_what_it_decodes_to(little_memory: None) -> None:
    large = Spec("toy", ("a", "b"), (1, 4096, 4096), (0.5,), (0.25,))
    for count in (4, 1000):  # wide maps alone, and many images
        save(generated(large, count), Path("bomb.safetensors"))
        assert Path("bomb.safetensors").stat().st_size < 40_000
        with pytest.raises(InputError, match=r"bomb\.safetensors: its images would take .* GiB of memory"):
            load_set("bomb.safetensors")


def test_what_a_small_file_may_take_does_not_grow_with_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "available_memory", lambda: 2**45)
    affordable(2**40, "it")
    affordable(2**30, "it", held=10)
    affordable(9 * 2**30, "it", held=2**26)
    with pytest.raises(InputError, match=r"it would take 9\.0 GiB of memory, but a file of its size may take 1\.0"):
        affordable(9 * 2**30, "it", held=25_000)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"latent": 2, "width": 65536}, "its generator is damaged: "),
        ({"latent": 65536, "width": 8}, "its generator is damaged: "),
        ({"latent": 2, "width": 2**40}, "config.width is 1099511627776, expected a whole number from 1 to 65536"),
        ({"latent": 2, "width": 10**400}, "generator.config.width is 1000"),
        ({"latent": 2, "width": -8}, "generator.config.width is -8"),
        ({"latent": 2, "width": True}, "generator.config.width is True"),
        ({"latent": 2, "width": 8.0}, r"generator.config.width is 8\.0"),
        ({"latent": 2, "width": [8]}, r"generator.config.width is \[8\]"),
        ({"latent": 2}, "damaged"),
        ({"latent": 2, "width": 8, "depth": 3}, "damaged"),
        ([], "damaged"),
        (None, "damaged"),
    ],
)
def test_a_config_is_checked_before_a_generator_is_built_by_it(config: Any, message: str, little_memory: None) -> None:
    save(generated(SPEC), Path("one.safetensors"))
    tensors, header = read_tensors(Path("one.safetensors"))
    header["decoder"]["config"]["arguments"] = config
    write_tensors(Path("one.safetensors"), tensors, header)
    with pytest.raises(InputError, match=message) as error:
        load_set("one.safetensors")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["biggan", "conv", "none", 3, None, ["conv"]])
def test_a_generator_of_another_kind_is_refused(name: Any, little_memory: None) -> None:
    save(generated(SPEC), Path("one.safetensors"))
    tensors, header = read_tensors(Path("one.safetensors"))
    header["decoder"]["config"]["generator"] = name
    write_tensors(Path("one.safetensors"), tensors, header)
    if name == "conv":
        assert len(load_set("one.safetensors")) == 4
    else:
        with pytest.raises(InputError):
            load_set("one.safetensors")


@pytest.mark.parametrize("old", [False, True])
def test_a_tensor_whose_strides_repeat_a_byte_is_refused(old: bool, little_memory: None) -> None:
    bomb = torch.zeros(1, dtype=torch.uint8).expand(10**9, 1, 8, 8)
    torch.save(
        {"data": [[bomb, torch.zeros(1).long().expand(10**9)]]}, "bomb.pt", _use_new_zipfile_serialization=not old
    )
    assert Path("bomb.pt").stat().st_size < 10_000
    with pytest.raises(DamagedFile, match="its tensors claim more than the file holds"):
        import_sets("bomb.pt", SPEC, "back")


def test_a_table_that_repeats_one_value_is_refused() -> None:
    export([SyntheticSet(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]), SPEC, Provenance())], "hf", "hf")
    file = Path("hf/data/train-00000-of-00001.parquet")
    nested: Any = pa.array(np.zeros(8), pa.float32())
    row = pa.DictionaryArray.from_arrays(pa.array(np.zeros(8 * 10**6, np.int32)), nested.slice(0, 1))
    offsets = [pa.array([0, 10**6 * 8], pa.int32()), pa.array([0, 1], pa.int32()), pa.array([0, 1, 1], pa.int32())]
    values: Any = row.dictionary_decode()
    for offset in offsets:
        values = pa.ListArray.from_arrays(offset, values)
    pq.write_table(pa.table({"pixels": values, "label": [0, 1]}), file)
    assert file.stat().st_size < 10_000
    with pytest.raises(DamagedFile, match="its column 'pixels' holds 8,000,001 values"):
        import_sets("hf", None, "back")
    Path("hf/datacondense.json").unlink()
    picture = to_png(torch.zeros(1, 8, 8, dtype=torch.uint8)) + bytes(2**26)
    pq.write_table(pa.table({"image": [{"bytes": picture}] * 2, "label": [0, 1]}), file)
    assert file.stat().st_size < 2**23
    with pytest.raises(DamagedFile, match="its column 'image' holds 2 values in 67"):
        import_sets("hf", SPEC, "back")


def test_a_packed_archive_of_others_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, little_memory: None
) -> None:
    def npy(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array)
        return buffer.getvalue()

    with zipfile.ZipFile("in.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", npy(np.zeros((2**20, 1, 8, 8), np.uint8)))
        archive.writestr("labels.npy", npy(np.zeros(2**20, np.int8)))
    monkeypatch.setattr(hardware, "available_memory", lambda: 2**27)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"in\.npz: its arrays would take"):
        import_sets("in.npz", SPEC, "back")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_folder_whose_header_claims_large_images_is_refused(little_memory: None) -> None:
    export([SyntheticSet(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]), SPEC, Provenance())], "folder", "out")
    record = json.loads(Path("out/datacondense.json").read_text())
    record["header"]["spec"]["shape"] = [1, 16384, 16384]
    Path("out/datacondense.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="would take"):
        import_sets("out", None, "back")


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "__iter__", "__len__", "__getitem__"])
@pytest.mark.parametrize("value", [3, None, "x", [1]])
def test_a_dict_is_read_by_its_content_whatever_its_fields_are(name: str, value: Any) -> None:
    torch.manual_seed(0)
    one: Any = OrderedDict(data=[[torch.randn(1, 1, 8, 8), torch.tensor([0])]], accs_all_exps=OrderedDict(MLP=[0.5]))
    for ordered in (one, one["accs_all_exps"]):
        ordered.__dict__[f"_{name[1:]}"] = value  # a name that does no harm while it is saved
    torch.save(one, "saved.pt")
    with zipfile.ZipFile("saved.pt") as saved, zipfile.ZipFile("in.pt", "w") as archive:
        for entry in saved.namelist():
            archive.writestr(entry, saved.read(entry).replace(f"_{name[1:]}".encode(), name.encode()))
    assert read_torch(Path("in.pt"))["accs_all_exps"] == {"MLP": [0.5]}
    import_sets("in.pt", SPEC, "back", pixels="normalised")
    assert load_set("back").provenance.published == {"MLP": [0.5]}


def test_a_list_that_holds_itself_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    mapping: dict[str, Any] = {}
    mapping["data"] = mapping
    wide: list[Any] = []
    wide.extend([wide] * 50)
    for content in (cycle, mapping, {"data": cycle}, wide, {"data": [[torch.zeros(1), cycle]]}):
        torch.save(content, "in.pt")
        with pytest.raises(InputError, match=r"in\.pt is nested more than 20 deep"):
            import_sets("in.pt", SPEC, "back")
