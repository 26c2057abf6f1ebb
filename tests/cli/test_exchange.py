"""`export` and `import` as a user sees them: output, scores that stay, exit codes."""

import json
from pathlib import Path

import pytest
import torch

from datacondense import Spec, SyntheticSet, load
from datacondense.cli.app import main
from datacondense.formats import FORMATS, Format, export, import_sets
from datacondense.synthetic.provenance import Provenance


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def accuracy(run: str) -> list[float]:
    """Of the networks that the set itself asks for, trained as it asks for."""
    assert main(["evaluate", run, *"--nets 2 --epochs 3 --out scores.json".split()]) == 0
    (score,) = json.loads(Path("scores.json").read_text()).values()
    assert score["protocol"]["recipes"]["MLP"]["augment"] == "none"
    return score["accuracy"]["MLP"]


def test_exported_and_imported_a_set_scores_the_same_to_the_last_digit(capsys) -> None:
    assert main("condense dc --data digits --ipc 2 --iterations 2 --batch-real 16 --arch MLP --out run".split()) == 0
    expected = accuracy("run")
    for to in FORMATS:
        before = ["export", "run", "--to", to, f"out-{to}"]
        assert main(before if to != "pt" else ["export", "run", f"out-{to}", "--to", to, "--overwrite"]) == 0
        assert main(["import", f"out-{to}", f"back-{to}"]) == 0
        capsys.readouterr()
        if to != "folder":
            assert accuracy(f"back-{to}") == expected
        else:
            assert len(accuracy(f"back-{to}")) == 2
        assert capsys.readouterr().err == "", "a warning that the images are others"
    written = torch.load("out-pt", weights_only=True)
    assert written["accs_all_exps"] == {"MLP": expected}
    assert "| MLP |" in Path("out-hf/README.md").read_text()


def test_experiments_of_one_file_are_one_row(capsys) -> None:
    train, _ = load("digits")
    data = []
    for seed in range(3):
        images = train.sample(1, torch.Generator().manual_seed(seed)).flatten(0, 1)
        data.append([images, torch.arange(10)])
    torch.save({"data": data, "accs_all_exps": {}}, "res_DC_digits_ConvNetD1_1ipc.pt")
    assert main("import res_DC_digits_ConvNetD1_1ipc.pt --data digits back".split()) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("pixels are read as normalised: mean 0.00311, standard deviation 0.997 (brightness and")
    assert others == ["30 images in 3 sets: back", "next: datacondense evaluate back"]
    assert main("evaluate back --nets 2 --epochs 2 --augment none --out s.json".split()) == 0
    captured = capsys.readouterr()
    assert "6 x 2" in captured.out
    assert captured.err == ""
    scores = json.loads(Path("s.json").read_text())
    assert list(scores) == ["imported"]
    assert len(scores["imported"]["accuracy"]["ConvNetD1"]) == 6
    assert main("export back --to pt again.pt".split()) == 0
    again = torch.load("again.pt", weights_only=True)
    assert [torch.equal(new[0], old[0]) for new, old in zip(again["data"], data, strict=True)] == [True] * 3
    assert len(again["accs_all_exps"]["ConvNetD1"]) == 6


def test_a_set_with_fewer_images_than_classes_is_evaluated_beside_as_many_random_ones(capsys) -> None:
    train, _ = load("digits")
    export(SyntheticSet(torch.zeros(3, *train.spec.shape), torch.arange(3), train.spec, Provenance()), "npz", "out.npz")
    assert main("import out.npz run --data digits".split()) == 0
    assert main("evaluate run --beside random --nets 1 --epochs 1 --archs ConvNetD1 --out scores.json".split()) == 0
    scores = json.loads(Path("scores.json").read_text())
    assert {name: score["trained_on"]["images"] for name, score in scores.items()} == {"random real": 3, "imported": 3}


def test_a_run_that_is_taken_for_the_destination_survives(capsys) -> None:
    spec = Spec("toy", ("a", "b"), (1, 4, 4), (0.5,), (0.25,))
    export(SyntheticSet(torch.zeros(2, 1, 4, 4), torch.arange(2), spec, Provenance()), "npz", "out.npz")
    for name in ("a", "b"):
        import_sets("out.npz", None, f"dl/{name}")
    last = Path("dl/b/synthetic.safetensors")
    before = last.read_bytes()
    for to in ("pt", "npz"):
        assert main(f"export dl/a/synthetic.safetensors {last} --to {to} --overwrite".split()) == 2
        assert f"{last} is not an export of this format" in capsys.readouterr().err
    for to in ("folder", "hf", "pt"):
        assert main(f"export dl/a dl/b --to {to} --overwrite".split()) == 2
    assert main("export dl --to folder dl --overwrite".split()) == 2
    assert main("import out.npz . --overwrite".split()) == 2
    assert last.read_bytes() == before


BAD_COMMANDS = {
    "export out.npz --to pt": "name runs and then what to write",
    "export absent --to npz new": "no synthetic set at absent",
    "export run --to npz out.npz": "out.npz exists: replace it with --overwrite",
    "export run --to folder out.npz": "out.npz is a file: name a directory",
    "export run --to npz run": "run is a directory: name a file",
    "import absent new": "absent does not exist",
    "import out.npz run": "run is not empty: replace it with --overwrite",
    "import out.npz out.npz": "out.npz is a file: name a directory",
    "import out.npz new --data digit": "unknown data 'digit': did you mean 'digits'?",
    "import out.npz new --data digits": "which is not --data 'digits'",
    "import out.npz new --no-flip": "--no-flip: is for the images of --data: name them too, or leave it out",
    "import out.npz new --data-dir .": "--data-dir: is for the images of --data: name them too, or leave it out",
    "import out.npz new --data mnist --no-flip": "--no-flip does not apply to mnist: leave it out",
    "import out.npz new --data mnist --image-size 4": "--image-size does not apply to mnist: leave it out",
    "import out.npz new --data digits --data-dir .": "--data-dir does not apply to digits: leave it out",
}


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_is_not_called_damaged_where_a_run_is_asked_for(to: Format, capsys) -> None:
    spec = Spec("toy", ("a", "b"), (1, 4, 4), (0.5,), (0.25,))
    dest = f"my export{FORMATS[to].suffix}"
    export(SyntheticSet(torch.zeros(2, 1, 4, 4), torch.arange(2), spec, Provenance()), to, dest)
    for command in (["storage", dest], ["evaluate", dest], ["show", dest], ["export", "--to", "npz", dest, "new.npz"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{dest} is an export" in error
        assert f"read it with `datacondense import '{dest}' RUN`" in error


@pytest.mark.parametrize("command", BAD_COMMANDS)
def test_bad_commands_are_one_line_and_exit_code_2(command: str, capsys) -> None:
    spec = Spec("toy", ("a", "b"), (1, 4, 4), (0.5,), (0.25,))
    export([SyntheticSet(torch.zeros(2, 1, 4, 4), torch.arange(2), spec, Provenance())], "npz", "out.npz")
    import_sets("out.npz", None, "run")
    before = sorted(Path().rglob("*"))
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert BAD_COMMANDS[command] in error
    assert sorted(Path().rglob("*")) == before
