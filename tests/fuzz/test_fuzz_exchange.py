"""Files that are cut short, have bits flipped, or lie: one clear error or the right answer, never another exception."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datacondense import InputError, Spec, SyntheticSet, load_set
from datacondense.evaluation.protocol import protocol_for
from datacondense.formats import FORMATS, export, import_sets
from datacondense.formats.accuracies import known_accuracies
from datacondense.report.run_names import labels
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.utils.files import read_tensors, write_tensors

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*(pixels|labels) are read as")]
CASES = settings(max_examples=2000, deadline=None, derandomize=True, database=None)
SPEC = Spec("toy", ("a", "b"), (1, 4, 4), (0.5,), (0.25,), flip=False)

Damage = Callable[[bytes], bytes]


def made() -> SyntheticSet:
    pixels = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    provenance = {"method": "dm", "settings": {"arch": "ConvNetD1"}, "seed": 0, "ipc": 2, "source": None}
    return SyntheticSet(SPEC.normalise(pixels), torch.tensor([0, 0, 1, 1]), SPEC, Provenance.from_json(provenance))


def soft() -> SyntheticSet:
    return replace(made(), labels=torch.tensor([[0.75, 0.25], [0.9, 0.1], [0.3, 0.7], [-0.0, 1.0]]))


def truncated(share: float) -> Damage:
    return lambda data: data[: int(share * len(data))]


def flipped(places: list[tuple[float, int]]) -> Damage:
    def damage(data: bytes) -> bytes:
        changed = bytearray(data)
        for share, bit in places:
            changed[int(share * len(data))] ^= 1 << bit
        return bytes(changed)

    return damage


def replaced(share: float, piece: bytes) -> Damage:
    return lambda data: data[: (at := int(share * len(data)))] + piece + data[at + len(piece) :]


SHARES = st.floats(0, 1, exclude_max=True)
DAMAGE = st.one_of(
    SHARES.map(truncated),
    st.lists(st.tuples(SHARES, st.integers(0, 7)), min_size=1, max_size=6).map(flipped),
    st.builds(replaced, SHARES, st.binary(min_size=1, max_size=9)),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    one = made()
    (folder / "run").mkdir()
    save(one, folder / "run" / FILE_NAME)
    for to in FORMATS:
        export([one], to, folder / to)
    export([soft()], "folder", folder / "soft")
    content = {"data": [[one.images, one.labels]] * 2, "accs_all_exps": {"ConvNetD1": [np.float64(0.25), 0.5]}}
    torch.save(content, folder / "new.pt")
    torch.save(content, folder / "old.pt", _use_new_zipfile_serialization=False)
    return folder


def one_line(error: InputError, absent: Path | None = None) -> None:
    assert len(str(error).splitlines()) == 1
    assert absent is None or not absent.exists()


def cleared(path: Path) -> Path:
    """`path`, with nothing there any more."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def survives(source: Path, victim: str, damage: Damage, place: Path, *, bits: bool = True) -> None:
    """Import `source` with its file `victim` damaged: InputError and nothing left, or the set as it was."""
    work, back = cleared(place / "work"), cleared(place / "back")
    (shutil.copytree if source.is_dir() else shutil.copy)(source, work)
    path = work / victim if victim else work
    path.write_bytes(damage(path.read_bytes()))
    try:
        runs = import_sets(work, SPEC if source.suffix == ".pt" else None, back)
    except InputError as error:
        one_line(error, back)
        return
    for run in runs:
        again = load_set(run)
        assert again.spec == SPEC
        if bits:
            assert again.fingerprint() == made().fingerprint()
        if source.suffix != ".pt":
            assert again.provenance.to_json().items() >= made().provenance.to_json().items()


@CASES
@given(damage=DAMAGE)
def test_a_damaged_set(damage: Damage, place: Path) -> None:
    path = place / "damaged.safetensors"
    path.write_bytes(damage((place / "run" / FILE_NAME).read_bytes()))
    try:
        again = load_set(path)
    except InputError as error:
        one_line(error)
        return
    assert again.fingerprint() == made().fingerprint()
    assert (again.spec, again.provenance) == (SPEC, made().provenance)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_npz(damage: Damage, place: Path) -> None:
    survives(place / "npz", "", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_pt(damage: Damage, place: Path) -> None:
    survives(place / "pt", "", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_file_of_the_authors(damage: Damage, place: Path) -> None:
    survives(place / "new.pt", "", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_file_of_an_old_torch(damage: Damage, place: Path) -> None:
    """This format has no checksums, so that pixels may come out changed."""
    survives(place / "old.pt", "", damage, place, bits=False)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_table(damage: Damage, place: Path) -> None:
    survives(place / "hf", "data/train-00000-of-00001.parquet", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_header_of_a_table(damage: Damage, place: Path) -> None:
    survives(place / "hf", "datacondense.json", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_picture(damage: Damage, place: Path) -> None:
    survives(place / "folder", "01_b/0001.png", damage, place)


@CASES
@given(damage=DAMAGE)
def test_a_damaged_header_of_a_folder(damage: Damage, place: Path) -> None:
    survives(place / "folder", "datacondense.json", damage, place)


@CASES
@given(damage=DAMAGE)
def test_damaged_tables_and_pictures_of_others(damage: Damage, place: Path) -> None:
    """Without a header of ours there is no checksum: what comes out must only be a set."""
    for kind, victim in (("hf", "data/train-00000-of-00001.parquet"), ("folder", "01_b/0001.png")):
        work, back = cleared(place / "others"), cleared(place / "back")
        shutil.copytree(place / kind, work)
        (work / "datacondense.json").unlink()
        (work / victim).write_bytes(damage((work / victim).read_bytes()))
        try:
            (run,) = import_sets(work, SPEC, back)
        except InputError as error:
            one_line(error, back)
        else:
            assert load_set(run).images.shape[1:] == SPEC.shape


@CASES
@given(damage=DAMAGE)
def test_a_damaged_table_of_labels(damage: Damage, place: Path) -> None:
    """With a header of ours it comes back as it was; without one, what comes out must only be a set."""
    for described in (True, False):
        work, back = cleared(place / "labelled"), cleared(place / "back")
        shutil.copytree(place / "soft", work)
        if not described:
            (work / "datacondense.json").unlink()
        (work / "labels.csv").write_bytes(damage((work / "labels.csv").read_bytes()))
        try:
            (run,) = import_sets(work, SPEC, back)
        except InputError as error:
            one_line(error, back)
            continue
        again = load_set(run)
        assert again.images.shape == (4, *SPEC.shape)
        if described:
            assert torch.equal(again.labels, soft().labels)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([0, 1, 3, 4, 0.5, "ConvNet", "dm", "none"])
    | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    (),
    ("format",),
    ("spec",),
    *(("spec", key) for key in SPEC.to_json()),
    *(("spec", key, 0) for key in ("class_names", "shape", "mean", "std")),
    ("provenance",),
    *(("provenance", key) for key in ("method", "settings", "seed", "ipc", "source", "published", "steps", "imported")),
    *(("provenance", "settings", key) for key in ("arch", "augment", "x")),
    ("provenance", "source", "source"),
    ("provenance", "published", "ConvNet"),
]


def put(value: Any, where: tuple[Any, ...], what: Any) -> Any:
    """A copy of a JSON value with `what` at a place in it; of what lies on the way, objects are made."""
    if not where:
        return what
    key, *rest = where
    if isinstance(key, int):
        return [put(value[0], tuple(rest), what), *value[1:]]
    inner = value if isinstance(value, dict) else {}
    return {**inner, key: put(inner.get(key), tuple(rest), what)}


@CASES
@given(where=st.sampled_from(PLACES), what=JSON)
def test_a_header_that_lies_under_a_right_checksum(where: tuple[Any, ...], what: Any, place: Path) -> None:
    """What is let through can be listed, evaluated and exported."""
    tensors, header = read_tensors(place / "run" / FILE_NAME)
    path = place / "lying.safetensors"
    write_tensors(path, tensors, put(header, where, what))
    try:
        again = load_set(path)
        labels([again.provenance, made().provenance])
        protocol_for(again)
        scores = known_accuracies(again)
        for to in ("folder", "npz", "hf", "pt"):
            export([again], to, cleared(place / "lie"), scores=[scores])
    except InputError as error:
        one_line(error)
        return
    json.dumps(again.header(), allow_nan=False).encode()
