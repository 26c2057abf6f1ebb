"""auto with soft labels: real images in 8 bits, mixed views, and a teacher whose steps fit the time."""

import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from datacondense import Candidate, InputError, Observer, Stopped, auto, load_set
from datacondense.cli.app import main
from datacondense.evaluation import labelling
from datacondense.evaluation.soft_labels import view_bytes, views_for
from datacondense.experiments import auto_labels
from datacondense.methods import Random
from datacondense.report.footprint import measure
from datacondense.run.directory import RunDirectory
from datacondense.utils.files import read_json, write_json

QUICK: dict[str, Any] = {"labels": "soft", "arch": "MLP", "compile": "off", "time_budget": 1000.0, "progress": False}


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auto_labels, "TEACHER_STEPS", 64)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    yield
    signal.signal(signal.SIGINT, before)


class Heard(Observer):
    """Keeps messages; raises a signal at the first report of the teacher if it is to."""

    def __init__(self, *, stops: bool = False) -> None:
        self.texts: list[str] = []
        self.stops = stops

    def message(self, text: str) -> None:
        self.texts.append(text)

    def preparing(self, done: float, what: str) -> None:
        if self.stops and what.startswith("a teacher learns"):
            self.stops = False
            signal.raise_signal(signal.SIGINT)


def test_real_images_are_seen_in_views_that_a_teacher_labels(toy) -> None:
    real, heard = toy(), Heard()
    made = auto(real, 2, observers=[heard], **QUICK)
    views = views_for(real.spec)
    assert len(made) == 2 * 3 * views
    assert (made.soft, made.views) == (True, views)
    recorded = made.provenance.labels
    assert (recorded["steps"], recorded["mix"], recorded["views"]) == (64, "cutmix", views)
    assert heard.texts[0] == f"images: 2 random real images of each class in 8 bits, {views} mixed views of each"
    assert heard.texts[1].startswith("teacher: 64 steps on real images, about 0:0")
    assert torch.equal(auto(real, 2, **QUICK).labels, made.labels)


def test_a_short_time_takes_fewer_steps(toy) -> None:
    hurried: dict[str, Any] = {**QUICK, "time_budget": 1e-6}
    made = auto(toy(), 1, **hurried)
    assert made.provenance.labels["steps"] == 2  # one of 32 parts


def test_bytes_decide_on_images_and_views(toy) -> None:
    real = toy()
    view, image = view_bytes(real.spec), real.spec.shape[1] * real.spec.shape[2]
    for limit, images, views in ((3 * (2 * (image + 20 * view) + 20), 2, 20), (3 * (image + 4 * view + 20), 1, 4)):
        made = auto(real, bytes=limit, **QUICK)
        assert (len(made) // made.views, made.views) == (3 * images, views)
        assert measure(made, png=False).total <= limit
    most, each = auto(real, bytes=10**6, **QUICK), int(real.counts.max())
    assert (len(most) // most.views, most.views) == (len(real), 100)
    assert most.provenance.ipc == each
    with pytest.raises(InputError, match="is not enough for one image of each class and a view of it"):
        auto(real, bytes=3 * (image + 14), **QUICK)
    with pytest.raises(InputError, match="unknown labels 'hard'"):
        auto(real, 1, labels="hard")  # pyright: ignore[reportArgumentType]


def test_a_stopped_call_continues(toy, tmp_path: Path) -> None:
    real, out = toy(), tmp_path / "run"
    with pytest.raises(Stopped, match="the same command with --resume continues"):
        auto(real, 2, out=out, observers=[Heard(stops=True)], **QUICK)
    made = auto(real, 2, out=out, resume=True, **QUICK)
    whole = auto(real, 2, **QUICK)
    assert torch.equal(made.labels, whole.labels)
    assert torch.equal(load_set(out).images, whole.images)


def test_a_finished_call_is_not_timed_again(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, out, heard = toy(), tmp_path / "run", Heard()
    made = auto(real, 2, out=out, **QUICK)
    chosen = made.provenance.auto
    assert (chosen["chosen"], chosen["candidates"], chosen["held_out"]) == ("soft labels", [], 0)

    def measured(*_args: object, **_options: object) -> float:
        raise AssertionError("the teacher is timed again")

    monkeypatch.setattr(auto_labels, "labelling_seconds", measured)
    again = auto(real, 2, out=out, resume=True, observers=[heard], **QUICK)
    assert torch.equal(again.labels, made.labels)
    assert heard.texts[1].startswith("teacher: 64 steps on real images, about 0:0")


def test_a_call_that_was_killed_before_its_record_completes_it(toy, tmp_path: Path, monkeypatch) -> None:
    real, out = toy(), tmp_path / "run"

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(labelling, "write_outputs", killed)
        with pytest.raises(KeyboardInterrupt):
            auto(real, 2, out=out, **QUICK)
    before = (out / "images.png").read_bytes()
    made = auto(real, 2, out=out, resume=True, **QUICK)
    assert RunDirectory(out).recorded()["labels"] == made.provenance.labels
    assert (out / "images.png").read_bytes() != before


@pytest.mark.filterwarnings("ignore:a batch of")
def test_other_labels_do_not_continue_a_run(toy, tmp_path: Path) -> None:
    real, soft, own = toy(), tmp_path / "soft", tmp_path / "own"
    short: dict[str, Any] = {**QUICK, "time_budget": 1.0}
    plain: dict[str, Any] = {**short, "labels": "own", "candidates": 1}
    auto(real, 1, out=soft, **short)
    with pytest.raises(InputError, match="other settings: labels was 'soft' and is 'own'"):
        auto(real, 1, out=soft, resume=True, **plain)
    before = (soft / "run.json").read_bytes()
    with pytest.raises(InputError, match="holds another run: continue it with --resume"):
        auto(real, 1, out=soft, **plain)
    assert (soft / "run.json").read_bytes() == before
    auto(real, 1, out=own, **plain)
    with pytest.raises(InputError, match="other settings: labels was 'own' and is 'soft'"):
        auto(real, 1, out=own, resume=True, **short)
    assert auto(real, 1, out=own, overwrite=True, **short).soft


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"candidates": 2}, "--candidates 2"),
        ({"candidates": [Candidate(name="one", method=Random(arch="MLP"), reason="real")]}, "candidates"),
        ({"race_hold_out": 0.25}, "--race-hold-out 0.25"),
        ({"race_epochs": 5}, "--race-epochs 5"),
        ({"race_nets": 1}, "--race-nets 1"),
        ({"snapshots": 2, "out": "run"}, "--snapshots 2"),
    ],
)
def test_what_has_no_effect_is_refused(options: dict[str, Any], named: str, toy) -> None:
    with pytest.raises(InputError) as error:
        auto(toy(), 1, **QUICK, **options)
    assert str(error.value) == f"{named} needs --labels own: it has no effect on soft labels, so leave it out"
    assert not Path("run").exists()


def test_the_command_refuses_what_has_no_effect(capsys) -> None:
    command = "condense auto --data digits --ipc 1 --labels soft --arch MLP --compile off --out run"
    for option in ("--log tensorboard", "--snapshots 2", "--candidates 1", "--race-hold-out 0.2"):
        for more in ("", " --dry-run"):
            assert main(f"{command} {option}{more}".split()) == 2
            assert f"{option} needs --labels own: it has no effect" in " ".join(capsys.readouterr().err.split())
    assert not Path("run").exists()


def test_a_call_that_recorded_the_share_held_out_is_continued(toy) -> None:
    """As earlier versions did, where it has no effect."""
    real, path = toy(), Path("run/auto.json")
    with pytest.raises(Stopped):
        auto(real, 2, out="run", observers=[Heard(stops=True)], **QUICK)
    content = read_json(path)
    assert "hold_out" not in content["asked"]
    write_json(path, {**content, "asked": {**content["asked"], "hold_out": 0.3}})
    assert auto(real, 2, out="run", resume=True, **QUICK).soft


def test_the_command_says_what_it_makes(capsys) -> None:
    command = "condense auto --data digits --ipc 1 --labels soft --arch MLP --compile off --out run"
    assert main(f"{command} --dry-run".split()) == 0
    assert "mixed views of each" in capsys.readouterr().out
    assert not Path("run").exists()
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    assert "200 images with labels of a teacher (real, MLP, moment 1, temperature 1) in " in printed
    assert load_set("run").provenance.source["source"] == "digits"
    assert main("evaluate run --nets 1 --epochs 1 --beside random".split()) == 0
