"""Classes with fewer images than are asked for: in every method, format and command."""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchrun import run as run_processes
from toy_methods import TOY

from datacondense import InputError, SyntheticSet, condense, load_set
from datacondense.cli.app import main
from datacondense.evaluation.baselines import baselines
from datacondense.experiments.continual import learn_continually
from datacondense.experiments.scenario import Scenario
from datacondense.formats import FORMATS, export, import_sets
from datacondense.methods import DistributionMatching, Matching, Random, Selection
from datacondense.methods.small_classes import JITTER, jitter_copies
from datacondense.pictures import draw_grid
from datacondense.report.footprint import measure
from datacondense.report.process import save_process
from datacondense.synthetic.parameters import Pixels

SIZES = (3, 1, 40, 5)
IPC = 5
NOTE = "2 of 4 classes have fewer than 5 training images: '0' (3), '1' (1); "
DM = DistributionMatching(iterations=2, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")
KEEPING = {name: method for name, method in TOY.items() if not method.fills_up}


def noted(call, *args, note: str = NOTE, **kwargs):
    """Return the result of `call`, which warns of the small classes once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args, **kwargs)
    assert sum(str(one.message).startswith(note) for one in caught) == 1, [str(one.message) for one in caught]
    assert not any("a batch of 5 images" in str(one.message) for one in caught)  # ipc is no batch
    return result


def counts(synthetic: SyntheticSet) -> list[int]:
    return synthetic.counts.tolist()


@pytest.mark.parametrize("name", [name for name in TOY if name not in KEEPING])
def test_a_method_that_makes_images_makes_as_many_of_a_small_class(name: str, toy) -> None:
    made = noted(condense, replace(TOY[name], iterations=1), toy(sizes=SIZES), IPC)
    assert counts(made) == [IPC] * 4
    assert len(made.images.flatten(1).unique(dim=0)) == len(made)  # no image is there twice


@pytest.mark.parametrize("init", ["real", "kmeans"])
def test_it_starts_from_all_there_are_and_from_others_a_little_changed(init, toy) -> None:
    real = toy(sizes=SIZES)
    begun = noted(condense, replace(DM, iterations=0, init=init), real, IPC).images.unflatten(0, (4, IPC))
    for k, size in enumerate(SIZES[:2]):
        own = real.batch(real.members[k, :size])[0].flatten(1)
        distances = torch.cdist(begun[k].flatten(1), own)
        assert sorted(distances[:size].argmin(1).tolist()) == list(range(size))
        assert float(distances[:size].min(1).values.max()) == 0
        rest = distances[size:].min(1).values / own.shape[1] ** 0.5  # root mean square
        assert bool(((rest > JITTER / 2) & (rest < 2 * JITTER)).all())


def test_where_no_class_is_small_nothing_is_drawn() -> None:
    images = torch.zeros(2, 3, 1, 2, 2)
    generator = torch.Generator().manual_seed(0)
    assert jitter_copies(images, torch.tensor([3, 7]), generator) is images
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


@pytest.mark.parametrize("name", list(KEEPING))
def test_a_method_that_chooses_images_keeps_all_of_a_small_class(name: str, toy, tmp_path) -> None:
    real = toy(sizes=SIZES)
    made = noted(condense, KEEPING[name], real, IPC, out=tmp_path / "run")
    assert len(made) == 3 + 1 + 5 + 5
    assert made.soft or counts(made) == [3, 1, 5, 5]  # a solved label may be largest for another class
    chosen = torch.split(made.images, [3, 1, 5, 5])
    for k in (0, 1, 3):
        own = real.batch(real.members[k, : SIZES[k]])[0].flatten(1)
        assert torch.equal(chosen[k].flatten(1).unique(dim=0), own.unique(dim=0))
    again = load_set(tmp_path / "run")
    assert torch.equal(again.images, made.images)
    assert torch.equal(again.labels, made.labels)


def test_the_larger_classes_are_drawn_as_without_a_small_one(toy) -> None:
    few = noted(condense, Random(), toy(sizes=(40, 3, 40)), IPC, note="1 of 3 classes")
    many = condense(Random(), toy(sizes=(40, 40, 40)), IPC)
    assert torch.equal(few.labels[few.labels == 0], many.labels[many.labels == 0])
    assert counts(few) == [5, 3, 5]


def test_all_classes_may_be_small(toy) -> None:
    note = "2 of 2 classes have fewer than 10 training images: '0' (3), '1' (4); "
    assert counts(noted(condense, Random(), toy(sizes=(3, 4)), 10, note=note)) == [3, 4]
    assert counts(noted(condense, DM, toy(sizes=(3, 4)), 10, note=note)) == [10, 10]


def test_a_class_without_an_image_is_refused(toy) -> None:
    real = toy(sizes=(3, 4, 5))
    kept = real.labels != 1
    lacking = type(real)(real.images[kept], real.labels[kept], real.spec)
    with pytest.raises(InputError, match="1 of 3 classes has no training image: '1'"):
        condense(Random(), lacking, 2)


@pytest.mark.parametrize("name", ["dm", "random", "it-gan"])
def test_stopped_and_resumed_is_the_same(name: str, toy, tmp_path) -> None:
    method, real = TOY[name], toy(sizes=SIZES)
    whole = noted(condense, method, real, IPC)
    noted(condense, method, real, IPC, out=tmp_path / "run", time_budget=1e-9)
    resumed = noted(condense, method, real, IPC, out=tmp_path / "run", resume=True)
    assert torch.equal(resumed.images, whole.images)
    assert torch.equal(resumed.labels, whole.labels)


@dataclass(frozen=True, kw_only=True)
class FirstOnes(Selection):
    """Keep the first images, knowing nothing of small classes."""

    def select(self, problem, streams):
        return problem.real.members[:, : problem.ipc]


@dataclass(frozen=True, kw_only=True)
class Ragged(Selection):
    """Keep one image of the first class, two of the second, and so on."""

    def select(self, problem, streams):
        return [problem.real.members[k, : k + 1] for k in range(problem.classes)]


@dataclass(frozen=True, kw_only=True)
class Means(Matching):
    """Match mean pixels."""

    def workload(self, each):
        return replace(DM.workload(each), passes=0)

    def iterate(self, run):
        real = run.problem.real.sample(self.batch_real, run.streams("real"))
        yield (real.mean(1) - run.synthetic().mean(1)).square().sum()


def test_methods_of_others_need_to_know_nothing_of_it(toy) -> None:
    assert counts(noted(condense, FirstOnes(), toy(sizes=SIZES), IPC)) == [3, 1, 5, 5]
    assert counts(noted(condense, FirstOnes(), toy(sizes=(3, 1)), IPC, note="2 of 2 classes")) == [3, 1]
    assert counts(noted(condense, Means(iterations=2, batch_real=8), toy(sizes=SIZES), IPC)) == [IPC] * 4
    assert counts(condense(Ragged(), toy(), IPC)) == [1, 2, 3]
    with pytest.raises(InputError, match="has chosen 1 to 3 images of each class for --ipc 2"):
        condense(Ragged(), toy(), 2)


def test_a_network_trains_on_the_images_and_not_on_padding(toy) -> None:
    images = torch.randn(3, 4, 1, 8, 8)
    made = Pixels(images, (4, 1, 2))
    assert torch.equal(made.listed(images), torch.cat([images[0], images[1, :1], images[2, :2]]))
    assert made.listed(made.labels()).tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert made.labels().flatten().tolist() == [0] * 4 + [1] * 4 + [2] * 4


def uneven(toy, sizes: tuple[int, ...] = SIZES) -> SyntheticSet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return condense(Random(), toy(sizes=sizes), IPC)


def test_a_run_may_start_from_an_uneven_set(toy) -> None:
    start, real = uneven(toy), toy(sizes=(40, 40, 40, 40))
    note = "2 of 4 classes have fewer than 5 images in the set to start from: '0' (3), '1' (1); dm still makes"
    begun = noted(condense, replace(DM, iterations=0), real, IPC, start=start, note=note)
    assert counts(begun) == [IPC] * 4
    assert len(begun.images.flatten(1).unique(dim=0)) == 20
    for k, size in enumerate((3, 1, 5, 5)):
        assert torch.equal(begun.images[begun.labels == k][:size], start.images[start.labels == k])
    shuffled = torch.randperm(len(start), generator=torch.Generator().manual_seed(0))
    other = replace(start, images=start.images[shuffled], labels=start.labels[shuffled])
    assert counts(noted(condense, DM, real, IPC, start=other, note=note)) == [IPC] * 4
    with pytest.raises(InputError, match="the set has 1 to 5 images of each class: use --ipc 5"):
        condense(DM, real, 6, start=start)


def test_a_class_that_the_start_lacks_starts_from_real_images(toy) -> None:
    real = toy(sizes=(40, 40, 40))
    whole = condense(Random(), real, 2)
    start = replace(whole, images=whole.images[whole.labels != 1], labels=whole.labels[whole.labels != 1])
    note = "1 of 3 classes has fewer than 2 images in the set to start from"
    begun = noted(condense, replace(DM, iterations=0), real, 2, start=start, note=note)
    own = real.batch(real.members[1, :40])[0].flatten(1)
    assert float(torch.cdist(begun.images[begun.labels == 1].flatten(1), own).min(1).values.max()) == 0


@pytest.mark.parametrize("lacking", [None, 1])
@pytest.mark.parametrize("to", FORMATS)
def test_every_format_gives_back_what_it_was_given(to, lacking: int | None, toy, tmp_path) -> None:
    made = uneven(toy)
    if lacking is not None:
        kept = made.labels != lacking
        made = replace(made, images=made.images[kept], labels=made.labels[kept])
    if to == "folder" and lacking is not None:  # readers of folders would number the classes after it wrongly
        with pytest.raises(InputError, match=r"class '1' has no image, .*: export to npz, hf or pt"):
            export(made, to, tmp_path / "out")
        return
    export(made, to, tmp_path / "out")
    (run,) = import_sets(tmp_path / "out", None, tmp_path / "run")
    back = load_set(run)
    assert torch.equal(back.labels, made.labels)
    exact = made.spec.pixels(made.images) if to == "folder" else made.images
    assert torch.equal(back.spec.pixels(back.images) if to == "folder" else back.images, exact)
    assert back.provenance.ipc == IPC


def test_two_uneven_sets_go_into_one_file(toy, tmp_path) -> None:
    sets = [uneven(toy), condense(Ragged(), toy(sizes=(5, 5, 5, 5)), IPC)]
    sets = [replace(one, spec=sets[0].spec) for one in sets]
    export(sets, "pt", tmp_path / "both.pt")
    places = import_sets(tmp_path / "both.pt", None, tmp_path / "runs")
    assert [counts(load_set(place)) for place in places] == [[3, 1, 5, 5], [1, 2, 3, 4]]


def test_pictures_of_uneven_sets(toy, tmp_path) -> None:
    made = uneven(toy)
    whole, beside = draw_grid(made), draw_grid(made, real=toy(sizes=SIZES))
    assert whole.getpixel((whole.width - 1, 0)) == 255
    assert beside.size > (0, 0)
    kept = made.labels != 1
    lacking = replace(made, images=made.images[kept], labels=made.labels[kept])
    assert draw_grid(lacking, classes=[1], real=toy(sizes=SIZES)).size > (0, 0)
    noted(condense, Random(), toy(sizes=SIZES), IPC, out=tmp_path / "run", snapshots=1)
    save_process(load_set(tmp_path / "run"), tmp_path / "run", tmp_path / "process.png", per_class=5)
    assert (tmp_path / "process.gif").exists()


def test_storage_counts_the_images_there_are(toy) -> None:
    made = uneven(toy)
    assert (measure(made).training_images, measure(made).images) == (14, 14 * 64 * 4)


def test_baselines_have_as_many_of_each_class(toy) -> None:
    real = toy(sizes=SIZES)
    few = uneven(toy)
    filled = noted(condense, DM, real, IPC)
    (found,) = noted(baselines, [few, filled], real, "ConvNet").values()
    assert counts(found) == [3, 1, 5, 5]
    assert found.provenance.to_json()["beside"] == [filled.fingerprint()]
    odd = condense(Ragged(), toy(sizes=(5, 5, 5, 5)), IPC)
    several = noted(baselines, [few, replace(odd, spec=few.spec)], real, "ConvNet")
    assert {name: counts(one) for name, one in several.items()} == {
        "random real, 14 images": [3, 1, 5, 5],
        "random real, 9 images": [1, 1, 3, 4],
    }
    even = toy()
    made = condense(DM, even, 2)
    (same,) = baselines([made], even, "ConvNet").values()
    assert same.provenance.to_json().keys() == condense(Random(), even, 2).provenance.to_json().keys()
    assert torch.equal(same.images, condense(Random(arch="ConvNet"), even, 2).images)
    with pytest.raises(InputError, match="the training images of 'toy' do not fit the set"):
        baselines([made], real, "ConvNet")


@pytest.mark.parametrize("memory", [Random(), DM], ids=["random", "dm"])
def test_memories_of_small_classes(memory, toy, tmp_path) -> None:
    train, test = toy(sizes=SIZES), toy(sizes=(4, 4, 4, 4), draw=1)
    scenario = Scenario(steps=2, ipc=IPC, orders=1, nets=1, epochs=1, arch="ConvNetD1", augment="none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn_continually(memory, train, test, scenario, tmp_path / "out")
    kept = load_set(tmp_path / "out" / "order0")
    assert counts(kept) == ([3, 1, 5, 5] if isinstance(memory, Random) else [5, 5, 5, 5])
    record = learn_continually([kept], train, test, scenario, tmp_path / "again")
    assert record["scenario"]["per_class"] == IPC


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of coloured pictures of 32x32 pixels, in classes of 3, 4 and 300."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, count, colour in (("few", 3, (220, 60, 60)), ("some", 4, (60, 200, 80)), ("many", 300, (70, 90, 220))):
        Path("photos", name).mkdir(parents=True)
        for number in range(count):
            pixels = np.array(colour) + rng.normal(0, 25, (8, 8, 3)).repeat(4, 0).repeat(4, 1)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(f"photos/{name}/{number:03}.png")


QUICK = "--data folder:photos --ipc 10 --arch ConvNetW32 --compile off"
MADE = {
    "dm": "--iterations 3 --batch-real 16 --snapshots 2",
    "dc": "--iterations 1 --batch-real 16 --updates 2 --epochs 1",
    "it-gan": "--iterations 2 --batch-real 16 --generator-steps 10 --width 8 --latent 8 --inversion-steps 2 --epochs 1 "
    "--networks 2 --network-steps 2",
    "random": "",
    "herding": "--epochs 1",
    "k-center": "--epochs 1",
    "forgetting": "--epochs 2",
}


def cli(words: str) -> None:
    assert main(words.split()) == 0, words


@pytest.mark.filterwarnings("default::UserWarning")  # the command line prints them as notes
@pytest.mark.slow
@pytest.mark.parametrize("method", list(MADE))
def test_from_a_folder_of_photos_through_every_command(method: str, photos, capsys) -> None:
    cli(f"condense {method} {QUICK} {MADE[method]} --dry-run")
    filled = method in ("dm", "dc", "it-gan")
    assert f"synthetic images: {30 if filled else 15}," in capsys.readouterr().out
    cli(f"condense {method} {QUICK} {MADE[method]} --out run")
    error = capsys.readouterr().err
    assert error.count("2 of 3 classes have fewer than 10 training images: 'few' (2), 'some' (3)") == 1
    made = load_set("run")
    assert counts(made) == ([10, 10, 10] if filled else [2, 10, 3])
    cli("show run --real")
    cli("storage run")
    if method == "dm":
        cli("show run --process")
    for to in FORMATS:
        cli(f"export run --to {to} out.{to}")
        cli(f"import out.{to} back-{to} --data folder:photos")
        assert counts(load_set(f"back-{to}")) == counts(made)
        cli(f"show back-{to}")
    networks = "--nets 1 --epochs 1 --archs ConvNetW32"
    cli(f"evaluate back-pt {networks}")
    cli(f"evaluate run {networks} --beside random whole --whole-epochs 1 --out scores.json")
    scores = json.loads(Path("scores.json").read_text())
    images = {name: score["trained_on"]["images"] for name, score in scores.items()}
    assert images == {"random real": 15, method: len(made), "whole set": 245}
    cli("report run")
    page = Path("run/report.html").read_text()
    assert ("random real images" in page) == (method != "random")  # of random, these are the set itself
    assert ("30, 10 per class" if filled else "15, 2 to 10 per class") in page


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.slow
def test_more_commands_on_a_folder_of_photos(photos, capsys) -> None:
    cli(f"condense random {QUICK} --out random")
    cli(f"condense dm {QUICK} {MADE['dm']} --start random --out dm")
    assert counts(load_set("dm")) == [10, 10, 10]
    cli("show random dm --out both.png")
    cli(f"condense dm {QUICK} {MADE['dm']} --hold-out 0.3 --out held")
    cli(f"condense dm {QUICK} {MADE['dm']} --init noise --out noise")
    cli("evaluate random dm held --nets 1 --epochs 1 --archs ConvNetW32 --beside random --out scores.json")
    assert len(json.loads(Path("scores.json").read_text())) == 4
    cli("report random dm --out report.html")
    methods = "--memory random dm --set dm.iterations=2 dm.batch_real=16"
    cli(
        f"continual --data folder:photos {methods} --steps 3 --ipc 10 --orders 1 --nets 1 --epochs 1 "
        "--out memory --arch ConvNetW32"
    )
    cli("reproduce dm/cifar10/10 --data folder:photos --scale 0.0001 --seeds 1 --nets 1")
    assert main(f"condense dm {QUICK} {MADE['dm']} --drop-small-classes --out dropped".split()) == 2
    assert "only 1 of 3 classes have 10 training images or more" in capsys.readouterr().err


@pytest.mark.processes
@pytest.mark.filterwarnings("default::UserWarning")
def test_several_processes_make_what_one_makes(photos) -> None:
    words = f"condense dm {QUICK} --iterations 2 --batch-real 16 --lr 0.01 --augment none"
    run_processes(2, f"{words} --out two")
    run_processes(1, f"{words} --out one")
    two, one = load_set("two"), load_set("one")
    assert counts(two) == counts(one) == [10, 10, 10]
    torch.testing.assert_close(two.images, one.images, rtol=0, atol=1e-3)
