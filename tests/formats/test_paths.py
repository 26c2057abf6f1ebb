"""Paths that are not what they should be: one line each, and nothing hangs."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from datacondense import InputError, Spec, SyntheticSet
from datacondense.cli.app import main
from datacondense.formats import FORMATS, Format, export, import_sets
from datacondense.synthetic.provenance import Provenance

SPEC = Spec("toy", ("a", "b"), (1, 4, 4), (0.5,), (0.25,))


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def a_set() -> SyntheticSet:
    images = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return SyntheticSet(images, torch.tensor([0, 1]), SPEC, Provenance(method="dm"))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


ODD: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("absent"),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_file_is_not_read(what: str) -> None:
    for name in ("odd", "odd.pt", "odd.npz", "images_best.pt"):
        ODD[what](Path(name))
        with pytest.raises(InputError, match=name.replace(".", r"\.")) as error:
            import_sets(name, SPEC, "back")
        assert "\n" not in str(error.value)
        Path(name).unlink()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("what", ODD)
def test_what_is_no_file_is_not_read_inside_an_export(what: str) -> None:
    places: list[tuple[Format, str]] = [
        ("folder", "datacondense.json"),
        ("folder", "00_a/0000.png"),
        ("hf", "datacondense.json"),
        ("hf", "data/train-00000-of-00001.parquet"),
    ]
    for to, inner in places:
        shutil.rmtree("out", ignore_errors=True)
        export(a_set(), to, "out")
        Path("out", inner).unlink()
        ODD[what](Path("out", inner))
        with pytest.raises(InputError):
            import_sets("out", None, "back")


@pytest.mark.parametrize("what", sorted(ODD.keys() - {"a link to nothing"}))  # a link to write through
@pytest.mark.parametrize("to", FORMATS)
def test_what_is_no_file_is_not_replaced(what: str, to: str) -> None:
    ODD[what](Path("odd"))
    for overwrite in (False, True):
        with pytest.raises(InputError, match="odd"):
            export(a_set(), to, "odd", overwrite=overwrite)  # pyright: ignore[reportArgumentType]
        torch.save({"data": [[torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])]]}, "in.pt")
        with pytest.raises(InputError, match="odd"):
            import_sets("in.pt", SPEC, "odd", overwrite=overwrite, pixels="normalised")
        Path("in.pt").unlink()
    assert [path.name for path in Path().iterdir()] == ["odd"]


def test_exports_inside_exports_are_refused_however_deep() -> None:
    export([a_set(), a_set()], "folder", "one")
    deep = Path("deep")
    place = deep
    for _ in range(200):
        place.mkdir()
        (place / "datacondense.json").write_text(json.dumps({"layout": "several folder", "sets": 1}))
        place = place / "exp0"
    shutil.copytree("one", place)
    with pytest.raises(InputError, match="deep is damaged: exp0 holds several exports itself"):
        import_sets("deep", None, "back")
    shutil.rmtree(deep)
    deep.mkdir()
    (deep / "datacondense.json").write_text(json.dumps({"layout": "several folder", "sets": 1}))
    (deep / "exp0").symlink_to(".")
    with pytest.raises(InputError, match="holds several exports itself"):
        import_sets("deep", None, "back")


def test_a_header_nested_very_deep_is_one_line() -> None:
    export(a_set(), "folder", "out")
    for text in ("[" * 100_000, '{"layout":' * 100_000, '{"header": ' + "[" * 50_000 + "]" * 50_000 + "}"):
        Path("out/datacondense.json").write_text(text)
        with pytest.raises(InputError, match="not JSON") as error:
            import_sets("out", None, "back")
        assert "\n" not in str(error.value)


def test_a_name_that_is_not_utf8_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"s\xe9t.pt")
    torch.save({"data": [[a_set().images, a_set().labels]]}, "in.pt")
    Path("in.pt").rename(name)
    with pytest.raises(InputError, match="is not UTF-8: rename the file or directory"):
        import_sets(name, SPEC, "back", pixels="normalised")
    for to in FORMATS:
        dest = os.fsdecode(f"out-{to}-".encode() + b"\xe9")
        with pytest.raises(InputError, match="is not UTF-8: rename the file or directory"):
            export(a_set(), to, dest)
        assert not Path(dest).exists()
    assert main(["import", os.fsdecode(b"\xe9bsent"), "x"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_name_at_all_is_the_current_directory_and_refused() -> None:
    for to in FORMATS:
        with pytest.raises(InputError):
            export(a_set(), to, "", overwrite=True)
    torch.save({"data": [[a_set().images, a_set().labels]]}, "in.pt")
    with pytest.raises(InputError, match="a path is empty: name a file or directory"):
        import_sets("in.pt", SPEC, "", overwrite=True)
    with pytest.raises(InputError):
        import_sets("", SPEC, "back")
    assert [path.name for path in Path().iterdir()] == ["in.pt"]
