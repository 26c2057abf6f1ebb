"""Class-incremental learning on memories."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_methods import TOY

from datacondense import InputError, Observer, RunProgress, condense, evaluate, export, import_sets, load_set
from datacondense.cli.app import main
from datacondense.cli.commands import continual
from datacondense.experiments.continual import RECORD, learn_continually, load_record
from datacondense.experiments.rehearsal import select_classes
from datacondense.experiments.scenario import Scenario, class_order, split_into_steps
from datacondense.formats import read_sets
from datacondense.methods import METHODS, DistributionMatching, LabelSolve, Random
from datacondense.utils import hardware
from datacondense.utils.errors import Stopped

SMALL = Scenario(steps=2, ipc=2, orders=2, nets=2, epochs=3, arch="ConvNetD1")
SIX = (12, 9, 12, 12, 10, 12)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(toy, memory=None, scenario=SMALL, **options):
    memory = Random(arch="ConvNetD1") if memory is None else memory
    return learn_continually(memory, toy(sizes=SIX), toy(sizes=SIX, draw=1), scenario, "out", **options)


def test_classes_come_in_the_published_order() -> None:
    """seed.md: np.random.seed(seed_cl); class_order = np.random.permutation(num_classes).tolist()."""
    assert class_order(10, 0) == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    state = np.random.get_state()
    for seed in range(5):
        np.random.seed(seed)
        assert class_order(100, seed) == np.random.permutation(100).tolist()
    np.random.set_state(state)


def test_steps_have_equal_parts_or_the_first_ones_one_more() -> None:
    assert split_into_steps([4, 1, 3, 0, 2, 5], 3) == [[4, 1], [3, 0], [2, 5]]
    assert split_into_steps([4, 1, 3, 0, 2], 3) == [[4, 1], [3, 0], [2]]


def test_the_images_of_some_classes_are_numbered_anew_and_keep_their_statistics(toy) -> None:
    real = toy(sizes=SIX)
    part = select_classes(real, [4, 1])
    assert part.spec.class_names == (real.spec.class_names[4], real.spec.class_names[1])
    assert (part.spec.mean, part.spec.std) == (real.spec.mean, real.spec.std)
    assert part.counts.tolist() == [10, 9]
    assert torch.equal(part.images[part.labels == 0], real.images[real.labels == 4])


def test_the_memory_grows_by_the_new_classes_and_is_tested_on_all_seen(toy) -> None:
    record = run(toy)
    assert record["classes_seen"] == [3, 6]
    assert np.array(record["accuracy"]).shape == (2, 2, 2)
    for step in range(2):
        values = np.array(record["accuracy"])[:, step].flatten()
        assert record["mean"][step] == pytest.approx(values.mean())
        assert record["std"][step] == pytest.approx(values.std(ddof=1))
    for seed, order in enumerate(record["orders"]):
        assert [k for step in order for k in step] == class_order(6, seed)
        memory = load_set(f"out/order{seed}")
        assert memory.labels.tolist() == [k for k in class_order(6, seed) for _ in range(2)]
        real = toy(sizes=SIX)
        for image, label in zip(memory.images, memory.labels, strict=True):
            same = (real.spec.normalise(real.images) == image).flatten(1).all(1)
            assert real.labels[same].tolist() == [label]


def test_the_accuracies_are_those_of_evaluate(toy) -> None:
    record = run(toy)
    memory = load_set("out/order1")
    scores = evaluate(memory, toy(sizes=SIX, draw=1), archs=["ConvNetD1"], nets=2, epochs=3, augment="dsa", seed=1)
    assert record["accuracy"][1][1] == scores.accuracy["ConvNetD1"]


def test_a_record_names_the_versions_that_its_networks_were_trained_by(toy, monkeypatch) -> None:
    run(toy)
    monkeypatch.setattr(hardware, "__version__", "99.0")
    calls: list[int] = []
    record = run(toy, on_epoch=lambda done, total: calls.append(1))
    scores = json.loads(Path("out/order1/step2/evaluation.json").read_text())["scores"]
    assert calls
    assert scores["protocol"]["versions"] == record["versions"]
    assert record["versions"]["datacondense"] == "99.0"


def test_overwriting_evaluates_a_finished_memory_again(toy) -> None:
    run(toy)
    given, calls = [load_set("out/order0")], list[int]()
    for overwrite, epochs in ((False, 12), (False, 0), (True, 12)):
        calls.clear()
        learn_continually(
            given,
            toy(sizes=SIX),
            toy(sizes=SIX, draw=1),
            SMALL,
            "finished",
            overwrite=overwrite,
            on_epoch=lambda done, total: calls.append(1),
        )
        assert len(calls) == epochs


def test_steps_of_other_numbers_of_images_share_the_recipe_of_the_whole_memory(toy) -> None:
    """That of labels that are values depends on the number of images."""
    method, real = LabelSolve(arch="ConvNetD1", epochs=1), toy(sizes=(12,) * 5)
    recipes = [method.recipe(replace(real.spec, class_names=real.spec.class_names[:k]), 4) for k in (3, 2)]
    assert recipes[0] != recipes[1]
    scenario = Scenario(steps=2, ipc=4, orders=1, nets=1, epochs=2, arch="ConvNetD1")
    record = learn_continually(method, real, toy(sizes=(12,) * 5, draw=1), scenario, "out")
    assert (record["classes_seen"], record["recipe"]["loss"]) == ([3, 5], "mse")
    assert load_set("out/order0").recipe == method.recipe(real.spec, 4)


def test_a_step_is_tested_on_the_classes_seen_alone(toy) -> None:
    record = run(toy)
    test = toy(sizes=SIX, draw=1)
    memory = load_set("out/order0")
    seen = memory.labels[:6].unique()
    first = type(memory)(memory.images[:6], memory.labels[:6], memory.spec, memory.provenance)
    kept = torch.isin(test.labels, seen)
    tested = type(test)(test.images[kept], test.labels[kept], test.spec)
    scores = evaluate(first, tested, archs=["ConvNetD1"], nets=2, epochs=3, augment="dsa", seed=0)
    assert record["accuracy"][0][0] == scores.accuracy["ConvNetD1"]


def test_what_is_done_stays_done(toy) -> None:
    record = run(toy)
    calls: list[int] = []
    again = run(toy, on_epoch=lambda done, total: calls.append(1))
    assert calls == []
    assert again["accuracy"] == record["accuracy"]
    anew = run(toy, overwrite=True, scenario=SMALL, on_epoch=lambda done, total: calls.append(1))
    assert len(calls) == 2 * 2 * 2 * 3
    assert anew["accuracy"] == record["accuracy"]
    with pytest.raises(InputError, match="cannot resume"):
        learn_continually(
            Random(arch="ConvNetD1", augment="crop"), toy(sizes=SIX), toy(sizes=SIX, draw=1), SMALL, "out"
        )


def test_numbers_of_numpy_serve_as_others(toy) -> None:
    whole: dict[str, Any] = dict.fromkeys(("ipc", "orders", "nets"), np.int64(1)) | {"epochs": np.int32(2)}
    numbers = {**whole, "steps": np.int64(2), "batch": np.int64(8), "lr": np.float32(0.5)}
    record = run(toy, scenario=Scenario(arch="ConvNetD1", **numbers))
    plain = Scenario(steps=2, ipc=1, orders=1, nets=1, lr=0.5, epochs=2, batch=8, arch="ConvNetD1")
    assert load_record("out")["scenario"] == plain.to_json()
    assert record["accuracy"] == run(toy, scenario=plain)["accuracy"]


class StopAt(Observer):
    """Ctrl-C after the first iteration of the run of this number."""

    def __init__(self, number: int) -> None:
        self.left = number

    def message(self, text: str) -> None: ...

    def progress(self, progress: RunProgress) -> None:
        if progress.iteration == 1:
            self.left -= 1
            if not self.left:
                signal.raise_signal(signal.SIGINT)


def test_a_run_that_was_stopped_goes_on_at_the_step_where_it_was(toy) -> None:
    method = DistributionMatching(iterations=3, batch_real=4, arch="ConvNetD1")
    whole = learn_continually(method, toy(sizes=SIX), toy(sizes=SIX, draw=1), SMALL, "whole")
    with pytest.raises(Stopped, match="stopped after iteration 1 in out/order1/step1: the same command resumes"):
        run(toy, method, observers=[StopAt(3)])
    assert not Path("out", RECORD).exists()
    assert run(toy, method)["accuracy"] == whole["accuracy"]
    assert torch.equal(load_set("out/order1").images, load_set("whole/order1").images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 7}, "--steps 7: there are 6 classes"),
        ({"ipc": 0}, "--ipc 0: must be at least 1"),
        ({"orders": 0}, "--orders 0"),
        ({"nets": 0}, "--nets 0"),
        ({"epochs": 0}, "--epochs 0"),
        ({"augment": "mirror"}, "mirror"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(toy, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(toy, scenario=replace(SMALL, **change))


def test_a_memory_is_written_and_read_as_the_authors_write_theirs(toy) -> None:
    """{'data': [[images, labels] of each step]}, one file for each order."""
    made = run(toy)
    for seed in range(2):
        export(load_set(f"out/order{seed}"), "pt", f"cl{seed}.pt")
        entries = torch.load(f"cl{seed}.pt", weights_only=True)["data"]
        assert [len(labels) for _, labels in entries] == [6, 6]
        torch.save({"data": entries}, f"cl_res_DM_toy_ConvNetD1_2ipc_seed{seed}.pt")
        spec = toy(sizes=SIX).spec
        import_sets(f"cl_res_DM_toy_ConvNetD1_2ipc_seed{seed}.pt", spec, f"memories/seed{seed}")
    given = [load_set(f"memories/seed{seed}") for seed in range(2)]
    read = learn_continually(given, toy(sizes=SIX), toy(sizes=SIX, draw=1), SMALL, "read", name="theirs")
    assert read["accuracy"] == made["accuracy"]
    assert (read["memory"], read["method"]) == ("theirs", None)
    with pytest.raises(InputError, match="the memory has 2 steps, not --steps 3"):
        run(toy, given, scenario=Scenario(steps=3, arch="ConvNetD1"))
    with pytest.raises(InputError, match="from different data than toy"):
        learn_continually(given, toy(channels=3), toy(channels=3, draw=1), SMALL, "read")


@pytest.mark.parametrize("name", ["cl_DM_{}", "cl_herding_{}", "cl_res_DSA_{}", "cl_res_DM_{}", "res_DSA_{}"])
def test_the_network_is_known_from_the_authors_names(name: str, toy) -> None:
    path = Path(name.format("toy_ConvNetD1_2ipc_2steps_seed0.pt"))
    torch.save({"data": [[torch.randn(2, 1, 8, 8), torch.tensor([k, k])] for k in range(3)]}, path)
    (made,) = read_sets(path, toy().spec)[0]
    assert made.provenance.settings["arch"] == "ConvNetD1"


def test_of_the_authors_files_in_a_directory_those_of_the_steps_are_taken(toy) -> None:
    here, train = Path(), toy()
    steps = [[torch.randn(2, 1, 8, 8), torch.tensor([k, k])] for k in range(3)]
    for number, seed in ((5, 0), (5, 1), (3, 0), (3, 1)):
        torch.save({"data": steps}, f"cl_herding_toy_ConvNetD1_2ipc_{number}steps_seed{seed}.pt")
    assert len(continual._finished_memories(here, train, 3)) == 2
    with pytest.raises(InputError, match="have other numbers of steps than --steps 4"):
        continual._finished_memories(here, train, 4)
    torch.save({"data": steps}, "cl_DM_toy_ConvNetD1_2ipc_3steps_seed0.pt")
    with pytest.raises(InputError, match="it holds memories of DM and herding: put each into its own directory"):
        continual._finished_memories(here, train, 3)


def test_networks_train_as_asked_or_as_published(toy) -> None:
    scenario = Scenario(steps=2, orders=1, nets=1, epochs=2, ipc=1, arch="MLP", lr=0.05, batch=7)
    method = Random(arch="MLP")
    asked = run(toy, method, scenario=scenario)["recipe"]
    assert (asked["epochs"], asked["lr"], asked["batch"]) == (2, 0.05, 7)
    published = run(toy, method, scenario=scenario, as_published=True, overwrite=True)["recipe"]
    assert (published["epochs"], published["full_rate"], published["lr"]) == (3, 3, 0.05)


def test_a_set_without_steps_is_no_memory(toy) -> None:
    with pytest.raises(InputError, match="does not record the steps"):
        run(toy, [condense(Random(arch="ConvNetD1"), toy(sizes=SIX), 2)])


def test_records_are_read_back_and_others_refused(toy) -> None:
    record = run(toy)
    assert load_record("out") == json.loads(json.dumps(record))
    assert load_record(f"out/{RECORD}") == load_record("out")
    with pytest.raises(InputError, match="no record of continual learning at nowhere"):
        load_record("nowhere")
    Path("other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a record"):
        load_record("other.json")


QUICK = "--data digits --arch ConvNetD1 --steps 2 --ipc 2 --orders 2 --nets 1 --epochs 2".split()


def test_the_command_compares_memories_in_a_table_and_a_figure(capsys) -> None:
    memories = ["random", "herding", "dsa", "dm"]
    settings = ["iterations=2", "batch_real=8", "dsa.epochs=1", "herding.epochs=1", "dm.lr=3"]
    assert main(["continual", *QUICK, "--memory", *memories, "--set", *settings, "--out", "runs/four"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in memories)
    last = [line for line in output.splitlines() if line.startswith("10 ")]
    assert [len(re.findall(r"[\d.]+ \± [\d.]+", line)) for line in last] == [4]
    assert "over n = 2 x 1 orders x networks" in " ".join(output.split())
    assert load_record("runs/four/dm")["settings"]["lr"] == 3
    assert Path("runs/four/continual.png").stat().st_size > 10_000
    for seed in range(2):
        export(load_set(f"runs/four/dm/order{seed}"), "pt", f"theirs{seed}.pt")
    arguments = ["--memory", "theirs0.pt", "--beside", "runs/four", "--out", "runs/five"]
    assert main(["continual", *QUICK, *arguments]) == 0
    output = capsys.readouterr().out
    assert "theirs0" in output
    assert "dm (four)" in output
    assert load_record("runs/five/theirs0")["accuracy"][0] == load_record("runs/four/dm")["accuracy"][0]
    shutil.copytree("runs/four", "old/four")
    arguments = ["--memory", "--beside", "runs/four/dm", "old/four/dm", "--out", "runs/six"]
    assert main(["continual", *QUICK, *arguments]) == 0
    output = capsys.readouterr().out
    assert "runs/four/dm" in output
    assert "old/four/dm" in output
    assert main(["continual", *QUICK, "--memory", "--beside", "old/four", "old/four/dm"]) == 2
    assert "old/four/dm is named twice: name it once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory", "dn"], "unknown method 'dn': did you mean 'dm'?"),
        (["--memory", "dm", "dm"], "names the same memory twice"),
        (["--set", "iterations"], "--set iterations: give SETTING=VALUE"),
        (["--set", "dm.iteration=3"], "unknown setting 'iteration': did you mean 'iterations'?"),
        (["--set", "dsa.lr=3"], "unknown method 'dsa'"),
        (["--set", "dm.lr=high"], "--set dm.lr=high: give a number"),
        (["--set", "dm.batch_real=1.5"], "give a whole number"),
        (["--set", "adam=yes"], "give true or false"),
        (["--memory", "--beside", "nowhere"], "no record of continual learning at nowhere"),
        (["--memory"], "name at least one memory"),
    ],
    ids=" ".join,
)
def test_what_the_command_refuses(arguments: list[str], message: str, capsys) -> None:
    assert main(["continual", *QUICK, *arguments]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.filterwarnings("ignore:a batch of 16 images per class:UserWarning")
@pytest.mark.parametrize("name", METHODS)
def test_any_method_makes_a_memory(name: str, toy) -> None:
    record = run(toy, TOY[name], scenario=Scenario(steps=2, ipc=1, orders=1, nets=1, epochs=1, arch="ConvNetD1"))
    assert record["memory"] == name
    assert record["std"] == [None, None]


def test_a_published_experiment_is_run_by_name_and_gets_its_line_on_the_page(capsys) -> None:
    quick = "--data digits --scale 1e-3 --ipc 2 --seeds 2 --nets 1 --compile off".split()
    Path("docs").mkdir()
    assert main(["reproduce", "continual/cifar100/5/random", *quick]) == 0
    output = capsys.readouterr().out
    assert "2 orders x 1 networks" in output
    assert "not the published experiment: continual/cifar100/5/random@digits@ipc2@scale0.001" in output
    assert main(["results"]) == 0
    page = Path("docs/results.md").read_text()
    assert "| cifar100-5-random@digits@ipc2@scale0.001 | 2 | 2: " in page
    assert main(["reproduce", "continual/cifar100/5/randam", *quick]) == 2
    assert "did you mean 'continual/cifar100/5/random'?" in capsys.readouterr().err


def test_quick_looks_are_checked_and_never_replace_more_networks(capsys) -> None:
    name, quick = "continual/cifar100/10/random", "--data digits --ipc 2 --compile off".split()
    for arguments, message in (
        (["--scale", "-3"], "--scale -3: must be above 0 and at most 1"),
        (["--iterations", "3"], "--iterations 3: does not apply to random: leave it out"),
    ):
        assert main(["reproduce", name, *quick, *arguments]) == 2
        assert message in capsys.readouterr().err
    quick += ["--scale", "1e-3"]
    assert main(["reproduce", name, *quick, "--seeds", "2", "--nets", "1"]) == 0
    assert main(["reproduce", name, *quick, "--seeds", "1", "--nets", "1"]) == 0
    assert "has more networks" in capsys.readouterr().out
    (record,) = (json.loads(path.read_text()) for path in Path("results/continual").iterdir())
    assert (record["scenario"]["orders"], record["scenario"]["steps"]) == (2, 5)  # two classes in each step


def test_networks_that_tell_classes_apart_need_two_in_each_step(toy) -> None:
    alone = replace(SMALL, steps=6)
    for name in ("dc", "dsa", "herding", "k-center", "forgetting"):
        with pytest.raises(InputError, match=f"{name} needs at least two classes"):
            run(toy, TOY[name], scenario=alone)
    assert run(toy, TOY["random"], scenario=alone)["classes_seen"] == [1, 2, 3, 4, 5, 6]


def test_a_record_of_finished_memories_tells_what_they_are(toy) -> None:
    run(toy)
    record = run(toy, [load_set("out/order0")], scenario=replace(SMALL, orders=5, ipc=9))
    assert (record["scenario"]["orders"], record["scenario"]["per_class"]) == (1, 2)
    assert load_set("out/order0").provenance.ipc == 2


def test_classes_without_test_images_are_told_before_anything_is_made(toy) -> None:
    train, test = toy(sizes=SIX), toy(sizes=SIX, draw=1)
    kept = ~torch.isin(test.labels, torch.tensor(class_order(6, 0)[:3]))
    test = type(test)(test.images[kept], test.labels[kept], test.spec)
    with pytest.raises(InputError, match=r"classes of the first step .* have no test image"):
        learn_continually(Random(arch="ConvNetD1"), train, test, SMALL, "out")
    assert not Path("out").exists()
