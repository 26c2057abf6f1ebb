"""Many experiments in one go, by one process."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from datacondense import InputError
from datacondense.cli.app import main
from datacondense.data.registry import DATASETS
from datacondense.experiments.experiment_plan import ExperimentPlan, plan_experiment
from datacondense.experiments.preset import Preset
from datacondense.experiments.presets import PRESETS
from datacondense.experiments.reproduction import record_path, recorded_options
from datacondense.experiments.sweep import cache_last, match_presets, newest_record, run_sweep
from datacondense.methods import DC
from datacondense.training.recipe import Recipe
from datacondense.utils.distributed import ALONE

METHOD = DC(arch="MLP", lr=0.01, iterations=2, batch_real=8, init="real")
SMALL = Preset(title="Small", data="toy", ipc=1, method=METHOD, sets=1, nets=1)


@pytest.fixture(autouse=True)
def reads(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The datasets that are read, in order; experiments on two that are there and on one that is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    done: list[str] = []

    def reader(name: str, side: int):
        def read(*_):
            done.append(name)
            if name == "gone":
                raise InputError("gone not found: put it somewhere")
            return toy(side=side), toy(side=side, draw=1)

        return read

    for name, side in {"toy": 8, "other": 12, "gone": 8}.items():
        monkeypatch.setitem(DATASETS, name, reader(name, side))
    for name, data in {"a": "toy", "b": "other", "c": "toy", "d": "other", "e": "gone", "f": "gone"}.items():
        monkeypatch.setitem(PRESETS, f"tiny/{name}", replace(SMALL, data=data, ipc=2 if name in "cd" else 1))
    return done


def test_names_and_patterns() -> None:
    assert match_presets(["tiny/[ab]", "tiny/d"]) == ["tiny/a", "tiny/b", "tiny/d"]
    assert match_presets([]) == list(PRESETS)
    with pytest.raises(InputError, match=r"unknown preset 'tiny/x\*': did you mean 'tiny/"):
        match_presets(["tiny/a", "tiny/x*"])


def test_all_are_run_and_what_fails_is_told_at_the_end(reads: list[str], capsys) -> None:
    assert main("reproduce --all tiny/* --scale 0.01".split()) == 2
    assert reads == ["toy", "other", "gone"]
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[-2:] == [f"tiny/{name}@scale0.01: gone not found: put it somewhere" for name in "ef"]
    assert captured.err.splitlines()[-1] == (
        "datacondense: error: 2 of 6 experiments could not be run, for the reasons above"
    )
    rows = [line.split()[0] for line in lines if line.startswith("tiny/") and ":" not in line.split()[0]]
    assert rows == [f"tiny/{name}@scale0.01" for name in "abcd"]
    assert len(list(Path("results").iterdir())) == 4


def test_what_is_recorded_is_not_read_nor_run_again(reads: list[str], capsys) -> None:
    command = "reproduce --all tiny/[abc] --scale 0.01".split()
    assert main(command) == 0
    first = capsys.readouterr().out
    before = {path: path.read_text() for path in Path("results").iterdir()}
    reads.clear()
    assert main(command) == 0
    assert reads == []
    table = capsys.readouterr().out
    assert first.endswith(table)
    assert {path: path.read_text() for path in Path("results").iterdir()} == before
    assert main([*command, "--nets", "2"]) == 0
    assert reads == ["toy", "other"]
    reads.clear()
    assert main([*command, "--overwrite"]) == 0
    assert reads == ["toy", "other"]


def test_a_record_of_another_experiment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main("reproduce --all tiny/a --scale 0.01".split()) == 0
    planned, results = plan_experiment("tiny/a", scale=0.01), Path("results")
    default = recorded_options({}, "auto")
    assert newest_record(planned, results, default) is not None
    assert newest_record(planned, results, recorded_options({"data_dir": "elsewhere"}, "auto")) is not None
    assert newest_record(planned, results, recorded_options({}, "bf16")) is None
    assert newest_record(planned, results, recorded_options({"image_size": 8}, "auto")) is None
    assert newest_record(plan_experiment("tiny/a", scale=0.01, sets=2), results, default) is None
    assert newest_record(plan_experiment("tiny/c", scale=0.01), results, default) is None
    monkeypatch.setitem(PRESETS, "tiny/a", replace(SMALL, method=replace(METHOD, lr=0.02)))
    assert newest_record(plan_experiment("tiny/a", scale=0.01), results, default) is None


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_record_by_another_recipe_does_not_count(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(epochs=2, full_rate=1, augment="scale_crop", warm_up=3)
    arguments = f"reproduce --all tiny/a --scale {scale} --compile off".split()
    default = recorded_options({}, "auto")

    def recorded(preset: Preset) -> bool:
        monkeypatch.setitem(PRESETS, "tiny/a", preset)
        return newest_record(plan_experiment("tiny/a", scale=scale), Path("results"), default) is not None

    assert main(arguments) == 0
    assert recorded(SMALL)
    assert not recorded(replace(SMALL, pool="M"))
    assert not recorded(replace(SMALL, recipe=recipe))
    assert main(arguments) == 0
    assert recorded(replace(SMALL, recipe=recipe))
    for change in ({"warm_up": 0}, {"weight_decay": 0.0}, {"epochs": 400, "full_rate": 200}, {"augment": "crop"}):
        assert not recorded(replace(SMALL, recipe=replace(recipe, **change)))
    assert recorded(SMALL)  # by the first record


def test_the_records_of_this_repository_count() -> None:
    """They were made by earlier versions, whose records lack newer fields."""
    results, asked = Path(__file__).parents[2] / "results", recorded_options({}, "auto")
    for name, sets, nets in (
        ("fast/fashion-mnist/1/u8", 3, 5),
        ("fast/fashion-mnist/10/views", 3, 5),
        ("fast/fashion-mnist/1/labels", 1, 3),
    ):
        assert newest_record(plan_experiment(name, sets=sets, nets=nets), results, asked) is not None


def test_a_record_of_files_that_have_changed_does_not_count(toy) -> None:
    command = "reproduce --all tiny/a --scale 0.01 --data arrays:own.npz".split()
    path = Path("results/tiny-a@arrays_own.npz@scale0.01.jsonl")
    for draw, records in ((0, 1), (0, 1), (1, 2)):
        train, test = toy(draw=draw), toy(draw=draw + 5)
        np.savez(
            "own.npz",
            images=train.images.numpy(),
            labels=train.labels.numpy(),
            test_images=test.images.numpy(),
            test_labels=test.labels.numpy(),
        )
        if draw:
            shutil.rmtree("runs")  # of the other images
        assert main(command) == 0
        assert len(path.read_text().splitlines()) == records


def test_a_damaged_line_is_told_of_its_experiment_alone_and_an_old_one_not_at_all(capsys) -> None:
    command = "reproduce --all tiny/[ab] --scale 0.01".split()
    assert main(command) == 0
    path = record_path(plan_experiment("tiny/a", scale=0.01), Path("results"))
    good = path.read_text()
    path.write_text("{ol\n" + good)
    assert main(command) == 0
    path.write_text(good + "{new\n")
    capsys.readouterr()
    assert main(command) == 2
    captured = capsys.readouterr()
    assert "tiny/b@scale0.01" in captured.out
    assert "has a line that is not a record of `datacondense reproduce`: remove '{new'" in captured.out
    assert "1 of 2 experiments could not be run" in captured.err


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file", "gone.npz"), "No such file: gone.npz"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory (CUDA out of memory)"),
        (MemoryError(), "out of memory (MemoryError)"),
    ],
)
def test_what_fails_for_files_or_memory_fails_alone(error: Exception, reason: str) -> None:
    def run(planned: ExperimentPlan) -> dict[str, str]:
        if planned.name == "tiny/a":
            raise error
        return {"variant": planned.variant}

    plans = [plan_experiment(name) for name in ("tiny/a", "tiny/b")]
    outcomes = run_sweep(plans, run, lambda _: "", ALONE, results=Path("results"), options={}, overwrite=True)
    assert [outcome.reason for outcome in outcomes] == [reason, ""]
    with pytest.raises(RuntimeError, match="a mistake"):
        run_sweep(plans, failing, lambda _: "", ALONE, results=Path("results"), options={}, overwrite=True)


def failing(_planned: ExperimentPlan) -> dict[str, str]:
    raise RuntimeError("a mistake of ours")


def test_one_or_all(capsys) -> None:
    for command in ("reproduce", "reproduce tiny/a tiny/b"):
        assert main(command.split()) == 2
        assert "name one experiment of `datacondense list presets`, or several with --all" in capsys.readouterr().err


def test_what_could_not_be_read_is_not_tried_again() -> None:
    tried: list[str] = []

    def read(name: str) -> str:
        tried.append(name)
        if name == "bad":
            raise InputError("no")
        return name

    remembered = cache_last(read)
    for name in ("x", "x", "y", "x"):
        assert remembered(name) == name
    for _ in range(2):
        with pytest.raises(InputError, match="no"):
            remembered("bad")
    assert tried == ["x", "y", "x", "bad"]
