"""The command `label`: what it prints, what it writes, and that it never sees a test image."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from datacondense import load_set
from datacondense.cli.app import main
from datacondense.evaluation.soft_labels import soft_labels, views_for
from datacondense.report.command import command
from datacondense.run.directory import RunDirectory
from datacondense.utils import cache

MAKE = "condense random --data arrays:mine.npz --ipc 2 --arch MLP --augment none --out run"
LABEL = "label run --training-steps 8 --trial-epochs 1"
GIVEN = "label run --training-steps 8 --moment 1"


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of two classes, told apart by their brightness."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    arrays(0)
    assert main(MAKE.split()) == 0


def arrays(draw: int) -> None:
    """Write data whose test images are those of a draw."""
    labels = np.arange(60) % 2
    images = np.random.default_rng(0).random((60, 8, 8)) / 2 + labels[:, None, None] / 2
    tested = np.random.default_rng(1 + draw).random((60, 8, 8)) * (draw + 1) / 2
    np.savez("mine.npz", images=images, labels=labels, test_images=tested, test_labels=labels)


def test_the_command_prints_what_it_compared_and_writes_a_run(capsys) -> None:
    capsys.readouterr()
    assert main(f"{LABEL} --out soft".split()) == 0
    printed = capsys.readouterr().out
    made = load_set("soft")
    record = made.provenance.labels
    for words in ("own", "teacher", "taken", "a network each, tested on 6 held-out training images"):
        assert words in printed
    words = f"4 images with labels of a teacher (real, MLP, moment {record['moment']:g}, temperature "
    assert words in printed
    assert printed.endswith("next: datacondense evaluate soft --beside random\n")
    assert made.soft
    assert made.recipe == load_set("run").recipe
    assert torch.equal(made.images, load_set("run").images)
    assert {path.name for path in Path("soft").iterdir()} == {
        "synthetic.safetensors",
        "run.json",
        "images.png",
        "neighbours.safetensors",
    }
    recorded = RunDirectory(Path("soft")).recorded()
    assert recorded["status"] == "labelled"
    assert recorded["labels"] == record
    assert main("evaluate run soft --nets 1 --epochs 1".split()) == 0
    printed = capsys.readouterr().out
    assert "random labels real" in printed
    assert main("storage run soft".split()) == 0
    assert main(f"{MAKE.replace('--out run', '--out soft')} --resume".split()) == 2
    assert "soft was labelled, so there is no run to resume" in capsys.readouterr().err


def test_the_choice_never_sees_a_test_image(tmp_path: Path) -> None:
    assert main(f"{LABEL} --out one".split()) == 0
    arrays(1)
    shutil.rmtree(tmp_path / "run")
    assert main(MAKE.split()) == 0
    assert main(f"{LABEL} --out other".split()) == 0
    one, other = load_set("one"), load_set("other")
    assert torch.equal(one.labels, other.labels)
    assert one.provenance.labels["trials"] == other.provenance.labels["trials"]


def test_a_run_is_replaced_only_where_that_is_asked_for(capsys) -> None:
    command = f"{GIVEN} --temperature 2 --out soft"
    assert main(command.split()) == 0
    assert main(command.split()) == 2
    assert "soft holds a run: replace it with --overwrite, or name another directory" in capsys.readouterr().err
    assert main(f"{command} --overwrite".replace("--temperature 2", "--temperature 3").split()) == 0
    assert load_set("soft").provenance.labels["temperature"] == 3
    assert main(f"{LABEL} --overwrite --out run".split()) == 2
    assert "--out run: this is the run that is read" in capsys.readouterr().err
    assert not load_set("run").soft


def test_networks_of_a_plug_in_and_other_runs_are_teachers(capsys) -> None:
    Path("mine.py").write_text(
        "from torch import nn\nNETWORKS = {'small': lambda spec: nn.Sequential(nn.Flatten(), nn.Linear(64, 2))}\n"
    )
    assert main(f"{GIVEN} --plugin mine.py --arch small --temperature 1 --out soft".split()) == 0
    origin = load_set("soft").provenance.labels["plugin"]
    assert origin["file"] == str(Path("mine.py").absolute())
    assert main("label soft --teacher run --temperature 2 --out again".split()) == 0
    again = load_set("again")
    assert (again.provenance.labels["teacher"], again.provenance.labels["method"]) == ("run", "random")
    assert main("export soft --to npz x.npz".split()) == 0
    assert main("import x.npz back".split()) == 0
    assert load_set("back").provenance.labels["plugin"]["file"] == "mine.py"
    torch.save(torch.nn.Linear(2, 2).state_dict(), "wrong.pt")
    capsys.readouterr()
    assert main("label run --teacher wrong.pt --temperature 1 --out no".split()) == 2
    error = "network MLP: the weights lack features.1.weight: name the architecture that they belong to with --arch"
    assert error in capsys.readouterr().err
    assert not Path("no").exists()


DM = "condense dm --data arrays:mine.npz --ipc 1 --iterations 2 --batch-real 4 --arch MLP --augment none"
RUN = f"{DM} --networks trained --training-steps 8 --out made"


def test_a_finished_run_gets_labels_of_its_own_network(capsys) -> None:
    assert main(RUN.replace("made", "plain").split()) == 0
    assert main(f"{RUN} --labels teacher".split()) == 0
    printed = capsys.readouterr().out
    assert "2 images with labels of a teacher (real, MLP, moment " in printed
    made, plain = load_set("made"), load_set("plain")
    assert torch.equal(made.images, plain.images)
    assert (made.soft, plain.soft) == (True, False)
    assert len(list((cache.folder() / "trajectories").glob("*.safetensors"))) == 2  # the run's, and of nine tenths
    recorded = RunDirectory(Path("made")).recorded()
    assert (recorded["status"], recorded["labels"]) == ("complete", made.provenance.labels)
    assert " --labels teacher" in (command(made.provenance) or "")
    assert main(f"{RUN} --resume".split()) == 2
    error = "cannot resume made with other settings: labels was 'teacher' and is 'own'"
    assert error in capsys.readouterr().err
    assert main(f"{RUN} --labels teacher --resume".split()) == 0
    assert load_set("made").provenance == made.provenance
    assert main("label made --moment 1 --temperature 1 --out again".split()) == 0
    assert command(load_set("again").provenance) is None


def test_soft_labels_are_those_of_mixed_views(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datacondense.evaluation.soft_labels.TEACHER_STEPS", 9)
    monkeypatch.setattr(soft_labels, "__defaults__", (9,))
    run = RUN.replace("--augment none", "--augment crop_flip")
    assert main(f"{run} --labels soft --dry-run".split()) == 0
    assert "labels of a teacher: about " in capsys.readouterr().out
    assert main(f"{run} --labels soft".split()) == 0
    made = load_set("made")
    recorded = made.provenance.labels
    assert (recorded["mix"], recorded["steps"], recorded["lr"], recorded["temperature"]) == ("cutmix", 9, 0.05, 1.0)
    assert recorded["views"] == made.views == views_for(made.spec)
    assert len(made) == 2 * made.views
    assert " --labels soft" in (command(made.provenance) or "")
    assert main(f"{run} --labels soft --resume".split()) == 0
    assert load_set("made").provenance == made.provenance
    assert main(f"{run} --labels teacher --resume".split()) == 2
    assert "cannot resume made with other settings: labels was 'soft' and is 'teacher'" in capsys.readouterr().err
    assert main("evaluate made --nets 1 --epochs 1 --beside random".split()) == 0


def test_a_dry_run_estimates_the_labelling_and_writes_nothing(capsys) -> None:
    assert main(f"{RUN} --labels teacher --dry-run".split()) == 0
    found = re.search(
        r"labels of a teacher: about ([\d:.]+( s)?) more, which --time-budget does not bound", capsys.readouterr().out
    )
    assert found
    assert not Path("made").exists()
    assert not list(cache.folder().glob("trajectories/*.safetensors"))


def test_a_run_that_was_stopped_is_resumed_and_labelled_again() -> None:
    command = f"{RUN.replace(' --networks trained', '')} --labels teacher"
    assert main(command.split()) == 0
    whole = load_set("made")
    assert main(f"{command} --overwrite --time-budget 0.001s".split()) == 0
    part = load_set("made")
    assert (part.provenance.iterations_done or 0) < 2
    assert part.soft
    assert main(f"{command} --resume".split()) == 0
    again = load_set("made")
    assert torch.equal(again.images, whole.images)
    assert torch.equal(again.labels, whole.labels)


def test_latents_keep_their_labels(capsys) -> None:
    assert main("condense it-gan --data digits --ipc 1 --labels teacher".split()) == 2
    assert "--labels teacher: the latents of it-gan make images by class" in capsys.readouterr().err
