"""What an export or import may replace, and what stays when it fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_sets import make

from datacondense import InputError, load_set
from datacondense.formats import FORMATS, Format, export, import_sets
from datacondense.synthetic.set import save


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("to", FORMATS)
def test_what_is_there_is_not_overwritten_unasked(to: Format) -> None:
    export([make()], to, "out")
    with pytest.raises(InputError, match=r"out (exists|is not empty): replace it with --overwrite"):
        export([make(seed=1)], to, "out")
    export([make(seed=1)], to, "out", overwrite=True)
    (back,) = import_sets("out", make().spec, "back")
    assert torch.equal(load_set(back).labels, make().labels)
    assert sorted(path.name for path in Path().iterdir()) == ["back", "out"]


@pytest.mark.parametrize("to", ["folder", "hf"])
def test_overwrite_never_deletes_what_no_export_has_written(to: Format) -> None:
    Path("photos").mkdir()
    Path("photos/mine.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="photos is not an export"):
        export([make()], to, "photos", overwrite=True)
    Path("file").write_bytes(b"x")
    with pytest.raises(InputError, match="file is a file"):
        export([make()], to, "file", overwrite=True)
    export([make()], to, "out")
    Path("out/run").mkdir()
    save(make(), Path("out/run/synthetic.safetensors"))
    with pytest.raises(InputError, match=r"out holds other files, such as out/run/synthetic\.safetensors"):
        export([make()], to, "out", overwrite=True)
    assert Path("photos/mine.jpg").read_bytes() == Path("file").read_bytes() == b"x"
    Path("out/run").rename("run")
    export([make()], to, "out", overwrite=True)
    Path("out/.git").mkdir()
    Path("out/.git/config").write_text("of a clone of the hub")
    with pytest.raises(InputError, match=r"out holds other files, such as out/\.git/config"):
        export([make()], to, "out", overwrite=True)
    with pytest.raises(InputError, match="out holds out/set, which is read"):
        export([make()], to, "out", overwrite=True, read_from=["out/set"])


@pytest.mark.parametrize("to", ["npz", "pt"])
def test_overwrite_replaces_a_file_of_its_own_format_only(to: Format) -> None:
    save(make(), Path("synthetic.safetensors"))
    Path("text").write_text("mine")
    torch.save({"data": [[make().images, make().labels]]}, "authors.pt")
    np.savez("arrays.npz", images=np.zeros(3))
    export([make()], "pt" if to == "npz" else "npz", "other")
    for name in ("synthetic.safetensors", "text", "authors.pt", "arrays.npz", "other"):
        before = Path(name).read_bytes()
        with pytest.raises(InputError, match=f"{name} is not an export of this format"):
            export([make()], to, name, overwrite=True)
        assert Path(name).read_bytes() == before
    export([make()], to, "out")
    with pytest.raises(InputError, match="out holds out, which is read"):
        export([make()], to, "out", overwrite=True, read_from=["out"])


def test_overwriting_an_import_spares_everything_else() -> None:
    export([make()], "npz", "out.npz")
    export([make(seed=seed) for seed in range(2)], "pt", "out.pt")
    import_sets("out.npz", None, "back")
    with pytest.raises(InputError, match="back is not empty: replace it with --overwrite"):
        import_sets("out.npz", None, "back")
    Path("back/scores.jsonl").write_text("")
    import_sets("out.npz", None, "back", overwrite=True)
    import_sets("out.pt", None, "back", overwrite=True)
    assert sorted(path.name for path in Path("back").iterdir()) == ["exp0", "exp1"]
    import_sets("out.npz", None, "back", overwrite=True)
    Path("photos").mkdir()
    Path("photos/mine.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="photos holds other files"):
        import_sets("out.npz", None, "photos", overwrite=True)
    Path("out.npz").rename("back/out.npz")
    with pytest.raises(InputError, match="which is read here and which --overwrite would delete"):
        import_sets("back/out.npz", None, "back", overwrite=True)
    with pytest.raises(InputError, match=r"back holds other files, such as back/out\.npz"):
        import_sets("out.pt", None, "back", overwrite=True)
    assert Path("back/out.npz").exists()


def test_overwriting_an_import_spares_runs_of_ones_own() -> None:
    export([make()], "npz", "out.npz")
    import_sets("out.npz", None, "runs/exp0")
    for name in ("runs/exp1", "runs/mine"):
        import_sets("out.npz", None, name)
        Path(name, "run.json").write_text('{"status": "done"}')
    with pytest.raises(InputError, match="runs/exp1 was not imported"):
        import_sets("out.npz", None, "runs", overwrite=True)
    Path("runs/exp1").rename("exp1")
    with pytest.raises(InputError, match="runs holds other files, such as runs/mine"):
        import_sets("out.npz", None, "runs", overwrite=True)
    with pytest.raises(InputError, match="exp1 was not imported"):
        import_sets("out.npz", None, "exp1", overwrite=True)
    assert len(list(Path().rglob("synthetic.safetensors"))) == 3


def test_the_current_directory_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    export([make()], "npz", "out.npz")
    Path("here/below").mkdir(parents=True)
    monkeypatch.chdir("here/below")
    for dest in (".", "..", Path.cwd()):
        with pytest.raises(InputError, match="is the current directory or holds it"):
            export([make()], "folder", dest, overwrite=True)
        with pytest.raises(InputError, match="is the current directory or holds it"):
            import_sets("../../out.npz", None, dest, overwrite=True)


def test_a_destination_inside_what_is_imported_is_refused() -> None:
    export([make()], "folder", "out")
    with pytest.raises(InputError, match="out/back lies inside out"):
        import_sets("out", None, "out/back")
    assert not Path("out/back").exists()


def test_what_a_killed_process_moved_aside_needs_overwrite_to_be_replaced() -> None:
    export([make()], "folder", "out")
    Path("out").rename(".out.old")
    with pytest.raises(InputError, match="out is not empty"):
        export([make(seed=1)], "folder", "out")
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_an_empty_directory_may_be_filled() -> None:
    Path("out").mkdir()
    export([make()], "folder", "out")
    Path("back").mkdir()
    import_sets("out", None, "back")


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_fails_leaves_nothing_behind(to: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    export([made], to, "out")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(OSError, match="No space left"):
        export([make(seed=1)], to, "out", overwrite=True)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
